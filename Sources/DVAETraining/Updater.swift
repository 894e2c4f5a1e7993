package import DVAEModel
package import DVAETensors

/// Computes updates and validations, and holds the state of the run in the meantime.
package protocol Updater: AnyObject {
  /// The engine or device, for people and model cards: `cpu avx2 2 threads`.
  var name: String { get }

  /// Does the next update of a state.
  ///
  /// - Parameters:
  ///   - images: mapped pixels, [batchSize, H, W, 3]
  ///   - state: read, and changed if the updater works in its memory
  ///   - check: throws if a loss or the norm is not finite
  ///   - next: returns the images of the next update; called while this one is computed
  /// - Returns: the result of the update
  /// - Throws: what `check` throws, and the error of an engine or device
  func update(
    _ images: Tensor, _ state: TrainingState,
    check: (ObjectiveParts<Double>, Double) throws -> Void, next: () -> Tensor?
  ) throws -> UpdateResult

  /// Copies the state from the device into the state's memory.
  func fetch(_ state: TrainingState) throws

  /// Validates the averaged parameters.
  func evaluate(
    _ validation: ValidationSet, _ state: TrainingState
  ) throws -> (ValidationRecord, ValidationPictures)
}

/// The result of an update.
package struct UpdateResult: Sendable {
  /// The terms of the batch's loss.
  package var loss: ObjectiveParts<Double>
  /// The gradient's norm before clipping; 0 if the update was skipped.
  package var norm: Double
  /// The loss scaling for the next update.
  package var lossScale: LossScale?
}

/// Updates on an engine of this process, which works in the state's own memory.
package final class HostUpdate<E: HostEngine>: Updater {
  private let step: UpdateStep<E>
  private let engine: E

  /// Prepares updates by the settings; several processes each compute their share of a batch.
  package init(
    _ configuration: TrainingConfiguration, engine: E, processes: any ProcessGroup = SingleProcess()
  ) {
    self.engine = engine
    step = UpdateStep(configuration, engine: engine, processes: processes)
  }

  package var name: String { engine.name }

  package func update(
    _ images: Tensor, _ state: TrainingState,
    check: (ObjectiveParts<Double>, Double) throws -> Void, next: () -> Tensor?
  ) throws -> UpdateResult {
    let configuration = state.configuration
    let values = configuration.values(at: state.update)
    let loss = try step.computeGradients(
      images, state.parameters, values,
      noise: .seeded(seed: configuration.seed(for: .noise), stream: UInt64(state.update)))
    let norm = step.gradientNorm()
    try check(loss, norm)
    step.apply(to: state, norm: norm, values)
    return UpdateResult(loss: loss, norm: norm, lossScale: state.lossScale)
  }

  package func fetch(_ state: TrainingState) {}

  package func evaluate(
    _ validation: ValidationSet, _ state: TrainingState
  ) throws -> (ValidationRecord, ValidationPictures) {
    // The weights will be used in float32.
    try validation.evaluate(state, engine: engine.exact)
  }
}
