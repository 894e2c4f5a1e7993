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
  /// The values at an update, counted from 0, rounded to float32.
  package init(_ configuration: TrainingConfiguration, _ values: ScheduledValues, after update: Int)
  {
    let t = Double(update + 1)
    self.init([
      values.temperature, Double(Float(values.klWeight)), Double(Float(values.learningRate)),
      1 - power(Double(Float(configuration.beta1)), t),
      1 - power(Double(Float(configuration.beta2)), t),
    ])
  }
}

/// The optimizer's part of an update, on any engine: gradient norm, clipping, AdamW and the moving
/// average.
struct OptimizerStep<E: Engine>: Sendable {
  let configuration: TrainingConfiguration
  let engine: E

  /// A trained variable and its variables in the other roles.
  struct Place: Sendable {
    let parameters, gradients, firstMoment, secondMoment, average: E.Variable
  }

  private var microBatches: Double {
    Double(configuration.batchSize / configuration.microBatch)
  }

  /// Returns the norm of the batch's gradient, which is the mean over the micro-batches.
  func norm(ofSums gradients: [E.Variable], lossScale: E.Scalar = E.Scalar(1)) -> E.Scalar {
    let squares = gradients.reduce(E.Scalar(0)) { $0 + engine.sumOfSquares($1) }
    return squares.squareRoot() / E.Scalar(microBatches) / lossScale
  }

  /// Updates all places, with the gradient clipped.
  func apply(
    to places: [Place], norm: E.Scalar, _ numbers: UpdateNumbers<E.Scalar>,
    lossScale: E.Scalar = E.Scalar(1)
  ) {
    var scale = E.Scalar(1 / microBatches) / lossScale
    if configuration.clipNorm > 0 {
      scale = scale * .minimum(E.Scalar(1), E.Scalar(configuration.clipNorm) / norm)
    }
    let step = AdamWStep(
      learningRate: numbers.learningRate, beta1: Float(configuration.beta1),
      beta2: Float(configuration.beta2), epsilon: Float(configuration.epsilon),
      weightDecay: Float(configuration.weightDecay),
      averageDecay: Float(configuration.averageDecay), gradientScale: scale,
      correction1: numbers.correction1, correction2: numbers.correction2)
    for place in places {
      engine.adamWStep(
        parameters: place.parameters, gradients: place.gradients, firstMoment: place.firstMoment,
        secondMoment: place.secondMoment, average: place.average, step)
    }
  }
}
