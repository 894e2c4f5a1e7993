import DVAETensors

/// The similarity of two 8-bit images by every measure of `dvae evaluate`.
public struct PictureMeasures: Hashable, Sendable, Codable {
  /// Mean of the squared differences of bytes.
  public let meanSquare: Double
  /// Peak signal-to-noise ratio in decibels, peak 255, over all colours; nil for equal images,
  /// where it is infinite.
  public let psnr: Double?
  /// Mean absolute difference over all colours, with the range of bytes scaled to 1.
  public let l1: Double
  /// Structural similarity with a Gaussian window of 11×11 and σ = 1.5, and population covariance;
  /// nil for an image smaller than the window.
  ///
  /// Wang, Bovik, Sheikh and Simoncelli (2004), as in scikit-image: K₁ = 0.01, K₂ = 0.03, a range of
  /// 255, averaged over the positions where the window fits completely, then over the colours.
  public let ssim: Double?
  /// Structural similarity with a uniform 7×7 window and sample covariance, scikit-image's default.
  public let ssimUniform: Double?
  /// Multi-scale structural similarity; nil for a side below 176 pixels.
  ///
  /// With the weights of Wang, Simoncelli and Bovik (2003), the same Gaussian window, and 2×2 means
  /// between the scales.
  public let msSsim: Double?

  /// Compares two pictures of one size.
  public init(of picture: PixelImage, comparedTo original: PixelImage) {
    self.init(of: picture, comparedTo: original, isBrief: false)
  }

  /// Compares two pictures of one size; a brief comparison omits `ssimUniform` and `msSsim`, which
  /// take half of the time.
  package init(of picture: PixelImage, comparedTo original: PixelImage, isBrief: Bool) {
    precondition(
      picture.width == original.width && picture.height == original.height,
      "PictureMeasures: \(picture) and \(original)")
    var (squares, difference) = (0, 0)
    for (x, y) in zip(picture.pixels, original.pixels) {
      let distance = abs(Int(x) - Int(y))
      squares += distance * distance
      difference += distance
    }
    meanSquare = Double(squares) / Double(picture.pixels.count)
    l1 = Double(difference) / (255 * Double(picture.pixels.count))
    let psnr = peakSignalToNoiseRatio(meanSquare: meanSquare, peak: 255)
    self.psnr = psnr.isFinite ? psnr : nil
    var gaussian: [Double] = []
    var uniform: [Double] = []
    var multiScale: [Double] = []
    for channel in 0..<3 {
      let x = Plane(picture, channel)
      let y = Plane(original, channel)
      if let found = SimilarityWindow.gaussian.compare(x, y) {
        gaussian.append(found.similarity)
        if !isBrief, let value = SimilarityWindow.gaussian.multiScale(x, y, first: found) {
          multiScale.append(value)
        }
      }
      if !isBrief, let found = SimilarityWindow.uniform.compare(x, y) {
        uniform.append(found.similarity)
      }
    }
    ssim = Self.mean(gaussian)
    ssimUniform = Self.mean(uniform)
    msSsim = Self.mean(multiScale)
  }

  private static func mean(_ channels: [Double]) -> Double? {
    channels.isEmpty ? nil : channels.reduce(0, +) / Double(channels.count)
  }
}
