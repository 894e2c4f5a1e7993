package import DVAETensors

/// Softmax, the Gumbel relaxation, the KL term, and the backward passes of the last two.
package struct BottleneckCase: OperationCase {
  /// The shape of the logits.
  package var shape: Shape
  /// τ.
  package var temperature: Double
  /// The logits are in ± this.
  package var spread: Float = 8

  /// `bottleneck on [2, 5, 7, 100], τ 0.0625`.
  package var testDescription: String { "bottleneck on \(shape), τ \(temperature)" }

  private var logits: Tensor { .random(shape, seed: 1, in: -spread...spread) }
  private var uniform: Tensor { .random(shape, seed: 2, in: 0x1p-10...(1 - 0x1p-10)) }
  // The blocks of four numbers pass 2³² within a vector.
  private var seeded: GumbelNoise<Tensor> { .seeded(seed: 3, stream: 4, first: (1 << 34) - 30) }
  private var dy: Tensor { .random(shape, seed: 5) }
  private let klScale: Double = 0.25

  /// Makes a row of the table.
  package init(_ shape: Shape, temperature: Double, spread: Float = 8) {
    self.shape = shape
    self.temperature = temperature
    self.spread = spread
  }

  /// q, y with given and with seeded noise, the KL sum, dℓ of both and of the relaxation alone.
  package func results(of engine: some HostEngine) -> [OperationResult] {
    let (logits, dy, dyAlone) = (logits, dy, dy)
    let given = engine.gumbelSoftmax(
      logits, noise: .uniform(uniform), temperature: temperature)
    // The backward pass uses the same relaxed sample for all engines.
    let y = relaxed(.uniform(uniform))
    _ = engine.gumbelSoftmaxBackward(
      dy, y: y, logits: logits, temperature: temperature, klScale: klScale)
    _ = engine.gumbelSoftmaxBackward(
      dyAlone, y: y, logits: logits, temperature: temperature, klScale: 0)
    return [
      OperationResult("softmaxChannels", engine.softmaxChannels(logits)),
      OperationResult("gumbelSoftmax", given),
      OperationResult(
        "gumbelSoftmax, seeded",
        engine.gumbelSoftmax(logits, noise: seeded, temperature: temperature)),
      OperationResult("klToUniform", [engine.klToUniform(logits)]),
      OperationResult("gumbelSoftmaxBackward", dy),
      OperationResult("gumbelSoftmaxBackward without KL", dyAlone),
    ]
  }

  private func relaxed(_ noise: GumbelNoise<Tensor>) -> Tensor {
    ReferenceEngine().gumbelSoftmax(logits, noise: noise, temperature: temperature)
  }

  /// A power e^a carries a's rounding, the softmax's sum one rounding per channel.
  package func bounds() -> [[Double]] {
    let channels = shape.channels
    let (l, q) = (logits.doubles, ReferenceEngine().softmaxChannels(logits).doubles)
    var bounds = Array(repeating: [Double](), count: 6)
    var klBound = 0.0
    for first in stride(from: 0, to: shape.count, by: channels) {
      let row = first..<first + channels
      let largest = row.map { l[$0] }.max() ?? 0
      let entropy = row.reduce(0) { $0 + q[$1] * abs(logOf(q[$1])) }
      for k in row {
        // Relative error of one q: the sum, the power, and the argument's own rounding.
        let relative = (Double(channels) + 16 + 2 * (largest - l[k])) * roundoff
        bounds[0].append(relative * q[k] + smallestNormal)
        klBound += relative * q[k] * (abs(logOf(q[k])) + naturalLogarithm(Double(channels)))
        bounds[4].append(
          Double(klScale) * 2 * relative * q[k] * (abs(logOf(q[k])) + entropy) + smallestNormal)
      }
    }
    bounds[1] = relaxedBounds(.uniform(uniform))
    bounds[2] = relaxedBounds(seeded)
    bounds[3] = [klBound]
    bounds[5] = backwardBounds()
    bounds[4] = zip(bounds[4], bounds[5]).map { $0 + $1 }
    return bounds
  }

  /// The argument (ℓ + g)/τ carries the roundings of ℓ, of g and of the inner logarithm, each
  /// magnified by 1/τ; the softmax turns that into a relative error.
  private func relaxedBounds(_ noise: GumbelNoise<Tensor>) -> [Double] {
    let (l, y) = (logits.doubles, relaxed(noise).doubles)
    let tau = Double(temperature)
    let arguments = l.indices.map { i in
      (l[i] - naturalLogarithm(-naturalLogarithm(noise[i]))) / tau
    }
    return l.indices.map { i in
      let row = i / shape.channels * shape.channels..<(i / shape.channels + 1) * shape.channels
      let largest = row.map { arguments[$0] }.max() ?? 0
      let shift = row.map { abs(l[$0]) + abs(arguments[$0] * tau - l[$0]) }.max() ?? 0
      let argument = (4 * shift + 8) / tau + 2 * (largest - arguments[i])
      return (Double(shape.channels) + 16 + argument) * roundoff * y[i] + smallestNormal
    }
  }

  /// y(dy − Σ dy·y)/τ: one rounding per channel on the sum.
  ///
  /// Subnormal y may be flushed to zero before the multiplication, and the product before the
  /// division.
  private func backwardBounds() -> [Double] {
    let (y, dy) = (relaxed(.uniform(uniform)).doubles, dy.doubles)
    return y.indices.map { i in
      let row = i / shape.channels * shape.channels..<(i / shape.channels + 1) * shape.channels
      let sum = row.reduce(0) { $0 + abs(dy[$1] * y[$1]) }
      let factor = (abs(dy[i]) + sum) / Double(temperature)
      return (Double(shape.channels) + 8) * roundoff * y[i] * factor
        + smallestNormal * (1 + factor + 1 / Double(temperature))
    }
  }

  private func logOf(_ q: Double) -> Double { q > 0 ? naturalLogarithm(q) : 0 }
}
