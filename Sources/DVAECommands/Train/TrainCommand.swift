import ArgumentParser
import DVAECPUEngine
import DVAEKit
import DVAEModel
import DVAETraining
import Foundation
import DVAEImages
import DVAETensors

/// `dvae train`.
struct TrainCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Train a model from images.",
    discussion: """
      Trains by the recipe of the DALL·E paper (appendix A.2), from random weights or from --init. \
      The folder RUN holds config.json, checkpoints/, metrics.csv, images/, report.html, \
      model-card.md and weights.safetensors, which --weights of the other commands takes. A run that was stopped \
      goes on with the same command, or with no more than --output RUN, and gives the same bits as \
      one that was not. Ctrl-C and SIGTERM write a checkpoint first (exit status 130 and 143).

      Built with --traits MPI, 'mpirun -n N dvae train …' shares each batch among N processes; the \
      first one writes. They need the same files, and processors of one kind.

      Images that cannot be used, as smaller ones than the crops, are named, passed over and counted.

      A run goes on with the settings that it was started with; --updates, --data (the same images \
      elsewhere), --keep and what concerns checkpoints and validation may change.

      Example:
        dvae train --data photos/*.tar --validation held-out.tar --output run
      """)

  @Option(
    parsing: .upToNextOption,
    help: "Images to train on: files, folders, WebDataset .tar archives, @lists of paths.")
  var data: [String] = []

  @Option(
    parsing: .upToNextOption,
    help: "Images to validate with (default: the first of the training images).")
  var validation: [String] = []

  @Option(name: .shortAndLong, help: "The folder of the run.")
  var output: String

  @OptionGroup(title: "Recipe") var options: TrainOptions

  @Option(help: "Threads to compute with (default: one per core).")
  var threads: Int?

  @Option(help: "Threads that decode images beside those that compute.")
  var dataThreads = 1

  @Flag(help: "Keep decoded images in memory: 3 bytes per pixel of the originals.")
  var cache = false

  @OptionGroup var quiet: QuietOption

  func validate() throws {
    try check(output: output)
    for (flag, value) in [("--threads", threads ?? 1), ("--data-threads", dataThreads)]
    where value < 1 {
      throw ValidationError("\(flag) must be at least 1, not \(value)")
    }
  }

  func run() async throws {
    let console = Console.current
    let processes = try startedProcesses()
    let isFirst = processes.rank == 0
    let signals = StopSignals { if isFirst { console.note($0) } }
    try refuseInput(output)
    let folder = isFirst ? try RunFolder(output) : nil
    let state = try processes.share(
      try folder.map { try openState(in: $0, processes.count, console) })
    let configuration = state.configuration
    let images = try trainingImages(configuration) { if isFirst { console.note($0) } }
    try images.check(state.position)
    let validation = isFirst ? try ValidationImages(configuration) { console.note($0) } : nil
    if isFirst, state.update >= configuration.updates {
      console.note("\(output): all \(configuration.updates) updates are done; --updates adds more")
    }
    let engine = try CPUEngine(threads: threads)
    var trainer = Trainer(
      state, engine: engine,
      data: PrefetchedImages(images, from: state.position), validation: validation?.set,
      folder: folder, processes: processes)
    guard let folder else {
      var observer = HelpingProcess(signals: signals)
      _ = try trainer.run(&observer)
      return processes.end()
    }
    var reporter = try TrainingReporter(
      folder, configuration, from: state.update, images: images.count, machine: engine.name,
      signals: signals, quiet: quiet.quiet, console)
    let outcome = try trainer.run(&reporter)
    reporter.finish()
    try trainer.state.writeWeights(to: folder.weights)
    processes.end()
    switch outcome {
    case .finished: console.print(folder.weights)
    case .stopped:
      console.note("stopped after update \(trainer.state.update); the same command goes on")
      throw ExitCode(128 + (signals.signalNumber ?? SIGTERM))
    }
  }

  /// Refuses a run within a folder of images: its own pictures would be trained on.
  private func refuseInput(_ output: String) throws {
    let above = FolderIdentity.above(output)
    let inputs = (data + validation).filter { FolderIdentity($0).map(above.contains) ?? false }
    if let input = inputs.first {
      throw DVAEError(
        .usage,
        "\(output): lies in the input folder \(input), so that the run's pictures would become "
          + "inputs: choose another")
    }
  }

  /// The newest checkpoint's state, or that of a new run.
  private func openState(
    in folder: RunFolder, _ processes: Int, _ console: Console
  ) throws -> TrainingState {
    if var state = try folder.latest(warn: { console.note($0) }) {
      var configuration = try options.resumedConfiguration(state.configuration)
      if !data.isEmpty { configuration.data = data }
      if !validation.isEmpty { configuration.validation = validation }
      try configuration.checkResumes(state.configuration, run: output)
      try configuration.validate()
      try configuration.checkShares(among: processes)
      console.note("\(output): going on after update \(state.update)")
      state.configuration = configuration
      try folder.write(configuration)
      return state
    }
    guard !data.isEmpty else {
      throw ValidationError("--data is needed to start a run; \(output) holds none to go on with")
    }
    // The weights, which the file of settings may name too, bring their architecture.
    let start = try options.newConfiguration(startingFrom: nil).initialWeights
    let weights = start.isEmpty ? nil : try WeightsFiles(start).model
    var configuration = try options.newConfiguration(startingFrom: weights)
    configuration.data = data
    configuration.validation = validation
    try configuration.validate()
    if options.microBatch == nil, configuration.batchSize % processes == 0 {
      configuration.microBatch = min(
        configuration.microBatch, configuration.batchSize / processes)
    }
    try configuration.checkShares(among: processes)
    let state = try TrainingState(configuration, startingFrom: weights)
    try folder.write(configuration)
    return state
  }

  private func trainingImages(
    _ configuration: TrainingConfiguration, _ note: @escaping @Sendable (String) -> Void
  ) throws -> TrainingImages {
    let index = try SampleIndex(configuration.data, warn: note)
    return TrainingImages(index, configuration, workers: dataThreads, cached: cache, warn: note)
  }
}
