package import DVAETensors

/// The values that change with every update, on any engine.
package struct UpdateNumbers<Scalar: EngineScalar>: Sendable {
  /// τ.
  package var temperature: Scalar
  /// β.
  package var klWeight: Scalar
  /// The learning rate.
  package var learningRate: Scalar
  /// 1 − β₁ᵗ, the bias correction of the first moment.
  package var correction1: Scalar
  /// 1 − β₂ᵗ, the bias correction of the second moment.
  package var correction2: Scalar

  /// The number of values.
  package static var count: Int { 5 }

  /// Takes the values from a list in the order of the properties.
  package init(_ list: [Scalar]) {
    precondition(list.count == Self.count, "UpdateNumbers: \(list.count) numbers")
    temperature = list[0]
    klWeight = list[1]
    learningRate = list[2]
    correction1 = list[3]
    correction2 = list[4]
  }

  /// The values in the order of the properties.
  package var list: [Scalar] { [temperature, klWeight, learningRate, correction1, correction2] }
}

extension UpdateNumbers<Double> {
  /// The values of a state's next update, rounded to float32.
  package init(_ state: TrainingState) {
    let (configuration, update) = (state.configuration, state.update)
    let t = Double(state.appliedUpdates + 1)
    self.init([
      configuration.temperature(update), Double(Float(configuration.klWeight(update))),
      Double(Float(configuration.learningRate(at: update))),
      1 - power(Double(Float(configuration.beta1)), t),
      1 - power(Double(Float(configuration.beta2)), t),
    ])
  }
}

/// The optimizer's part of an update.
extension Engine {
  /// Returns the norm of the batch's gradient, which is the mean over the micro-batches.
  func norm(
    ofSums gradients: [Variable], _ configuration: TrainingConfiguration,
    lossScale: Scalar = Scalar(1)
  ) -> Scalar {
    let squares = gradients.reduce(Scalar(0)) { $0 + sumOfSquares($1) }
    return squares.squareRoot() / Scalar(Double(configuration.microBatches)) / lossScale
  }

  /// Clips the gradient and applies AdamW and the moving average; each list has the variables of a role in
  /// one order.
  func step(
    parameters: [Variable], gradients: [Variable], firstMoment: [Variable],
    secondMoment: [Variable], average: [Variable], norm: Scalar, _ numbers: UpdateNumbers<Scalar>,
    _ configuration: TrainingConfiguration, lossScale: Scalar = Scalar(1)
  ) {
    var scale = Scalar(1 / Double(configuration.microBatches)) / lossScale
    if configuration.clipNorm > 0 {
      scale = scale * .minimum(Scalar(1), Scalar(configuration.clipNorm) / norm)
    }
    let step = AdamWStep(
      learningRate: numbers.learningRate, beta1: Float(configuration.beta1),
      beta2: Float(configuration.beta2), epsilon: Float(configuration.epsilon),
      weightDecay: Float(configuration.weightDecay),
      averageDecay: Float(configuration.averageDecay), gradientScale: scale,
      correction1: numbers.correction1, correction2: numbers.correction2)
    for at in parameters.indices {
      adamWStep(
        parameters: parameters[at], gradients: gradients[at], firstMoment: firstMoment[at],
        secondMoment: secondMoment[at], average: average[at], step)
    }
  }
}
