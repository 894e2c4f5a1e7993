import DVAEEvaluation
import DVAEFiles
import DVAEImages
import DVAEModel
import DVAETestSupport
import Testing

/// The protocols, the codecs' rows and the sums of an evaluation.
@Suite struct EvaluationTests {
  @Test func codecsStayWithinTheBytes() throws {
    let photo = try Preprocessing().apply(
      PixelImage(contentsOf: Fixture.imageFiles[1]), name: "photo")
    for format in ImageCodecRow.formats {
      let row = try #require(ImageCodecRow(format, of: photo, bytes: 6000))
      #expect(row.fits && row.bytes <= 6000 && row.bytes > 4000)
      // The next quality does not fit.
      let next =
        format == .jpeg
        ? try encodeJPEG(photo, quality: row.quality + 1)
        : try encodeWebP(photo, quality: Float(row.quality + 1))
      #expect(next.count > 6000)
      let generous = try #require(ImageCodecRow(format, of: photo, bytes: 1 << 24))
      #expect(generous.quality == 100 && generous.fits)
      let impossible = try #require(ImageCodecRow(format, of: photo, bytes: 100))
      #expect(!impossible.fits && impossible.bytes > 100)
      #expect(impossible.quality == (format == .jpeg ? 1 : 0))
    }
  }

  @Test func spreadsAndEntropiesAreCounted() throws {
    let spread = try #require(EvaluationSummary.Spread([1, 2, 3, 6]))
    #expect(spread.mean == 3 && spread.minimum == 1 && spread.maximum == 6)
    // (4 + 1 + 0 + 9) / 3
    #expect(abs(spread.standardDeviation - (14.0 / 3).squareRoot()) < 1e-12)
    #expect(EvaluationSummary.Spread([]) == nil)
    var use = CodebookUse(vocabulary: 8192)
    use.count([5, 5, 6, 7])
    let codebook = EvaluationSummary([], use, .released).codebook
    #expect(codebook.used == 3 && codebook.bitsPerToken == 13)
    #expect(abs(codebook.entropyBits - 1.5) < 1e-12)
    #expect(abs(codebook.perplexity - 2.8284271247461903) < 1e-12)
  }

  @Test func protocolsDoWhatTheySay() throws {
    let photo = try PixelImage(contentsOf: Fixture.imageFiles[2])
    #expect(photo.width == 401 && photo.height == 333)
    let native = try EvaluationProtocol.native.apply(photo, name: "photo")
    #expect(native.width == 400 && native.height == 328)
    // int(256 · 401 / 333) = 308
    let resized = photo.resized(width: 308, height: 256, filter: .bilinear)
    #expect(
      try EvaluationProtocol.bilinear256.apply(photo, name: "photo")
        == resized.cropped(x: 26, y: 0, width: 256, height: 256))
    #expect(
      try EvaluationProtocol.lanczos256.apply(photo, name: "photo")
        == Preprocessing().apply(photo, name: "photo"))
    let small = PixelImage(width: 9, height: 20, pixels: [UInt8](repeating: 7, count: 540))
    let enlarged = try EvaluationProtocol.bilinear256.apply(small, name: "small")
    #expect(enlarged.width == 256 && enlarged.height == 256)
    #expect(throws: DVAEError.self) {
      try EvaluationProtocol.lanczos256.apply(small, name: "small")
    }
  }

  /// The mean over images of each figure; the other ratio is that of the mean error.
  @Test func imagesHaveTheSameWeight() throws {
    let grey = PixelImage(width: 16, height: 16, pixels: [UInt8](repeating: 100, count: 768))
    let off = { (by: UInt8) in
      PixelImage(width: 16, height: 16, pixels: [UInt8](repeating: 100 + by, count: 768))
    }
    let parts = ObjectiveParts(reconstruction: -1.0, kl: 2.0, klWeight: 1.0)
    let images = [1, 3].map {
      ImageEvaluation(
        key: "a", of: off($0), comparedTo: grey, tokens: 4, bitsPerToken: 13, parts)
    }
    let summary = EvaluationSummary(images, CodebookUse(vocabulary: 8192), .released)
    let psnr = try #require(summary.model.psnr)
    // 10 log₁₀ 255²/1 and 255²/9; for the mean, 255²/5.
    #expect(abs(psnr.maximum - 48.130803609) < 1e-8 && abs(psnr.minimum - 38.588378515) < 1e-8)
    #expect(abs(psnr.mean - (48.130803609 + 38.588378515) / 2) < 1e-8)
    #expect(abs(try #require(summary.model.psnrOfMeanSquare) - 41.141103566) < 1e-8)
    #expect(summary.model.bytes == 7 && summary.images == 2)
    #expect(summary.codecs.map(\.images) == [2, 2])
  }

  /// Equal images have no finite ratio; they are left out of its mean, and no others.
  @Test func equalImagesHaveNoRatio() throws {
    let grey = PixelImage(width: 16, height: 16, pixels: [UInt8](repeating: 100, count: 768))
    let parts = ObjectiveParts(reconstruction: -1.0, kl: 2.0, klWeight: 1.0)
    let equal = ImageEvaluation(
      key: "a", of: grey, comparedTo: grey, tokens: 4, bitsPerToken: 13, parts)
    #expect(equal.model.psnr == nil && equal.model.l1 == 0 && equal.model.ssim == 1)
    let summary = EvaluationSummary([equal], CodebookUse(vocabulary: 8192), .released)
    #expect(summary.model.psnr == nil && summary.model.psnrOfMeanSquare == nil)
    #expect(summary.model.l1?.mean == 0)
  }
}
