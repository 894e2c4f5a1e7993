import DVAEFiles
import DVAEModel
package import DVAETensors

/// The observer of a run: it prints, writes files and can stop the run.
///
/// An error thrown by these methods ends the run.
package protocol TrainingObserver {
  /// Whether the run should write a checkpoint and end; read before every update.
  var shouldStop: Bool { get }
  /// Whether reconstructions of the validation images are wanted between validations; read after
  /// every update.
  var wantsPictures: Bool { get }
  /// Called after an update.
  mutating func didUpdate(_ record: UpdateRecord) throws
  /// Called after a validation.
  mutating func didValidate(_ record: ValidationRecord, _ pictures: ValidationPictures) throws
  /// Called with the reconstructions that `wantsPictures` asked for.
  mutating func didDraw(_ pictures: ValidationPictures, update: Int) throws
  /// Called after a checkpoint is safely on disk.
  mutating func didSave(_ path: String, update: Int) throws
  /// Called with a warning.
  mutating func didNotice(_ warning: String) throws
}

extension TrainingObserver {
  /// Asks for no pictures.
  package var wantsPictures: Bool { false }
  /// Does nothing.
  package mutating func didDraw(_ pictures: ValidationPictures, update: Int) {}
}

/// The outcome of `Trainer.run`.
package enum TrainingOutcome: Hashable, Sendable {
  /// All updates are done.
  case finished
  /// The observer stopped the run; a checkpoint is written if there is progress to keep.
  case stopped
}

/// Trains a dVAE by the paper's recipe (A.2), one update after the other.
///
/// The result is a function of the state, the images and the engine's instruction set: a run
/// resumed from a checkpoint gives the same bits as an uninterrupted one.
package struct Trainer<E: HostEngine, Source: BatchSource> {
  /// The complete state of the run.
  package private(set) var state: TrainingState
  private let engine: E
  private var data: Source
  private let validation: ValidationSet?
  private let folder: RunFolder?
  private let processes: any ProcessGroup
  private let updater: any Updater
  private var lastCheckpoint: String?
  /// The first batches, used to initialise the codebook, in reverse order.
  private var firstBatches: [TrainingBatch] = []
  /// The batch of the next update, or the error instead of it.
  private var nextBatch: Result<TrainingBatch, any Error>?
  private var configuration: TrainingConfiguration { state.configuration }

  /// Prepares to continue from a state.
  ///
  /// - Parameters:
  ///   - state: new or from a checkpoint
  ///   - engine: the engine to compute with
  ///   - data: batches from the state's position on
  ///   - validation: images for validation; nil for no validation
  ///   - folder: the run's folder; nil for no checkpoints
  ///   - processes: the processes that train together, all from the same state; only process 0 has
  ///     a folder and validates
  ///   - updater: computes the updates; nil for the engine
  package init(
    _ state: TrainingState, engine: E, data: Source, validation: ValidationSet?,
    folder: RunFolder?, processes: any ProcessGroup = SingleProcess(),
    updater: (any Updater)? = nil
  ) {
    self.state = state
    self.engine = engine.exact
    self.data = data
    self.validation = validation
    self.folder = folder
    self.processes = processes
    self.updater =
      updater ?? HostUpdate(state.configuration, engine: engine, processes: processes)
    lastCheckpoint = folder.flatMap { folder in
      (try? folder.checkpoints())?.first.map(folder.checkpoint)
    }
  }

  /// Runs the remaining updates and writes the averaged weights.
  ///
  /// - Parameter observer: called at every event
  /// - Returns: the outcome
  /// - Throws: `badData` if a loss or the gradient is no longer finite, and errors of images, files and
  ///   the observer; the last checkpoint stays intact
  package mutating func run(_ observer: inout some TrainingObserver) throws -> TrainingOutcome {
    let outcome = try runUpdates(&observer)
    if let folder, state.update > 0 { try state.writeWeights(to: folder.weights) }
    return outcome
  }

  private mutating func runUpdates(
    _ observer: inout some TrainingObserver
  ) throws -> TrainingOutcome {
    // No checkpoint is needed before: a new run gives the same bits.
    if state.needsCodebookInitialisation, try !initialiseCodebook(observer) { return .stopped }
    while state.update < configuration.updates {
      if shouldStop(observer) {
        try saveCheckpoint(&observer)
        return .stopped
      }
      let skipped = state.lossScale?.skipped ?? 0
      try observer.didUpdate(try update())
      if let scale = state.lossScale, scale.skipped > skipped {
        try observer.didNotice(
          "the gradient of update \(state.update) was not finite: its step is skipped, and the loss "
            + "scale halved to \(scale.factor)")
      }
      if isDue(every: configuration.validateEvery) {
        try validate(&observer)
      } else if let validation, observer.wantsPictures {
        try fetch()
        let pictures = try validation.pictures(state, engine: engine)
        try observer.didDraw(pictures, update: state.update)
      }
      if isDue(every: configuration.checkpointEvery) { try saveCheckpoint(&observer) }
    }
    try fetch()
    return .finished
  }

  /// Returns whether any process is asked to stop; all stop after the same update.
  private func shouldStop(_ observer: some TrainingObserver) -> Bool {
    processes.sums(of: [observer.shouldStop ? 1 : 0])[0] > 0
  }

  /// Initialises the codebook from the first images.
  ///
  /// - Returns: false if the observer stopped the run; the state is then unchanged
  private mutating func initialiseCodebook(_ observer: some TrainingObserver) throws -> Bool {
    var examples = CodeExamples(configuration)
    // Reuses the batches of an earlier call that was stopped.
    for batch in firstBatches.reversed() {
      try examples.add(batch.images, state, engine: engine)
    }
    while examples.count < configuration.architecture.vocabulary {
      if shouldStop(observer) { return false }
      let batch = try data.next()
      firstBatches.insert(batch, at: 0)
      try examples.add(batch.images, state, engine: engine)
    }
    state.initialiseCodebook(
      from: examples, strength: configuration.codebookInitialisation, engine: engine)
    state.needsCodebookInitialisation = false
    return true
  }

  /// Does one update: images, gradients, gradient norm, optimizer step.
  private mutating func update() throws -> UpdateRecord {
    let clock = ContinuousClock()
    let start = clock.now
    let batch = try takeBatch()
    let waited = clock.now - start

    let (loss, norm, lossScale) = try update(with: batch.images)
    let done = state.update
    state.position = batch.position
    state.lossScale = lossScale
    state.update += 1

    return UpdateRecord(
      update: state.update, epoch: state.position.epoch, loss: loss.loss,
      reconstruction: loss.reconstruction, kl: loss.kl,
      temperature: configuration.temperature(done), klWeight: configuration.klWeight(done),
      learningRate: configuration.learningRate(at: done), gradientNorm: norm,
      skipped: state.position.skipped, seconds: (clock.now - start) / .seconds(1),
      waiting: waited / .seconds(1), images: batch.images.shape.batch)
  }

  private mutating func update(with images: Tensor) throws -> UpdateResult {
    let (state, isLast) = (state, state.update + 1 >= configuration.updates)
    do {
      return try updater.update(images, state, check: checkFinite) {
        guard !isLast, nextBatch == nil else { return nil }
        nextBatch = Result { try takeBatch() }
        return try? nextBatch?.get().images
      }
    } catch let error as DVAEError {
      throw namingCheckpoint(error)
    }
  }

  /// Copies the state from the devices.
  private func fetch() throws {
    do { try updater.fetch(state) } catch let error as DVAEError { throw namingCheckpoint(error) }
  }

  /// Adds the last checkpoint to the error of a device that failed: the state in its memory is lost.
  private func namingCheckpoint(_ error: DVAEError) -> DVAEError {
    guard error.kind == .inputOutput, let lastCheckpoint else { return error }
    var error = error
    error.advice = "the last checkpoint is \(lastCheckpoint)"
    return error
  }

  private mutating func takeBatch() throws -> TrainingBatch {
    if let next = nextBatch {
      nextBatch = nil
      return try next.get()
    }
    return try firstBatches.popLast() ?? data.next()
  }

  private func checkFinite(_ loss: ObjectiveParts<Double>, _ norm: Double) throws {
    let numbers = [
      ("the reconstruction loss", loss.reconstruction), ("the KL term", loss.kl),
      ("the gradient's norm", norm),
    ]
    for (name, value) in numbers where !value.isFinite {
      throw DVAEError(
        .badData, "training diverged at update \(state.update + 1): \(name) is \(value)",
        advice: (lastCheckpoint.map { "the last checkpoint, \($0), is sound; " } ?? "")
          + "lower the learning rate, limit the gradient's norm, or let the temperature fall more "
          + "slowly")
    }
  }

  private func isDue(every interval: Int) -> Bool {
    state.update % interval == 0 || state.update == configuration.updates
  }

  private mutating func validate(_ observer: inout some TrainingObserver) throws {
    guard let validation else { return }
    let (record, pictures): (ValidationRecord, ValidationPictures)
    do {
      (record, pictures) = try updater.evaluate(validation, state)
    } catch let error as DVAEError {
      // Often the updates are done well and the validation's larger images need too much of the device.
      try? saveCheckpoint(&observer)
      throw namingCheckpoint(error)
    }
    try observer.didValidate(record, pictures)
    if let warning = record.collapse(under: configuration) { try observer.didNotice(warning) }
  }

  private mutating func saveCheckpoint(_ observer: inout some TrainingObserver) throws {
    try fetch()
    guard let folder else { return }
    let path = try folder.save(state)
    lastCheckpoint = path
    try observer.didSave(path, update: state.update)
  }
}
