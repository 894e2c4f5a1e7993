import DVAEModel
package import EngineModule
package import TensorModule

extension TrainingState {
  /// Sets random weights so that the codes tell images apart from the first update on.
  ///
  /// The encoder's last layer is scaled and shifted so that over the given images each code's logit
  /// has mean 0, and all of them together this standard deviation. The decoder's first layer is
  /// scaled by √vocabulary: it reads one code at a time, so each weight has variance 1 then. What is
  /// frozen stays as it is.
  ///
  /// As drawn, the logits are nearly the same for any image, a handful of codes win everywhere, and
  /// the decoder hardly sees them: a short run ends before the others are found. The paper's run
  /// was long enough to do without.
  ///
  /// - Parameters:
  ///   - deviation: s; the KL term then starts near s²/2 nats
  ///   - images: mapped pixels, [N, H, W, 3]
  ///   - engine: what to compute with
  /// - Throws: `ModelInputError` for images of another shape
  package func spreadCodes<E: Engine>(
    to deviation: Double, over images: Tensor, engine: E
  ) throws {
    let encoder = ImageEncoder(
      configuration.architecture, parameters: parameters, engine: engine)
    let (means, variance) = try Self.moments(of: encoder.logits(images))
    guard variance > 0, variance.isFinite else { return }
    let scale = deviation / variance.squareRoot()
    change("encoder.blocks.output.conv.w") { _, weight in scale * weight }
    change("encoder.blocks.output.conv.b") { code, bias in scale * (bias - means[code]) }
    let codes = Double(configuration.architecture.vocabulary)
    change("decoder.blocks.input.w") { _, weight in codes.squareRoot() * weight }
  }

  /// The mean of each channel, and the variance of all around their own means.
  private static func moments(of logits: Tensor) -> (means: [Double], variance: Double) {
    let (positions, codes) = (logits.shape.positions, logits.shape.channels)
    var means = [Double](repeating: 0, count: codes)
    var squares = 0.0
    for position in 0..<positions {
      let row = logits.pointer + position * codes
      for code in 0..<codes {
        means[code] += Double(row[code]) / Double(positions)
        squares += Double(row[code]) * Double(row[code])
      }
    }
    let mean = means.reduce(0) { $0 + $1 * $1 } / Double(codes)
    return (means, squares / Double(positions * codes) - mean)
  }

  /// Changes each element of a parameter, and of its average, unless it is frozen.
  private func change(_ name: String, _ body: (_ index: Int, _ value: Double) -> Double) {
    guard !configuration.isFrozen(name), let values = parameters[name]?.values.elements,
      let averages = average[name]?.values.elements
    else { return }
    for i in values.indices {
      values[i] = Float(body(i, Double(values[i])))
      averages[i] = values[i]
    }
  }
}
