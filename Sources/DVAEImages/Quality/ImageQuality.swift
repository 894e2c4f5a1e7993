import DVAETensors

/// PSNR and SSIM of two 8-bit images with the same size and interleaved channels.
///
/// The protocol is scikit-image's: PSNR over all channels together; SSIM (Wang et al. 2004) with a
/// Gaussian window of σ = 1.5 and 11×11, population covariance, K₁ = 0.01, K₂ = 0.03, a range of
/// 255, averaged over the positions where the window fits completely, then over the channels.
package struct ImageQuality: Hashable, Sendable {
  /// Peak signal-to-noise ratio in decibels; infinite for equal images.
  package let psnr: Double
  /// Mean structural similarity, at most 1; nil for images smaller than the window.
  package let ssim: Double?

  /// Compares two images.
  ///
  /// - Parameters:
  ///   - picture: [height, width, channels], 8-bit
  ///   - original: the same
  ///   - height: rows
  ///   - width: columns
  ///   - channels: 3 for RGB
  package init(
    of picture: [UInt8], comparedTo original: [UInt8], height: Int, width: Int, channels: Int = 3
  ) {
    precondition(
      picture.count == height * width * channels && original.count == picture.count,
      "ImageQuality: \(picture.count) and \(original.count) bytes for \(height)×\(width)×\(channels)"
    )
    psnr = peakSignalToNoiseRatio(meanSquare: Self.meanSquare(picture, original), peak: 255)
    var sum: Double? = 0
    for channel in 0..<channels {
      let found = SimilarityWindow.gaussian.compare(
        Plane(picture, channel, of: channels, height: height, width: width),
        Plane(original, channel, of: channels, height: height, width: width))
      sum = found.flatMap { found in sum.map { $0 + found.similarity } }
    }
    ssim = sum.map { $0 / Double(channels) }
  }

  /// Returns the mean of the squared differences of bytes.
  static func meanSquare(_ a: [UInt8], _ b: [UInt8]) -> Double {
    var squares = 0
    for (x, y) in zip(a, b) { squares += (Int(x) - Int(y)) * (Int(x) - Int(y)) }
    return Double(squares) / Double(max(1, a.count))
  }
}
