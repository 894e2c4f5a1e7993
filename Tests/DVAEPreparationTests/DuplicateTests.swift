import DVAETestSupport
import DVAEFiles
import DVAEPreparation
import DVAEImages
import DVAETensors
import Foundation
import Testing

extension PerceptualHash {
  /// Returns the number of bits in which two hashes differ.
  static func distance(_ a: UInt64, _ b: UInt64) -> Int { (a ^ b).nonzeroBitCount }
}

@Suite struct DuplicateTests {
  /// The index finds the same hashes as a comparison with all.
  @Test(arguments: [0, 1, 2, 3, 4, 7, 15]) func nearHashesAreFound(_ distance: Int) {
    var generator = SeededGenerator(seed: UInt64(distance) + 1)
    var index = NearHashIndex(distance: distance)
    var hashes: [UInt64] = []
    var found = 0
    for _ in 0..<800 {
      // Half of them are an earlier one with some bits flipped, at most one more than allowed.
      var hash = generator.next()
      if let base = hashes.randomElement(using: &generator), generator.next() % 2 == 0 {
        hash = base
        for bit in (0..<64).shuffled(using: &generator).prefix(
          Int.random(in: 0...distance + 1, using: &generator))
        {
          hash ^= 1 << UInt64(bit)
        }
      }
      let expected = hashes.firstIndex { PerceptualHash.distance($0, hash) <= distance }
      #expect(index.first(near: hash) == expected)
      found += expected == nil ? 0 : 1
      hashes.append(hash)
      index.insert(hash)
    }
    #expect(found > 100 && found < 700)
  }

  /// Many hashes, so that the buckets grow; bits at both ends of each block.
  @Test func nearHashesAreFoundAmongMany() {
    var generator = SeededGenerator(seed: 9)
    var index = NearHashIndex(distance: 4)
    let hashes = (0..<5000).map { _ in generator.next() }
    for hash in hashes { index.insert(hash) }
    for (number, hash) in hashes.enumerated() where number % 50 == 0 {
      for bits: [UInt64] in [
        [], [0, 1, 2, 3], [28, 29, 30, 31], [0, 31, 32, 63], [32, 33, 62, 63],
      ] {
        let changed = bits.reduce(hash) { $0 ^ 1 << $1 }
        #expect(index.first(near: changed) == number, "\(bits)")
        #expect(index.first(near: changed ^ 1 << 17) == (bits.count < 4 ? number : nil))
      }
    }
  }

  /// Prints the memory of a hash and the time of a search among many:
  /// `DVAE_HASHES=100000000 swift test -c release --filter nearHashesAreMeasured`.
  @Test(
    .enabled(
      if: ProcessInfo.processInfo.environment["DVAE_HASHES"] != nil,
      "a measurement, for which DVAE_HASHES gives the number of hashes"))
  func nearHashesAreMeasured() throws {
    let count = try #require(
      ProcessInfo.processInfo.environment["DVAE_HASHES"].flatMap { Int($0) })
    var generator = SeededGenerator(seed: 1)
    var index = NearHashIndex(distance: FilterSettings.nearDistance)
    let before = try Self.residentBytes()
    for _ in 0..<count { index.insert(generator.next()) }
    let perHash = try Double(Self.residentBytes() - before) / Double(count)
    let searches = 100_000
    let start = ContinuousClock.now
    let found = (0..<searches).count { _ in index.first(near: generator.next()) != nil }
    let time = (ContinuousClock.now - start) / .microseconds(1) / Double(searches)
    print("\(count) hashes: \(perHash) bytes each, \(time) µs a search, \(found) found")
  }

  private static func residentBytes() throws -> Int {
    let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
    return try #require(text.split(separator: " ").dropFirst().first.flatMap { Int($0) }) * 4096
  }

  /// Edited photos stay within the default distance of themselves, and far from others.
  @Test func photosAreTold() throws {
    let names = ["kodim04.jpg", "kodim23.png", "odd_401x333.png"]
    let photos = try names.map { name in
      try decodeImage(bytes(Fixture.images + "/" + name), name: name)
    }
    let hashes = photos.map(PerceptualHash.of)
    for (photo, hash) in zip(photos, hashes) {
      let small = photo.resized(width: photo.width / 3, height: photo.height / 3)
      let poor = try decodeImage(encodeJPEG(photo, quality: 30), name: "poor")
      for changed in [small, poor] {
        #expect(
          PerceptualHash.distance(PerceptualHash.of(changed), hash) <= FilterSettings.nearDistance)
      }
      #expect(PerceptualHash.distance(PerceptualHash.of(photo.mirrored()), hash) > 15)
    }
    for (place, hash) in hashes.enumerated() {
      for other in hashes[..<place] { #expect(PerceptualHash.distance(hash, other) > 15) }
    }
  }

  @Test func smallPicturesHaveHashes() {
    let one = PixelImage(width: 1, height: 1, pixels: [9, 9, 9])
    let line = PixelImage(width: 500, height: 1, pixels: [UInt8](repeating: 200, count: 1500))
    #expect(PerceptualHash.of(one) == PerceptualHash.of(line))
  }
}
