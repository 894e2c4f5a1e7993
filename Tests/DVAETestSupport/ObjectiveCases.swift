package import DVAETensors

/// The logit-Laplace likelihood and its gradient.
package struct LikelihoodCase: OperationCase {
  /// The shape of the target; the statistics have twice the channels.
  package var target: Shape

  /// `likelihood on [2, 5, 7, 3]`.
  package var testDescription: String { "likelihood on \(target)" }

  private var x: Tensor { .random(target, seed: 1, in: 0.1...0.9) }
  private var statistics: Tensor {
    .random(target.with(channels: 2 * target.channels), seed: 2, in: -3...3)
  }
  private let scale = 0.5

  /// Returns the loss, and its gradient by μ and s.
  package func results(of engine: some HostEngine) -> [OperationResult] {
    [
      OperationResult(
        "logitLaplaceLoss", [engine.logitLaplaceLoss(statistics, target: x)]),
      OperationResult(
        "logitLaplaceLossBackward",
        engine.logitLaplaceLossBackward(statistics, target: x, scale: scale)),
    ]
  }

  /// Some twenty roundings per term, and those of 64 terms that may be summed in float.
  package func bounds() -> [[Double]] {
    let (x, s) = (x.doubles, statistics.doubles)
    let channels = target.channels
    var sum = 0.0
    var gradient = [Double](repeating: 0, count: s.count)
    for i in x.indices {
      let mean = i / channels * 2 * channels + i % channels
      let logScale = s[mean + channels]
      let (lower, upper) = (naturalLogarithm(x[i]), naturalLogarithm(1 - x[i]))
      let inverse = exponential(-logScale)
      let reach = (abs(lower) + abs(upper) + abs(s[mean])) * inverse
      let error = (20 + abs(logScale)) * roundoff
      sum +=
        naturalLogarithm(2) + abs(logScale) + abs(lower) + abs(upper) + reach * (1 + abs(logScale))
      // If the sign itself depends on rounding, either is right.
      let isKink = abs(lower - upper - s[mean]) * inverse <= error * reach
      gradient[mean] = Double(scale) * inverse * (isKink ? 2 : error)
      gradient[mean + channels] = Double(scale) * error * (1 + reach)
    }
    return [[(20 + 64) * roundoff * sum], gradient]
  }
}

/// One AdamW update with its average, and the sum of squares.
package struct OptimizerCase: OperationCase {
  /// The length of the arenas.
  package var count: Int
  /// The number of updates done, including this one.
  package var update: Int

  /// `adamWStep 1000 on 17`.
  package var testDescription: String { "adamWStep \(update) on \(count)" }

  private var step: AdamWStep<Double> {
    AdamWStep(learningRate: 1e-3, weightDecay: 0.1, gradientScale: 0.5, count: update)
  }
  // Slices that start off every alignment.
  private func arena(_ seed: UInt64, in range: ClosedRange<Float>) -> TensorSlice {
    Tensor.random(Shape(1, 1, 1, count + 1), seed: seed, in: range)[1..<count + 1]
  }
  private var state: [TensorSlice] {
    [
      arena(1, in: -1...1), arena(2, in: -1...1), arena(3, in: -1...1), arena(4, in: 0...1),
      arena(5, in: -1...1),
    ]
  }

  /// p, m, v and a after the update; Σ p² before it.
  package func results(of engine: some HostEngine) -> [OperationResult] {
    let state = state
    let squares = engine.sumOfSquares(state[0])
    engine.adamWStep(
      parameters: state[0], gradients: state[1], firstMoment: state[2], secondMoment: state[3],
      average: state[4], step)
    let names = ["p", "g", "m", "v", "a"]
    return zip(names, state).map { OperationResult($0, $1.elements.map(Double.init)) }
      + [OperationResult("sumOfSquares", [squares])]
  }

  /// Up to sixteen roundings of the direction; the sum of squares is in double.
  package func bounds() -> [[Double]] {
    let before = state.map { $0.elements.map(Double.init) }
    let after = results(of: ReferenceEngine())
    let rate = Double(step.learningRate)
    func bound(_ value: (Int) -> Double) -> [Double] { (0..<count).map { roundoff * value($0) } }
    let p = bound { i in
      let moved = abs(after[0].values[i] - before[0][i]) + rate * 0.1 * abs(before[0][i])
      let momentum = (abs(before[2][i]) + abs(before[1][i])) / max(abs(after[2].values[i]), 1e-30)
      return 2 * abs(before[0][i]) + 2 * moved * (16 + 4 * momentum)
    }
    let m = bound { 4 * (abs(before[2][$0]) + abs(before[1][$0])) }
    let v = bound { 6 * (before[3][$0] + before[1][$0] * before[1][$0]) }
    let a = bound { 4 * (abs(before[4][$0]) + abs(before[0][$0])) }
    let squares = 0x1p-53 * Double(count + 4) * before[0].reduce(0) { $0 + $1 * $1 }
    return [p, bound { _ in 0 }, m, v, a, [squares]]
  }
}
