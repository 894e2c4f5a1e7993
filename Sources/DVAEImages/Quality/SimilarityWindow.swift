import DVAETensors

/// One colour channel of an image.
struct Plane {
  let height: Int
  let width: Int
  var values: [Double]

  /// The plane at half size: means of 2×2 pixels; an odd last row or column is omitted.
  var halved: Plane {
    let (h, w) = (height / 2, width / 2)
    var means = [Double](repeating: 0, count: h * w)
    for y in 0..<h {
      for x in 0..<w {
        let at = 2 * y * width + 2 * x
        let (upper, lower) = (
          values[at] + values[at + 1], values[at + width] + values[at + width + 1]
        )
        means[y * w + x] = (upper + lower) / 4
      }
    }
    return Plane(height: h, width: w, values: means)
  }
}

extension Plane {
  init(_ image: PixelImage, _ channel: Int) {
    self.init(
      height: image.height, width: image.width,
      values: stride(from: channel, to: image.pixels.count, by: 3).map { Double(image.pixels[$0]) })
  }
}

/// The window of structural similarity.
///
/// The measure is that of Wang, Bovik, Sheikh and Simoncelli (2004) with K₁ = 0.01, K₂ = 0.03 and a
/// range of 255; means are over the positions where the window fits completely.
struct SimilarityWindow: Sendable {
  /// The weights along one axis, with sum 1; the window is the product of both axes.
  let weights: [Double]
  /// The factor of the variances within the window.
  let covarianceScale: Double

  /// 11×11, σ = 1.5, with population variances.
  static let gaussian: SimilarityWindow = {
    let weights = (-5...5).map { exponential(-0.5 * Double($0 * $0) / (1.5 * 1.5)) }
    let sum = weights.reduce(0, +)
    return SimilarityWindow(weights: weights.map { $0 / sum }, covarianceScale: 1)
  }()

  /// 7×7 with equal weights and sample variances: scikit-image's default.
  static let uniform = SimilarityWindow(
    weights: [Double](repeating: 1.0 / 7, count: 7), covarianceScale: 49.0 / 48)

  /// Returns the mean similarity of two planes of one size, and the mean of its contrast-structure
  /// factor; nil if the window does not fit.
  func compare(_ x: Plane, _ y: Plane) -> (similarity: Double, contrast: Double)? {
    guard min(x.height, x.width) >= weights.count else { return nil }
    let (ux, uy) = (means(x), means(y))
    let (uxx, uyy, uxy) = (means(x, x), means(y, y), means(x, y))
    let (c1, c2) = (6.5025, 58.5225)  // (0.01·255)², (0.03·255)²
    var (similarity, contrast) = (0.0, 0.0)
    for i in ux.indices {
      let (mx, my) = (ux[i], uy[i])
      let (vx, vy) = (uxx[i] - mx * mx, uyy[i] - my * my)
      let vxy = covarianceScale * (uxy[i] - mx * my)
      let cs = (2 * vxy + c2) / (covarianceScale * (vx + vy) + c2)
      similarity += (2 * mx * my + c1) / (mx * mx + my * my + c1) * cs
      contrast += cs
    }
    return (similarity / Double(ux.count), contrast / Double(ux.count))
  }

  /// Returns the multi-scale similarity of two planes.
  ///
  /// Wang, Simoncelli and Bovik (2003): contrast and structure at five scales, each half the size
  /// of the one before, and the full similarity at the last, each to the power of its weight;
  /// negative values count as 0.
  ///
  /// - Parameters:
  ///   - x: a plane
  ///   - y: a plane of the same size
  ///   - first: the result of `compare` at full size
  /// - Returns: nil if the window does not fit at the last scale: sides below 176 pixels
  func multiScale(
    _ x: Plane, _ y: Plane, first: (similarity: Double, contrast: Double)
  ) -> Double? {
    let exponents = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]
    guard min(x.height, x.width) >> (exponents.count - 1) >= weights.count else { return nil }
    var (x, y, found) = (x, y, first)
    var result = 1.0
    for (scale, exponent) in exponents.enumerated() {
      if scale > 0 {
        (x, y) = (x.halved, y.halved)
        guard let next = compare(x, y) else { return nil }
        found = next
      }
      let factor = scale == exponents.count - 1 ? found.similarity : found.contrast
      result *= power(max(0, factor), exponent)
    }
    return result
  }

  private func means(_ x: Plane, _ y: Plane) -> [Double] {
    means(Plane(height: x.height, width: x.width, values: zip(x.values, y.values).map { $0 * $1 }))
  }

  // Returns the weighted mean of every window that fits: rows first, then columns.
  private func means(_ x: Plane) -> [Double] {
    let (h, w) = (x.height - weights.count + 1, x.width - weights.count + 1)
    var rows = [Double](repeating: 0, count: h * x.width)
    for i in 0..<h {
      for (k, weight) in weights.enumerated() {
        for j in 0..<x.width { rows[i * x.width + j] += weight * x.values[(i + k) * x.width + j] }
      }
    }
    var result = [Double](repeating: 0, count: h * w)
    for i in 0..<h {
      for (k, weight) in weights.enumerated() {
        for j in 0..<w { result[i * w + j] += weight * rows[i * x.width + j + k] }
      }
    }
    return result
  }
}
