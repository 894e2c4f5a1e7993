package import DVAEModel
package import DVAETensors

/// What the schedules say for one update.
package struct ScheduledValues: Hashable, Sendable {
  /// τ.
  package var temperature: Double
  /// β.
  package var klWeight: Double
  /// The step size.
  package var learningRate: Double

  package init(temperature: Double, klWeight: Double, learningRate: Double) {
    self.temperature = temperature
    self.klWeight = klWeight
    self.learningRate = learningRate
  }
}

extension TrainingConfiguration {
  /// What the schedules say for the update after `update` others.
  package func values(at update: Int) -> ScheduledValues {
    ScheduledValues(
      temperature: temperature(update), klWeight: klWeight(update),
      learningRate: learningRate(at: update))
  }
}

/// The three parts of an update: gradients, their norm, the optimizer's step.
package struct UpdateStep<E: HostEngine>: Sendable {
  private let configuration: TrainingConfiguration
  private let engine: E
  private let processes: any ProcessGroup
  /// Sums over the micro-batches of dLoss/dParameters, in one arena laid out like the parameters.
  package let gradients: ParameterSet
  /// The part of `gradients` that is not frozen.
  private let trained: ParameterSet
  /// The parts of the arenas that are not frozen, each as long as can be.
  private let trainedRanges: [Range<Int>]

  package init(
    _ configuration: TrainingConfiguration, engine: E, gradients: ParameterSet? = nil,
    processes: any ProcessGroup = SingleProcess()
  ) {
    let gradients = gradients ?? ParameterSet(configuration.plans)
    self.configuration = configuration
    self.engine = engine
    self.processes = processes
    self.gradients = gradients
    trained = gradients.filter { !configuration.isFrozen($0) }
    trainedRanges = trained.parameters.map(\.values.range).reduce(into: []) { ranges, range in
      if let last = ranges.last, last.upperBound == range.lowerBound {
        ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
      } else {
        ranges.append(range)
      }
    }
  }

  private var microBatches: Int { configuration.batchSize / configuration.microBatch }

  /// Sets `gradients` to the sums over the micro-batches, of which each process computes its share.
  ///
  /// - Parameters:
  ///   - images: mapped pixels, [batchSize, H, W, 3]
  ///   - parameters: at which
  ///   - values: τ and β
  ///   - noise: of the first micro-batch; the others go on where it ends
  /// - Returns: the loss of the batch
  /// - Throws: `ModelInputError` for images of another shape
  package func computeGradients(
    _ images: Tensor, _ parameters: ParameterSet, _ values: ScheduledValues,
    noise: GumbelNoise<Tensor>
  ) throws -> ObjectiveParts<Double> {
    gradients.arena?.elements.update(repeating: 0)
    // The filters are packed anew, because the parameters have changed.
    let objective = Objective(
      encoder: ImageEncoder(
        configuration.architecture, parameters: parameters, engine: engine, for: .training),
      decoder: ImageDecoder(
        configuration.architecture, parameters: parameters, engine: engine, for: .training))
    let elements =
      configuration.microBatch * (images.shape.height / Architecture.pixelsPerToken)
      * (images.shape.width / Architecture.pixelsPerToken) * configuration.architecture.vocabulary
    var (reconstruction, kl, klWeight) = (0.0, 0.0, 0.0)
    let share =
      processes.rank * microBatches / processes.count..<(processes.rank + 1) * microBatches
      / processes.count
    for part in share {
      let range = part * configuration.microBatch..<(part + 1) * configuration.microBatch
      let parts = try objective.gradients(
        images.images(range), noise: noise.part(part, of: microBatches, elements: elements),
        temperature: values.temperature, beta: Double(Float(values.klWeight)), into: trained)
      reconstruction += parts.reconstruction / Double(microBatches)
      kl += parts.kl / Double(microBatches)
      klWeight = parts.klWeight
    }
    if let arena = gradients.arena { processes.sum(arena.elements) }
    let sums = processes.sums(of: [reconstruction, kl])
    return ObjectiveParts(reconstruction: sums[0], kl: sums[1], klWeight: klWeight)
  }

  /// The norm of the batch's gradient, which is the mean over the micro-batches.
  package func gradientNorm() -> Double {
    guard let arena = gradients.arena else { return 0 }
    let squares = trainedRanges.reduce(0) { $0 + engine.sumOfSquares(arena.tensor[$1]) }
    return squares.squareRoot() / Double(microBatches)
  }

  /// AdamW and the average, on what is not frozen, with the gradient's norm limited.
  package func apply(to state: TrainingState, norm: Double, _ values: ScheduledValues) {
    var scale = 1 / Double(microBatches)
    if configuration.clipNorm > 0, norm > configuration.clipNorm {
      scale *= configuration.clipNorm / norm
    }
    let step = AdamWStep(
      learningRate: Float(values.learningRate), beta1: Float(configuration.beta1),
      beta2: Float(configuration.beta2), epsilon: Float(configuration.epsilon),
      weightDecay: Float(configuration.weightDecay),
      averageDecay: Float(configuration.averageDecay), gradientScale: Float(scale),
      count: state.update + 1)
    guard let parameters = state.parameters.arena, let gradients = gradients.arena,
      let firstMoment = state.firstMoment.arena, let secondMoment = state.secondMoment.arena,
      let average = state.average.arena
    else { preconditionFailure("UpdateStep: a role without an arena") }
    for range in trainedRanges {
      engine.adamWStep(
        parameters: parameters.tensor[range], gradients: gradients.tensor[range],
        firstMoment: firstMoment.tensor[range], secondMoment: secondMoment.tensor[range],
        average: average.tensor[range], step)
    }
  }
}

extension GumbelNoise<Tensor> {
  /// The noise of one of several micro-batches of an update.
  ///
  /// - Parameters:
  ///   - part: which
  ///   - count: how many there are
  ///   - elements: logits of one of them
  /// - Returns: its noise
  fileprivate func part(_ part: Int, of count: Int, elements: Int) -> Self {
    switch self {
    case .uniform(let u):
      let size = u.shape.batch / count
      return .uniform(u.images(part * size..<(part + 1) * size))
    case .seeded(let seed, let stream, let first):
      return .seeded(seed: seed, stream: stream, first: first + UInt64(part * elements))
    }
  }
}

extension Tensor {
  /// Some of the images of a batch, sharing its memory.
  func images(_ range: Range<Int>) -> Tensor {
    let size = count / max(1, shape.batch)
    return Tensor(
      Shape(range.count, shape.height, shape.width, shape.channels),
      adopting: pointer + range.lowerBound * size
    ) { _ in withExtendedLifetime(self) {} }
  }
}
