package import DVAEModel
package import DVAETensors

/// Updates on an engine of this process, which works in the state's own memory.
///
/// An update has three parts: gradients, gradient norm, optimizer step.
package final class HostUpdate<E: HostEngine>: Updater {
  private let configuration: TrainingConfiguration
  private let engine: E
  private let processes: any ProcessGroup
  /// Sums of dLoss/dParameters over the micro-batches, in one arena in the parameters' order.
  package let gradients: ParameterSet
  /// The gradients of the parameters that are not frozen.
  private let trained: ParameterSet
  /// The ranges of the arenas that are not frozen, each as long as possible.
  private let trainedRanges: [Range<Int>]

  /// Prepares updates by the settings; several processes each compute their share of a batch.
  package init(
    _ configuration: TrainingConfiguration, engine: E, processes: any ProcessGroup = SingleProcess()
  ) {
    self.configuration = configuration
    self.engine = engine
    self.processes = processes
    gradients = ParameterSet(configuration.plans)
    trained = gradients.filter { !configuration.isFrozen($0) }
    trainedRanges = trained.parameters.map(\.values.range).reduce(into: []) { ranges, range in
      if let last = ranges.last, last.upperBound == range.lowerBound {
        ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
      } else {
        ranges.append(range)
      }
    }
  }

  package var name: String { engine.name }

  package func update(
    _ images: Tensor, _ state: TrainingState,
    check: (ObjectiveParts<Double>, Double) throws -> Void, next: () -> Tensor?
  ) throws -> UpdateResult {
    let numbers = UpdateNumbers(state)
    let loss = try computeGradients(
      images, state.parameters, numbers,
      noise: .seeded(seed: configuration.seed(for: .noise), stream: UInt64(state.update)))
    let norm = gradientNorm()
    try check(loss, norm)
    apply(to: state, norm: norm, numbers)
    return (loss, norm, state.lossScale)
  }

  package func fetch(_ state: TrainingState) {}

  package func evaluate(
    _ validation: ValidationSet, _ state: TrainingState
  ) throws -> (ValidationRecord, ValidationPictures) {
    // The weights will be used in float32.
    try validation.evaluate(state, engine: engine.exact)
  }

  /// Sets `gradients` to the sums over the micro-batches; each process computes its share.
  ///
  /// - Parameters:
  ///   - images: mapped pixels, [batchSize, H, W, 3]
  ///   - parameters: the parameters to differentiate at
  ///   - numbers: τ and β
  ///   - noise: the first micro-batch's noise; the others continue after it
  /// - Returns: the loss of the batch
  /// - Throws: `DVAEError` for images of another shape
  package func computeGradients(
    _ images: Tensor, _ parameters: ParameterSet, _ numbers: UpdateNumbers<Double>,
    noise: GumbelNoise<Tensor>
  ) throws -> ObjectiveParts<Double> {
    gradients.arena?.elements.update(repeating: 0)
    // Pack the filters again, because the parameters have changed.
    let objective = Objective(
      configuration.architecture, parameters, engine: engine, for: .training)
    let elements =
      configuration.microBatch * (images.shape.height / Architecture.pixelsPerToken)
      * (images.shape.width / Architecture.pixelsPerToken) * configuration.architecture.vocabulary
    var (reconstruction, kl, klWeight) = (0.0, 0.0, 0.0)
    let microBatches = configuration.microBatches
    let share =
      processes.rank * microBatches / processes.count..<(processes.rank + 1) * microBatches
      / processes.count
    for part in share {
      let range = part * configuration.microBatch..<(part + 1) * configuration.microBatch
      let parts = try objective.gradients(
        images.images(range), noise: noise.part(part, of: microBatches, elements: elements),
        temperature: numbers.temperature, beta: numbers.klWeight, into: trained)
      reconstruction += parts.reconstruction / Double(microBatches)
      kl += parts.kl / Double(microBatches)
      klWeight = parts.klWeight
    }
    if let arena = gradients.arena { processes.sum(arena.elements) }
    let sums = processes.sums(of: [reconstruction, kl])
    return ObjectiveParts(reconstruction: sums[0], kl: sums[1], klWeight: klWeight)
  }

  /// Returns the norm of the batch's gradient, which is the mean over the micro-batches.
  package func gradientNorm() -> Double {
    engine.norm(ofSums: trainedParts(of: gradients), configuration)
  }

  /// Clips the gradient and applies AdamW and the moving average to the parameters that are not
  /// frozen.
  package func apply(to state: TrainingState, norm: Double, _ numbers: UpdateNumbers<Double>) {
    engine.step(
      parameters: trainedParts(of: state.parameters), gradients: trainedParts(of: gradients),
      firstMoment: trainedParts(of: state.firstMoment),
      secondMoment: trainedParts(of: state.secondMoment),
      average: trainedParts(of: state.average), norm: norm, numbers, configuration)
  }

  /// Returns the slices of an arena that are not frozen.
  private func trainedParts(of set: ParameterSet) -> [TensorSlice] {
    guard let arena = set.arena else { preconditionFailure("HostUpdate: a role without an arena") }
    return trainedRanges.map { arena.tensor[$0] }
  }
}

extension GumbelNoise<Tensor> {
  /// Returns the noise of one micro-batch of an update.
  ///
  /// - Parameters:
  ///   - part: the micro-batch's index
  ///   - count: the number of micro-batches
  ///   - elements: the number of logits in one micro-batch
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
  /// Returns a range of a batch's images, sharing its memory.
  func images(_ range: Range<Int>) -> Tensor {
    let size = count / max(1, shape.batch)
    return Tensor(
      Shape(range.count, shape.height, shape.width, shape.channels),
      adopting: pointer + range.lowerBound * size
    ) { _ in withExtendedLifetime(self) {} }
  }
}
