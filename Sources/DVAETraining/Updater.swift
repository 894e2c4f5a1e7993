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

/// The result of an update: the terms of the batch's loss; the gradient's norm before clipping, 0 if the
/// update was skipped; the loss scaling for the next update.
package typealias UpdateResult = (
  loss: ObjectiveParts<Double>, norm: Double, lossScale: LossScale?
)
