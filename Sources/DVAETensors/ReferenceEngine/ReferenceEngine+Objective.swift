// MARK: The likelihood (A.3)

extension ReferenceEngine {
  /// Σ of −ln f = ln 2 + s + ln x + ln(1−x) + |logit x − μ|·e^−s.
  package func logitLaplaceLoss(_ statistics: Tensor, target: Tensor) -> Double {
    var sum = 0.0
    forEachPixelValue(statistics, target) { x, mean, logScale, _, _ in
      let distance = abs(logit(x) - mean)
      sum +=
        naturalLogarithm(2) + logScale + naturalLogarithm(x) + naturalLogarithm(1 - x)
        + distance * exponential(-logScale)
    }
    return sum
  }

  /// scale·(∂/∂μ, ∂/∂s): −sign(logit x − μ)·e^−s and 1 − |logit x − μ|·e^−s.
  package func logitLaplaceLossBackward(
    _ statistics: Tensor, target: Tensor, scale: Double
  ) -> Tensor {
    let gradient = makeTensor(statistics.shape)
    forEachPixelValue(statistics, target) { x, mean, logScale, meanIndex, scaleIndex in
      let difference = logit(x) - mean
      let sign: Double = difference > 0 ? 1 : difference < 0 ? -1 : 0
      let inverse = exponential(-logScale)
      gradient.pointer[meanIndex] = Float(scale * -sign * inverse)
      gradient.pointer[scaleIndex] = Float(scale * (1 - abs(difference) * inverse))
    }
    return gradient
  }

  private func logit(_ x: Double) -> Double { naturalLogarithm(x) - naturalLogarithm(1 - x) }

  /// Calls the body with x, μ, s and the indices of μ and s in the statistics.
  private func forEachPixelValue(
    _ statistics: Tensor, _ target: Tensor, _ body: (Double, Double, Double, Int, Int) -> Void
  ) {
    let channels = target.shape.channels
    requireEqual(
      statistics.shape, target.shape.with(channels: 2 * channels), "logitLaplaceLoss")
    for position in 0..<target.shape.positions {
      for c in 0..<channels {
        let mean = position * 2 * channels + c
        let scale = mean + channels
        body(
          Double(target.pointer[position * channels + c]), Double(statistics.pointer[mean]),
          Double(statistics.pointer[scale]), mean, scale)
      }
    }
  }
}

// MARK: The optimizer (A.2)

extension ReferenceEngine {
  /// m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²; p ← p − lr·(λp + m̂/(√v̂ + ε)); a ← γa + (1−γ)p.
  package func adamWStep(
    parameters: TensorSlice, gradients: TensorSlice, firstMoment: TensorSlice,
    secondMoment: TensorSlice, average: TensorSlice, _ step: AdamWStep<Double>
  ) {
    let count = parameters.count
    for other in [gradients, firstMoment, secondMoment, average] {
      precondition(
        other.count == count, "adamWStep: arenas of \(count) and \(other.count) elements")
    }
    let (beta1, beta2) = (Double(step.beta1), Double(step.beta2))
    let (correction1, correction2) = (step.correction1, step.correction2)
    for i in 0..<count {
      let g = step.gradientScale * Double(gradients.pointer[i])
      let m = beta1 * Double(firstMoment.pointer[i]) + (1 - beta1) * g
      let v = beta2 * Double(secondMoment.pointer[i]) + (1 - beta2) * g * g
      let direction = (m / correction1) / ((v / correction2).squareRoot() + Double(step.epsilon))
      let old = Double(parameters.pointer[i])
      let p = old - step.learningRate * (Double(step.weightDecay) * old + direction)
      let decay = Double(step.averageDecay)
      firstMoment.pointer[i] = Float(m)
      secondMoment.pointer[i] = Float(v)
      parameters.pointer[i] = Float(p)
      average.pointer[i] = Float(decay * Double(average.pointer[i]) + (1 - decay) * p)
    }
  }

  /// Σ x².
  package func sumOfSquares(_ x: TensorSlice) -> Double {
    x.elements.reduce(0) { $0 + Double($1) * Double($1) }
  }
}
