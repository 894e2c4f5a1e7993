import DVAETestSupport
import DVAEImages
import Testing

@Suite struct PictureMeasuresTests {
  private let height = 24
  private let width = 31

  private func picture(_ f: (Int, Int, Int) -> Int) -> PixelImage {
    var bytes: [UInt8] = []
    for y in 0..<height {
      for x in 0..<width {
        for c in 0..<3 { bytes.append(UInt8(truncatingIfNeeded: f(x, y, c))) }
      }
    }
    return PixelImage(width: width, height: height, pixels: bytes)
  }

  /// The values are scikit-image's: see Utilities/image_quality_oracle.py.
  @Test(arguments: [true, false]) func agreesWithScikitImage(isBrief: Bool) throws {
    let a = picture { x, y, c in 7 * x + 13 * y + 40 * c }
    let b = picture { x, y, c in 7 * x + 13 * y + 40 * c + (x * y + c) % 9 }
    let found = PictureMeasures(of: b, comparedTo: a, isBrief: isBrief)
    #expect(abs(try #require(found.psnr) - 17.662690594475137) < 1e-9)
    #expect(abs(try #require(found.ssim) - 0.8664528745170571) < 1e-9)
    #expect((found.ssimUniform == nil) == isBrief)
  }

  @Test func equalPicturesArePerfect() {
    let a = picture { x, y, c in x * y + c }
    let found = PictureMeasures(of: a, comparedTo: a)
    #expect(found.psnr == nil)
    #expect(found.ssim.map { abs($0 - 1) < 1e-12 } == true)
  }

  @Test func smallPicturesHaveNoSimilarity() throws {
    let flat = { PixelImage(width: 10, height: 10, pixels: [UInt8](repeating: $0, count: 300)) }
    let found = PictureMeasures(of: flat(1), comparedTo: flat(2))
    #expect(found.ssim == nil)
    #expect(abs(try #require(found.psnr) - 48.1308) < 1e-3)
  }

  /// The values are scikit-image's and, for MS-SSIM, of its formula written out: see
  /// Utilities/image_quality_oracle.py.
  @Test func everyMeasureAgreesWithScikitImage() throws {
    let formula = { (difference: Int) -> PixelImage in
      var bytes: [UInt8] = []
      for y in 0..<179 {
        for x in 0..<201 {
          for c in 0..<3 {
            let value = 7 * x + 13 * y + 40 * c + difference * ((x * y + c) % 9)
            bytes.append(UInt8(truncatingIfNeeded: value))
          }
        }
      }
      return PixelImage(width: 201, height: 179, pixels: bytes)
    }
    try expect(
      PictureMeasures(of: formula(1), comparedTo: formula(0)), psnr: 18.52789020611409,
      l1: 0.02800279102533849, ssim: 0.9053326516129904, uniform: 0.9125300039193891,
      multiScale: 0.981418762139039)
    let photo = try PixelImage(contentsOf: Fixture.imageFiles[1])
    let coarse = PixelImage(
      width: photo.width, height: photo.height, pixels: photo.pixels.map { $0 / 32 * 32 + 16 })
    try expect(
      PictureMeasures(of: coarse, comparedTo: photo), psnr: 28.627645152772114,
      l1: 0.032099685170292075, ssim: 0.7848345691440173, uniform: 0.7752249307948698,
      multiScale: 0.8956983488058569)
  }

  private func expect(
    _ found: PictureMeasures, psnr: Double, l1: Double, ssim: Double, uniform: Double,
    multiScale: Double
  ) throws {
    #expect(abs(try #require(found.psnr) - psnr) < 1e-6)
    #expect(abs(found.l1 - l1) < 1e-9)
    #expect(abs(try #require(found.ssim) - ssim) < 1e-6)
    #expect(abs(try #require(found.ssimUniform) - uniform) < 1e-6)
    #expect(abs(try #require(found.msSsim) - multiScale) < 1e-6)
  }

  @Test func measuresNeedRoomForTheirWindows() {
    let picture = { (side: Int) in
      PixelImage(
        width: side, height: 300, pixels: [UInt8](repeating: UInt8(side), count: side * 900))
    }
    let narrow = PictureMeasures(of: picture(175), comparedTo: picture(175))
    #expect(narrow.psnr == nil && narrow.l1 == 0 && narrow.ssim != nil && narrow.msSsim == nil)
    let tiny = PictureMeasures(of: picture(10), comparedTo: picture(10))
    #expect(tiny.ssim == nil && tiny.ssimUniform != nil)
    #expect(PictureMeasures(of: picture(176), comparedTo: picture(176)).msSsim != nil)
  }
}
