import DVAETestSupport
import DVAEFiles
import DVAEImages
import DVAETensors
import Foundation
import Testing

@Suite struct PreprocessingTests {
  /// The reference's own inputs: Pillow, centre crop, /255 and map_pixels in PyTorch, bit for bit.
  @Test(arguments: ["kodim23.png", "odd_401x333.png", "kodim04.jpg"])
  func equalsTheReference(_ name: String) throws {
    let image = try Preprocessing().apply(Fixture.image("images/\(name)"), name: name)
    #expect(image.width == 256 && image.height == 256)
    let mapped = mappedTensor([image]).array
    let stem = name.split(separator: ".")[0]
    let expected = try Fixture.floats(npy: "tiny/\(stem).input.npy")
    // The reference is [1, 3, H, W], this package's is [1, H, W, 3].
    let plane = 256 * 256
    try #require(expected.count == 3 * plane)
    let differing = (0..<3 * plane).filter {
      mapped[$0].bitPattern != expected[$0 % 3 * plane + $0 / 3].bitPattern
    }
    #expect(differing.isEmpty, "\(differing.count) samples differ")
  }

  /// torchvision's sizes after the resize (width, height of the image, then of the result).
  @Test(arguments: [
    (1000, 667, 384, 256), (640, 480, 341, 256), (333, 500, 256, 384), (257, 999, 256, 995),
  ])
  func centerResizesThenCrops(_ w: Int, _ h: Int, _ width: Int, _ height: Int) throws {
    let image = Fixture.noise(width: w, height: h)
    let result = try Preprocessing().apply(image, name: "noise")
    let resized = image.resized(width: width, height: height)
    #expect(result == (try resized.centerCropped(width: 256, height: 256, name: "noise")))
  }

  /// torchvision's int(round(d / 2)), half to even.
  @Test(arguments: [
    (0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 2), (6, 3), (7, 4), (8, 4), (9, 4), (85, 42),
    (87, 44), (739, 370),
  ])
  func centerOffsetRoundsHalfToEven(_ surplus: Int, _ offset: Int) throws {
    #expect(PixelImage.centerOffset(surplus: surplus) == offset)
    let strip = PixelImage(
      width: 4 + surplus, height: 1,
      pixels: (0..<4 + surplus).flatMap { x in [UInt8(x % 251), 0, 0] })
    #expect(try strip.centerCropped(width: 4, height: 1, name: "")[0, 0].red == UInt8(offset % 251))
    let column = PixelImage(
      width: 1, height: 4 + surplus,
      pixels: (0..<4 + surplus).flatMap { x in [UInt8(x % 251), 0, 0] })
    #expect(
      try column.centerCropped(width: 1, height: 4, name: "")[0, 0].red == UInt8(offset % 251))
  }

  @Test func stretchIsOneResize() throws {
    let image = Fixture.noise(width: 300, height: 150)
    let settings = Preprocessing(resolution: 112, crop: .stretch)
    #expect(try settings.apply(image, name: "") == image.resized(width: 112, height: 112))
  }

  /// Hugging Face's FLAVA processor and BEiT's region, byte for byte; one photo is enlarged.
  @Test(
    arguments: [Preprocessing.Name.beit, .flava],
    ["images/kodim04.jpg", "images/kodim23.png", "images/odd_401x333.png", "codecs/jpeg_420.jpg"])
  func namedPreprocessingsGiveThePublishedPixels(
    _ name: Preprocessing.Name, _ photo: String
  ) throws {
    let stem = photo.split(separator: "/")[1].split(separator: ".")[0]
    let expected = try Fixture.image("preprocessing/\(stem).\(name.rawValue).png")
    #expect(try Preprocessing(name).apply(Fixture.image(photo), name: photo) == expected)
  }

  @Test func namesAreRecordedBesideTheSettings() throws {
    func json(_ settings: Preprocessing) throws -> String {
      let encoder = JSONEncoder()
      encoder.outputFormatting = .sortedKeys
      let data = try encoder.encode(settings)
      #expect(try JSONDecoder().decode(Preprocessing.self, from: data) == settings)
      return String(decoding: data, as: UTF8.self)
    }
    #expect(
      try json(Preprocessing(.openai)) == #"{"crop":"center","resolution":256,"upscale":false}"#)
    #expect(
      try json(Preprocessing(.flava))
        == #"{"crop":"stretch","name":"flava","resolution":112,"upscale":true}"#)
    #expect(
      try json(Preprocessing(.beit))
        == #"{"crop":"bounded","name":"beit","resolution":112,"upscale":true}"#)
    #expect(Preprocessing(resolution: 112, crop: .stretch, upscale: true).name == .flava)
    #expect(Preprocessing(resolution: 112).name == nil)
  }

  @Test func noneCutsToMultiplesOfEight() throws {
    let image = Fixture.noise(width: 29, height: 16)
    let result = try Preprocessing(crop: .none).apply(image, name: "")
    // A surplus of 5 leaves 2 columns at the left.
    #expect(result == image.cropped(x: 2, y: 0, width: 24, height: 16))
  }

  @Test func smallPicturesAreErrors() throws {
    let image = Fixture.noise(width: 300, height: 200)
    let expected = DVAEError.tooSmall(
      name: "small", width: 300, height: 200, neededWidth: 256, neededHeight: 256)
    for crop in [Preprocessing.CropMode.center, .stretch] {
      #expect(throws: expected) { try Preprocessing(crop: crop).apply(image, name: "small") }
      let upscaled = try Preprocessing(crop: crop, upscale: true).apply(image, name: "small")
      #expect(upscaled.width == 256 && upscaled.height == 256)
    }
    #expect(throws: DVAEError.self) {
      try Preprocessing(crop: .none).apply(Fixture.noise(width: 7, height: 99), name: "")
    }
    #expect(throws: DVAEError.self) { try image.centerCropped(width: 301, height: 1, name: "") }
    #expect(throws: DVAEError.self) { try image.centerCropped(width: 0, height: 1, name: "") }
  }

  @Test func impossibleSettingsAreErrors() {
    let image = Fixture.noise(width: 20, height: 20)
    for crop in [Preprocessing.CropMode.center, .stretch] {
      #expect(
        throws: DVAEError.tooLargeResized(name: "", width: 65536, height: 65536)
      ) { try Preprocessing(resolution: 65536, crop: crop, upscale: true).apply(image, name: "") }
    }
    for resolution in [-8, 0, 4, 12, 255, 1 << 40] {
      #expect(throws: DVAEError.self) {
        try Preprocessing(resolution: resolution, upscale: true).apply(image, name: "")
      }
    }
    // This image would become 256 × 25 600 000.
    let sliver = Fixture.noise(width: 1, height: 100_000)
    #expect(throws: DVAEError.self) { try Preprocessing(upscale: true).apply(sliver, name: "") }
  }
}

@Suite struct PixelMappingTests {
  /// Values from PyTorch in float32.
  @Test func endsOfTheTable() {
    #expect(PixelMapping.table.count == 256)
    #expect(PixelMapping.table[0] == 0.1)
    #expect(PixelMapping.table[255] == 0.90000004)
  }

  /// Mapping, unmapping and truncating to bytes decreases 13 of the 256 values by one.
  @Test func roundTripIsTheReferences() {
    let samples = PixelMapping.table.flatMap { [$0, $0, $0] }
    let image = samples.withUnsafeBufferPointer { unmapPixels($0, width: 16, height: 16) }
    let changed = (0..<256).filter { image.pixels[3 * $0] != UInt8($0) }
    #expect(changed.count == 13)
    #expect(changed.allSatisfy { Int(image.pixels[3 * $0]) == $0 - 1 })
  }

  @Test func unmappedIsClamped() {
    #expect(PixelMapping.unmapped(0) == 0)
    #expect(PixelMapping.unmapped(1) == 1)
    #expect(PixelMapping.unmapped(.nan) == 0)
    #expect(PixelMapping.unmapped(.infinity) == 1)
    #expect(PixelMapping.byte(-.infinity) == 0)
    #expect(PixelMapping.unmapped(0.5) == 0.5)
  }

  @Test func batchesAreConcatenated() {
    let images = (1...3).map { Fixture.noise(width: 4, height: 2, seed: $0) }
    let tensor = mappedTensor(images)
    #expect(tensor.shape == Shape(3, 2, 4, 3))
    #expect(tensor.array == images.flatMap(\.pixels).map { PixelMapping.table[Int($0)] })
  }
}
