import DVAECPUEngine
import DVAEFiles
import DVAEModel
public import DVAETraining
import Dispatch
import Synchronization

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// A training run in a folder, new or resumed from its newest checkpoint.
///
/// ```swift
/// var configuration = TrainingConfiguration.tiny.scaled(toUpdates: 1000)
/// configuration.data = ["photos"]
/// let run = try TrainingRun(configuration, in: URL(fileURLWithPath: "run"))
/// try await run.train { print($0.update, $0.loss) }
/// let vae = try await DiscreteVAE.load(.file(run.weights))
/// ```
///
/// As long as a value of this type lives, no other process can open the folder for training.
public struct TrainingRun: Sendable {
  /// The complete settings.
  public let configuration: TrainingConfiguration
  /// The file of the averaged weights, after the first update; see `WeightsLocation.file(_:)`.
  public var weights: URL { URL(fileURLWithPath: folder.weights) }
  private let folder: RunFolder
  private let threads: Int?

  /// Opens the folder of a run.
  ///
  /// - Parameters:
  ///   - configuration: the settings; a resumed run may have more updates
  ///   - url: the folder; created if missing
  ///   - threads: the number of threads; one per core by default
  /// - Throws: `DVAEError` for impossible settings, for settings that differ from the resumed
  ///   run's, and if another process has the folder open.
  public init(
    _ configuration: TrainingConfiguration, in url: URL, threads: Int? = nil
  ) throws {
    var configuration = configuration
    configuration.setPaths()
    try configuration.validate()
    self.configuration = configuration
    self.threads = threads
    folder = try RunFolder(Path(url).text)
  }

  /// Trains until all updates are done, and writes the weights.
  ///
  /// It computes on a thread of its own. If the task is cancelled, a checkpoint is written after
  /// the current update; training again resumes from it with the bits of an uninterrupted run.
  ///
  /// - Parameters:
  ///   - updated: called after every update
  ///   - warned: called with warnings
  /// - Throws: `CancellationError`; `DVAEError` for images that cannot be read and for a run that
  ///   diverges.
  public func train(
    updated: @escaping @Sendable (UpdateRecord) -> Void = { _ in },
    warned: @escaping @Sendable (String) -> Void = { _ in }
  ) async throws {
    let outcome = try await computing(on: DispatchQueue(label: "dvae.training")) { mark in
      try train(Listener(isCancelled: mark, warned: warned, updated: updated))
    }
    if outcome == .stopped { throw CancellationError() }
  }

  private func train(_ listener: Listener) throws -> TrainingOutcome {
    var configuration = configuration
    var state: TrainingState
    if let saved = try folder.latest(warn: listener.warned) {
      configuration.setOrigin(saved.configuration)
      try configuration.checkResumes(saved.configuration, run: folder.path)
      state = saved
      state.configuration = configuration
    } else {
      try configuration.checkMemory(onCPU: true)
      let files = try configuration.initialFiles()
      try configuration.setOrigin(files)
      state = try TrainingState(configuration, startingFrom: files?.model)
    }
    _ = state.compute(by: ComputedPart.usual)
    let images = try TrainingImages(of: state, workers: 2, warn: listener.warned)
    let validation = try ValidationSet(imagesOf: configuration, warn: listener.warned)
    try folder.write(configuration)
    var trainer = Trainer(
      state, engine: try CPUEngine(threads: threads),
      data: PrefetchedImages(images, from: state.position), validation: validation,
      folder: folder)
    var observer = listener
    return try trainer.run(&observer)
  }

  /// Forwards the run's events and stops it when the task is cancelled.
  private struct Listener: TrainingObserver {
    let isCancelled: CancellationMark
    let warned: @Sendable (String) -> Void
    let updated: @Sendable (UpdateRecord) -> Void

    var shouldStop: Bool { isCancelled.isSet.load(ordering: .relaxed) }
    func didUpdate(_ record: UpdateRecord) { updated(record) }
    func didValidate(_ record: ValidationRecord, _ pictures: ValidationPictures) {}
    func didSave(_ path: String, update: Int) {}
    func didNotice(_ warning: String) { warned(warning) }
  }
}

extension TrainingConfiguration {
  /// Opens the files of the initial weights; nil for random weights.
  package func initialFiles() throws -> WeightsFiles? {
    guard !initialWeights.isEmpty else { return nil }
    return try WeightsFiles(WeightsLocation(locatedWeights))
  }
}
