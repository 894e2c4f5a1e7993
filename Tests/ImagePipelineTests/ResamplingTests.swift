import ImagePipeline
import TensorModule
import Testing

@Suite struct ResamplingTests {
  /// Pillow 13.0.0 on the pattern picture.
  @Test(arguments: [
    (10, 8, 4, 3, 0x29ab_984b),
    (300, 400, 256, 341, 0xa879_8614),
    (640, 480, 112, 112, 0x8ec6_f42e),
  ])
  func lanczosEqualsPillow(_ w: Int, _ h: Int, _ width: Int, _ height: Int, _ crc: Int) {
    let image = Fixtures.pattern(width: w, height: h).resized(width: width, height: height)
    #expect(crc32(image.pixels) == UInt32(crc))
  }

  @Test func smallLanczosByHand() {
    let image = Fixtures.pattern(width: 10, height: 8).resized(width: 4, height: 3)
    #expect(
      image.pixels == [
        16, 3, 3, 33, 12, 15, 52, 36, 31, 69, 70, 41,
        50, 11, 17, 67, 20, 17, 86, 44, 16, 103, 78, 49,
        85, 20, 32, 102, 29, 20, 121, 53, 2, 138, 87, 56,
      ])
  }

  /// Enlarging, one axis alone, and the other filters; Pillow 13.0.0 on the pattern picture.
  @Test(arguments: ResamplingGoldens.all)
  func filtersEqualPillow(_ golden: ResamplingGoldens) throws {
    let filter = try #require(ResamplingFilter(rawValue: golden.filter))
    let image = Fixtures.pattern(width: golden.from.0, height: golden.from.1)
      .resized(width: golden.to.0, height: golden.to.1, filter: filter)
    #expect(crc32(image.pixels) == golden.crc)
  }

  @Test func sameSizeIsTheSamePicture() {
    let image = Fixtures.noise(width: 9, height: 7)
    for filter in ResamplingFilter.allCases {
      #expect(image.resized(width: 9, height: 7, filter: filter) == image)
    }
  }

  @Test func constantsStayConstant() {
    for value in [UInt8(0), 1, 127, 254, 255] {
      let image = PixelImage(
        width: 31, height: 22, pixels: .init(repeating: value, count: 3 * 31 * 22))
      for (width, height) in [(7, 5), (64, 40), (31, 9), (1, 1)] {
        #expect(image.resized(width: width, height: height).pixels.allSatisfy { $0 == value })
      }
    }
  }
}

struct ResamplingGoldens: Sendable {
  var filter: String
  var from: (Int, Int)
  var to: (Int, Int)
  var crc: UInt32

  // Printed by `Utilities/make_image_fixtures.py --resampling`.
  static let all: [ResamplingGoldens] = [
    .init(filter: "lanczos", from: (10, 8), to: (23, 17), crc: 0x93ec0a83),
    .init(filter: "lanczos", from: (13, 9), to: (13, 30), crc: 0xe2030742),
    .init(filter: "lanczos", from: (13, 9), to: (40, 9), crc: 0x6a0d03a9),
    .init(filter: "lanczos", from: (401, 333), to: (308, 256), crc: 0x11b5a06e),
    .init(filter: "lanczos", from: (97, 61), to: (1, 1), crc: 0xb6408356),
    .init(filter: "lanczos", from: (3, 2), to: (64, 64), crc: 0x2f58d928),
    .init(filter: "lanczos", from: (1000, 37), to: (100, 37), crc: 0x75ddf249),
    .init(filter: "bicubic", from: (10, 8), to: (23, 17), crc: 0x2e687f1a),
    .init(filter: "bicubic", from: (13, 9), to: (13, 30), crc: 0x6c34889e),
    .init(filter: "bicubic", from: (13, 9), to: (40, 9), crc: 0x05843124),
    .init(filter: "bicubic", from: (401, 333), to: (308, 256), crc: 0xe82202fc),
    .init(filter: "bicubic", from: (97, 61), to: (1, 1), crc: 0x2f49d2ec),
    .init(filter: "bicubic", from: (3, 2), to: (64, 64), crc: 0xf259aa35),
    .init(filter: "bicubic", from: (1000, 37), to: (100, 37), crc: 0x96ba0952),
    .init(filter: "bilinear", from: (10, 8), to: (23, 17), crc: 0xe292c481),
    .init(filter: "bilinear", from: (13, 9), to: (13, 30), crc: 0xa9d46b8b),
    .init(filter: "bilinear", from: (13, 9), to: (40, 9), crc: 0x32048ce6),
    .init(filter: "bilinear", from: (401, 333), to: (308, 256), crc: 0x66e05cb2),
    .init(filter: "bilinear", from: (97, 61), to: (1, 1), crc: 0xb6408356),
    .init(filter: "bilinear", from: (3, 2), to: (64, 64), crc: 0x30b97680),
    .init(filter: "bilinear", from: (1000, 37), to: (100, 37), crc: 0x360d6167),
  ]
}
