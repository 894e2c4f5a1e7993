import TensorModule

/// How near one picture is to another, both 8-bit with the same size and interleaved channels.
///
/// The protocol is scikit-image's: PSNR over all channels together; SSIM (Wang et al. 2004) with a
/// Gaussian window of σ = 1.5 and 11×11, population covariance, K₁ = 0.01, K₂ = 0.03, a range of
/// 255, the mean over the places where the whole window fits, then over the channels.
public struct ImageQuality: Hashable, Sendable {
  /// Peak signal-to-noise ratio in decibels; infinite for equal pictures.
  public let psnr: Double
  /// Mean structural similarity, at most 1; nil for pictures smaller than the window.
  public let ssim: Double?

  /// Compares two pictures.
  ///
  /// - Parameters:
  ///   - picture: [height, width, channels], 8-bit
  ///   - original: the same
  ///   - height: rows
  ///   - width: columns
  ///   - channels: 3 for RGB
  public init(
    of picture: [UInt8], comparedTo original: [UInt8], height: Int, width: Int, channels: Int = 3
  ) {
    precondition(
      picture.count == height * width * channels && original.count == picture.count,
      "ImageQuality: \(picture.count) and \(original.count) bytes for \(height)×\(width)×\(channels)"
    )
    psnr = Self.psnr(picture, original)
    guard min(height, width) >= Self.window.count else {
      ssim = nil
      return
    }
    var sum = 0.0
    for channel in 0..<channels {
      let plane = { (bytes: [UInt8]) in
        stride(from: channel, to: bytes.count, by: channels).map { Double(bytes[$0]) }
      }
      sum += Self.ssim(plane(picture), plane(original), height, width)
    }
    ssim = sum / Double(channels)
  }

  private static func psnr(_ a: [UInt8], _ b: [UInt8]) -> Double {
    var squares = 0
    for (x, y) in zip(a, b) { squares += (Int(x) - Int(y)) * (Int(x) - Int(y)) }
    guard squares > 0 else { return .infinity }
    return 10 * naturalLogarithm(255 * 255 * Double(a.count) / Double(squares))
      / naturalLogarithm(10)
  }

  private static let window: [Double] = {
    let weights = (-5...5).map { exponential(-0.5 * Double($0 * $0) / (1.5 * 1.5)) }
    let sum = weights.reduce(0, +)
    return weights.map { $0 / sum }
  }()

  private static func ssim(_ x: [Double], _ y: [Double], _ height: Int, _ width: Int) -> Double {
    let mean = { filtered($0, height, width) }
    let (ux, uy) = (mean(x), mean(y))
    let (uxx, uyy) = (mean(product(x, x)), mean(product(y, y)))
    let uxy = mean(product(x, y))
    let (c1, c2) = (6.5025, 58.5225)  // (0.01·255)², (0.03·255)²
    var sum = 0.0
    for i in ux.indices {
      let (mx, my) = (ux[i], uy[i])
      let (vx, vy, vxy) = (uxx[i] - mx * mx, uyy[i] - my * my, uxy[i] - mx * my)
      sum += (2 * mx * my + c1) * (2 * vxy + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    }
    return sum / Double(ux.count)
  }

  private static func product(_ x: [Double], _ y: [Double]) -> [Double] {
    zip(x, y).map { $0 * $1 }
  }

  // The weighted mean of every window that fits: rows first, then columns.
  private static func filtered(_ x: [Double], _ height: Int, _ width: Int) -> [Double] {
    let (h, w) = (height - window.count + 1, width - window.count + 1)
    var rows = [Double](repeating: 0, count: h * width)
    for i in 0..<h {
      for (k, weight) in window.enumerated() {
        for j in 0..<width { rows[i * width + j] += weight * x[(i + k) * width + j] }
      }
    }
    var result = [Double](repeating: 0, count: h * w)
    for i in 0..<h {
      for (k, weight) in window.enumerated() {
        for j in 0..<w { result[i * w + j] += weight * rows[i * width + j + k] }
      }
    }
    return result
  }
}
