import DVAEKit
import Testing

@Suite struct ImageQualityTests {
  private let height = 24
  private let width = 31

  private func picture(_ f: (Int, Int, Int) -> Int) -> [UInt8] {
    var bytes: [UInt8] = []
    for y in 0..<height {
      for x in 0..<width {
        for c in 0..<3 { bytes.append(UInt8(truncatingIfNeeded: f(x, y, c))) }
      }
    }
    return bytes
  }

  /// The numbers are of scikit-image: see Utilities/image_quality_oracle.py.
  @Test func agreesWithScikitImage() throws {
    let a = picture { x, y, c in 7 * x + 13 * y + 40 * c }
    let b = picture { x, y, c in 7 * x + 13 * y + 40 * c + (x * y + c) % 9 }
    let quality = ImageQuality(of: b, comparedTo: a, height: height, width: width)
    #expect(abs(quality.psnr - 17.662690594475137) < 1e-9)
    #expect(abs(try #require(quality.ssim) - 0.8664528745170571) < 1e-9)
  }

  @Test func equalPicturesArePerfect() {
    let a = picture { x, y, c in x * y + c }
    let quality = ImageQuality(of: a, comparedTo: a, height: height, width: width)
    #expect(quality.psnr == .infinity)
    #expect(quality.ssim.map { abs($0 - 1) < 1e-12 } == true)
  }

  @Test func smallPicturesHaveNoSimilarity() {
    let quality = ImageQuality(
      of: [UInt8](repeating: 1, count: 300), comparedTo: [UInt8](repeating: 2, count: 300),
      height: 10, width: 10)
    #expect(quality.ssim == nil)
    #expect(abs(quality.psnr - 48.1308) < 1e-3)
  }
}
