/// Finds perceptual hashes within a distance of each other without comparing all pairs.
///
/// A hash is cut into one block more than bits may differ: by the pigeonhole principle two hashes
/// within the distance agree in a whole block, so only hashes that share one are compared
/// (multi-index hashing, Norouzi et al. 2012). A hash takes 8 bytes, and 4 more for each block.
package struct NearHashIndex {
  /// The largest supported distance.
  package static let largestDistance = 15

  private let distance: Int
  // First bit and number of bits of each block.
  private let blocks: [(shift: UInt64, width: Int)]
  private var hashes: [UInt64] = []
  // For each block the last hash of each bucket, and for each hash the one before it there.
  private var last: [[Int32]]
  private var before: [[Int32]]

  private static let bucketBits = 16

  /// Makes an empty index for a distance.
  package init(distance: Int) {
    let count = min(max(distance, 0), Self.largestDistance) + 1
    self.distance = count - 1
    let bounds = (0...count).map { $0 * 64 / count }
    blocks = (0..<count).map { (UInt64(bounds[$0]), bounds[$0 + 1] - bounds[$0]) }
    last = blocks.map { [Int32](repeating: -1, count: 1 << min($0.width, Self.bucketBits)) }
    before = blocks.map { _ in [] }
  }

  /// Returns the first inserted hash within the distance; nil if there is none.
  package func first(near hash: UInt64) -> Int? {
    var found: Int32?
    for block in blocks.indices {
      var candidate = last[block][bucket(hash, block)]
      while candidate >= 0 {
        if (hashes[Int(candidate)] ^ hash).nonzeroBitCount <= distance {
          found = min(found ?? candidate, candidate)
        }
        candidate = before[block][Int(candidate)]
      }
    }
    return found.map { Int($0) }
  }

  /// Adds a hash.
  package mutating func insert(_ hash: UInt64) {
    // More than two thousand million images are beyond any run; they are no longer compared.
    guard let number = Int32(exactly: hashes.count) else { return }
    hashes.append(hash)
    for block in blocks.indices {
      let bucket = bucket(hash, block)
      before[block].append(last[block][bucket])
      last[block][bucket] = number
    }
  }

  private func bucket(_ hash: UInt64, _ block: Int) -> Int {
    let (shift, width) = blocks[block]
    if width <= Self.bucketBits { return Int(hash >> shift & (1 << UInt64(width) - 1)) }
    // Wider blocks are mixed down to as many buckets.
    let bits = width == 64 ? hash : hash >> shift & (1 << UInt64(width) - 1)
    return Int((bits &* 0x9E37_79B9_7F4A_7C15) >> UInt64(64 - Self.bucketBits))
  }
}
