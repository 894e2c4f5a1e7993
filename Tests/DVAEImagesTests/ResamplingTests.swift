import DVAETestSupport
import Foundation
import DVAEImages
import DVAETensors
import Testing

@Suite struct ResamplingTests {
  /// Pillow 13.0.0 on the pattern picture.
  @Test(arguments: [
    (10, 8, 4, 3, 0x29ab_984b),
    (300, 400, 256, 341, 0xa879_8614),
    (640, 480, 112, 112, 0x8ec6_f42e),
  ])
  func lanczosEqualsPillow(_ w: Int, _ h: Int, _ width: Int, _ height: Int, _ crc: Int) {
    let image = Fixture.pattern(width: w, height: h).resized(width: width, height: height)
    #expect(crc32(image.pixels) == UInt32(crc))
  }

  @Test func smallLanczosByHand() {
    let image = Fixture.pattern(width: 10, height: 8).resized(width: 4, height: 3)
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
    let image = Fixture.pattern(width: golden.from.0, height: golden.from.1)
      .resized(width: golden.to.0, height: golden.to.1, filter: filter)
    #expect(crc32(image.pixels) == golden.crc)
  }

  @Test func sameSizeIsTheSamePicture() {
    let image = Fixture.noise(width: 9, height: 7)
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

/// Every instruction set against plain loops.
@Suite struct ResamplingKernelTests {
  /// Rows and columns narrower than a vector and wider than several, enlarged and reduced; windows
  /// of odd and of even width.
  @Test(
    arguments: [
      (1, 1, 5, 3), (2, 3, 1, 1), (5, 40, 3, 17), (17, 9, 4, 6), (21, 33, 7, 11), (22, 5, 44, 13),
      (64, 50, 21, 50), (90, 31, 90, 10), (300, 20, 151, 19), (1000, 3, 10, 2),
    ], ResamplingFilter.allCases)
  func equalsPlainLoops(_ sizes: (Int, Int, Int, Int), _ filter: ResamplingFilter) {
    let (w, h, width, height) = sizes
    let image = Fixture.noise(width: w, height: h)
    let expected = slowResample(image, width: width, height: height, filter)
    for kernels in ImageKernels.supported {
      let found = image.resized(
        width: width, height: height, filter: filter, columns: 0..<width, rows: 0..<height,
        kernels: kernels)
      #expect(found == expected, "\(kernels.name)")
    }
  }

  /// Black and white give the largest sums, beyond both ends of the range of bytes.
  @Test func extremesAreCutOff() {
    let image = PixelImage(
      width: 40, height: 40,
      pixels: Fixture.noise(width: 40, height: 40).pixels.map { $0 < 128 ? 0 : 255 })
    let expected = slowResample(image, width: 97, height: 13, .lanczos)
    #expect(expected.pixels.contains(0) && expected.pixels.contains(255))
    for kernels in ImageKernels.supported {
      let found = image.resized(
        width: 97, height: 13, filter: .lanczos, columns: 0..<97, rows: 0..<13, kernels: kernels)
      #expect(found == expected, "\(kernels.name)")
    }
  }

  @Test(arguments: [
    (50, 60, 20, 31, 3..<17, 0..<31), (50, 60, 20, 60, 0..<1, 7..<60),
    (50, 60, 50, 31, 1..<50, 30..<31),
    (50, 60, 50, 60, 2..<9, 4..<5),
  ])
  func aPartIsThePartOfTheWhole(
    _ w: Int, _ h: Int, _ width: Int, _ height: Int, _ columns: Range<Int>, _ rows: Range<Int>
  ) {
    let image = Fixture.noise(width: w, height: h)
    let part = image.resized(
      width: width, height: height, filter: .lanczos, columns: columns, rows: rows)
    let whole = image.resized(width: width, height: height)
    #expect(
      part
        == whole.cropped(
          x: columns.lowerBound, y: rows.lowerBound, width: columns.count, height: rows.count))
  }
}

/// The reference for the kernels: Pillow's weights and sums, tap by tap.
private func slowResample(
  _ image: PixelImage, width: Int, height: Int, _ filter: ResamplingFilter
) -> PixelImage {
  func axis(_ input: Int, _ output: Int) -> [[(at: Int, weight: Int32)]] {
    let scale = Double(input) / Double(output)
    let stretch = max(scale, 1)
    let radius =
      switch filter {
      case .bilinear: 1.0
      case .bicubic: 2.0
      case .lanczos: 3.0
      }
    return (0..<output).map { index in
      let center = (Double(index) + 0.5) * scale
      let start = max(0, Int(center - radius * stretch + 0.5))
      let end = min(input, Int(center + radius * stretch + 0.5))
      let exact = (start..<end).map { slowWeight((Double($0) - center + 0.5) / stretch, filter) }
      let sum = exact.reduce(0, +)
      return zip(start..<end, exact).map { at, weight in
        (at, Int32((weight / sum * 4_194_304).rounded(.toNearestOrAwayFromZero)))
      }
    }
  }
  func sum(_ window: [(at: Int, weight: Int32)], _ value: (Int) -> UInt8) -> UInt8 {
    let sum = window.reduce(Int32(1 << 21)) { $0 &+ Int32(value($1.at)) &* $1.weight }
    return UInt8(min(max(sum >> 22, 0), 255))
  }
  var wide = image
  if width != image.width {
    let windows = axis(image.width, width)
    wide = PixelImage(
      width: width, height: image.height,
      pixels: (0..<image.height).flatMap { y in
        windows.flatMap { window in
          (0..<3).map { c in sum(window) { image.pixels[3 * (y * image.width + $0) + c] } }
        }
      })
  }
  guard height != image.height else { return wide }
  return PixelImage(
    width: width, height: height,
    pixels: axis(image.height, height).flatMap { window in
      (0..<3 * width).map { x in sum(window) { wide.pixels[3 * width * $0 + x] } }
    })
}

private func slowWeight(_ x: Double, _ filter: ResamplingFilter) -> Double {
  func sinc(_ x: Double) -> Double { x == 0 ? 1 : sin(x * .pi) / (x * .pi) }
  let distance = abs(x)
  switch filter {
  case .bilinear: return max(0, 1 - distance)
  case .bicubic:
    if distance < 1 { return (1.5 * distance - 2.5) * distance * distance + 1 }
    return distance < 2 ? ((distance - 5) * distance + 8) * distance * -0.5 + 2 : 0
  case .lanczos: return -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0
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
