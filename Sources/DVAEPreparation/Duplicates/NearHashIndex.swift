/// Finds perceptual hashes within a distance of each other without comparing all pairs.
///
/// A hash is cut into blocks, and the distance is shared out between them: of two hashes within the
/// distance, some block differs in no more bits than its share, by the pigeonhole principle. So all
/// values of a block within its share are looked up, and only the hashes found there are compared
/// (multi-index hashing, Norouzi et al. 2012). The blocks are as long as the shares allow, 32 bits for
/// a distance of 2 to 5: few hashes have one in common, even of hundreds of millions.
///
/// A hash takes 8 bytes, and for each block 4 more and a bucket or two of 4.
package struct NearHashIndex {
  package static let largestDistance = 15

  /// Some bits of a hash, and how many of them may differ.
  private struct Block {
    var shift: UInt64
    var width: Int
    var share: Int

    /// The number of values that differ from one in no more bits than the share.
    var values: Int { [1, 1 + width, 1 + width + width * (width - 1) / 2][share] }

    func value(of hash: UInt64) -> UInt64 {
      width == 64 ? hash : hash >> shift & (1 << UInt64(width) - 1)
    }
  }

  private let distance: Int
  private let blocks: [Block]
  private var hashes: [UInt64] = []
  // For each block 2^bucketBits buckets with the number of the last hash in each, and for each hash the
  // numbers of the ones before it, a block after the other.
  private var last: [Int32] = []
  private var before: [Int32] = []
  private var bucketBits = 8

  // The most bits that a block may differ in; a third would mean thousands of values to look up.
  private static let largestShare = 2

  package init(distance: Int) {
    let distance = min(max(distance, 0), Self.largestDistance)
    // Hashes that exceed every block's share differ in the sum of share + 1 bits at least: distance + 1.
    let bits = distance + 1
    let count = distance == 0 ? 1 : max(2, (bits + Self.largestShare) / (Self.largestShare + 1))
    let bounds = (0...count).map { $0 * 64 / count }
    blocks = (0..<count).map {
      Block(
        shift: UInt64(bounds[$0]), width: bounds[$0 + 1] - bounds[$0],
        share: bits / count + ($0 < bits % count ? 1 : 0) - 1)
    }
    self.distance = distance
    emptyBuckets()
  }

  /// Returns the first inserted hash within the distance; nil if there is none.
  package func first(near hash: UInt64) -> Int? {
    var found = Int32.max
    for (number, block) in blocks.enumerated() {
      withUnsafeTemporaryAllocation(of: Int32.self, capacity: block.values) { candidates in
        // Nothing that is read in a round depends on anything else of it, so that the processor waits
        // for the memory of all at once.
        var count = lookUp(block.value(of: hash), number, candidates)
        while count > 0 {
          var left = 0
          for place in 0..<count {
            let candidate = Int(candidates[place])
            if (hashes[candidate] ^ hash).nonzeroBitCount <= distance {
              found = min(found, candidates[place])
            }
            let next = before[candidate &* blocks.count &+ number]
            candidates[left] = next
            left &+= next >= 0 ? 1 : 0
          }
          count = left
        }
      }
    }
    return found == .max ? nil : Int(found)
  }

  /// Finds the last hash with each value of a block that differs from one in no more bits than its share.
  ///
  /// - Returns: the number of hashes
  private func lookUp(
    _ value: UInt64, _ number: Int, _ candidates: UnsafeMutableBufferPointer<Int32>
  ) -> Int {
    var count = 0
    func look(_ value: UInt64) {
      let candidate = last[bucket(value, number)]
      candidates[count] = candidate
      count &+= candidate >= 0 ? 1 : 0
    }
    look(value)
    guard blocks[number].share > 0 else { return count }
    for bit in 0..<UInt64(blocks[number].width) {
      let one = value ^ 1 << bit
      look(one)
      guard blocks[number].share > 1 else { continue }
      for other in 0..<bit { look(one ^ 1 << other) }
    }
    return count
  }

  /// Adds a hash.
  ///
  /// - Returns: whether there was room for it; two thousand million are the most
  @discardableResult
  package mutating func insert(_ hash: UInt64) -> Bool {
    guard hashes.count < Int(Int32.max) else { return false }
    hashes.append(hash)
    if hashes.count > 1 << bucketBits, bucketBits < blocks[0].width {
      bucketBits += 1
      emptyBuckets()
      before.removeAll(keepingCapacity: true)
      for number in hashes.indices { link(number) }
    } else {
      link(hashes.count - 1)
    }
    return true
  }

  /// Puts a hash into its bucket of each block.
  private mutating func link(_ number: Int) {
    for (place, block) in blocks.enumerated() {
      let bucket = bucket(block.value(of: hashes[number]), place)
      before.append(last[bucket])
      last[bucket] = Int32(truncatingIfNeeded: number)
    }
  }

  private mutating func emptyBuckets() {
    last = [Int32](repeating: -1, count: blocks.count << bucketBits)
  }

  @inline(__always)
  private func bucket(_ value: UInt64, _ block: Int) -> Int {
    let mixed = (value &* 0x9E37_79B9_7F4A_7C15) >> UInt64(64 - bucketBits)
    return block << bucketBits | Int(truncatingIfNeeded: mixed)
  }
}
