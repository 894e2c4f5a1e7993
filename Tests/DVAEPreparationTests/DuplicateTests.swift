import DVAETestSupport
import DVAEFiles
import DVAEPreparation
import DVAEImages
import DVAETensors
import Testing

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

  /// Photos stay within the usual distance of themselves, whatever was done to the file, and far
  /// from others.
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
