import CDVAEKernels
import DVAETensors

/// The number of directions that screening takes out of the features.
let screeningDirections = Int(DVAE_SCREENING_DIRECTIONS)

extension CPUEngine {
  /// Returns the mean over all positions and the directions in which they differ most, by subspace
  /// iteration on a sample: [1, 1, 1 + directions, C].
  func subspace(_ h: Tensor) -> Tensor {
    let (positions, channels) = (h.shape.positions, h.shape.channels)
    let subspace = Tensor(Shape(1, 1, 1 + screeningDirections, channels), repeating: 0)
    let sums = Tensor(Shape(1, 1, screeningDirections, channels), repeating: 0)
    let kernels = kernels
    team.runChunks(of: channels, size: 128) { range in
      let mean = subspace.pointer + range.lowerBound
      kernels.add_column_sums(
        h.pointer + range.lowerBound, channels, positions, Int32(range.count), mean)
      for i in 0..<range.count { mean[i] /= Float(positions) }
    }
    for j in 0..<screeningDirections {
      let row = h.pointer + j * positions / screeningDirections * channels
      for i in 0..<channels { sums.pointer[j * channels + i] = row[i] - subspace.pointer[i] }
    }
    for round in 0..<4 {
      if round > 0 {
        sums.elements.update(repeating: 0)
        for position in stride(from: 0, to: positions, by: max(1, positions / 128)) {
          kernels.add_covariance(
            h.pointer + position * channels, subspace.pointer, Int32(channels), sums.pointer)
        }
      }
      orthonormalize(sums)
      (subspace.pointer + channels).update(from: sums.pointer, count: sums.count)
    }
    return subspace
  }

  /// Makes the rows orthogonal and of unit length, or 0 where they depend on those before.
  private func orthonormalize(_ x: Tensor) {
    let channels = x.shape.channels
    for j in 0..<x.shape.positions {
      let row = x.pointer + j * channels
      func length() -> Double {
        (0..<channels).reduce(0.0) { $0 + Double(row[$1]) * Double(row[$1]) }.squareRoot()
      }
      let before = length()
      for other in 0..<j {
        let unit = x.pointer + other * channels
        let product = (0..<channels).reduce(0.0) { $0 + Double(row[$1]) * Double(unit[$1]) }
        for i in 0..<channels { row[i] -= Float(product) * unit[i] }
      }
      let after = length()
      let scale = after > 1e-4 * before && after.isFinite ? 1 / after : 0
      for i in 0..<channels { row[i] = scale == 0 ? 0 : Float(Double(row[i]) * scale) }
    }
  }
}
