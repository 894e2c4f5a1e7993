import ArgumentParser
import DVAECPUEngine
import DVAEKit
import Foundation

/// `dvae train`.
struct TrainCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Train a model from images.",
    usage: "dvae train --output <output> [<options>]",
    discussion: """
      Trains by the recipe of the DALL·E paper (appendix A.2), from random weights or from --init. \
      The folder RUN holds config.json, checkpoints/, metrics.csv, images/, report.html, \
      model-card.md and weights.safetensors, which --weights of the other commands takes. The same \
      command, or only --output RUN, with --device and --precision if they were given, resumes a stopped \
      run; on the CPU it gives the same bits as an uninterrupted one. Ctrl-C, SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 write a checkpoint first; \
      the exit \
      status is then 128 plus the signal's number: 130 after Ctrl-C, 143 after SIGTERM, on Linux 138 \
      after SIGUSR1, which schedulers send ahead of a time limit ('#SBATCH --signal=USR1@120'). A \
      second signal ends the program at once. Signals that are ignored when it starts stay ignored.

      Built with --traits MPI, 'mpirun -n N dvae train …' shares each batch among N processes; the \
      first one writes. They need the same files, and processors of one kind.

      Images that cannot be used, such as those smaller than the crops, are reported, skipped and counted.

      A run continues with its original settings; --updates, --data (the same images \
      elsewhere), --micro-batch, --keep and what concerns checkpoints and validation may change, also by editing \
      config.json. With --overwrite another run begins in its place. Relative paths start at the \
      folder in which the run began.

      Example:
        dvae train --data photos/*.tar --validation held-out.tar --output run
      """)

  @Option(
    parsing: .upToNextOption,
    help:
      "Images to train on, one or more: files, folders, WebDataset .tar archives, @lists of paths.",
    completion: .file())
  var data: [String] = []

  @Option(
    parsing: .upToNextOption,
    help: "Images to validate with (default: the first of the training images).",
    completion: .file())
  var validation: [String] = []

  // Other commands take images like this.
  @Argument(help: .hidden, completion: .list([]))
  var misplaced: [String] = []

  @Option(name: .shortAndLong, help: "The folder of the run.", completion: .directory)
  var output: String?

  @OptionGroup(title: "Recipe") var options: TrainOptions

  @OptionGroup var device: TrainingDeviceOptions

  @Option(help: "Threads to compute with (default: one per core).")
  var threads: Int?

  @Option(
    help: "Threads that decode images (default: 1 beside the CPU's computing, else one per core).")
  var dataThreads: Int?

  @Flag(help: "Keep decoded images in memory: 3 bytes per pixel of the originals.")
  var cache = false

  @Flag(help: "Print the settings that this command line leads to, as JSON, and end.")
  var printConfig = false

  @OptionGroup var overwrite: OverwriteOption
  @OptionGroup var json: JSONOption
  @OptionGroup var quiet: QuietOption

  func validate() throws {
    if let image = misplaced.first {
      throw ValidationError("training images are named by --data: --data \(image)")
    }
    if let output { try check(outputFolder: output) }
    if output == nil, !printConfig { throw ValidationError("--output must name the run's folder") }
    if let threads { try check("threads", threads, atMost: CPUEngine.mostThreads) }
    if let dataThreads { try check("data-threads", dataThreads, atMost: 1024) }
  }

  func run() async throws {
    let console = Console.current
    guard let output, !printConfig else {
      let settings = try start(output, processes: device.devices) { console.note($0) }.configuration
      return console.print(text: String(decoding: try settings.json(), as: UTF8.self))
    }
    let engine = try device.engine(threads: threads)
    let processes = try startedProcesses()
    let isFirst = processes.rank == 0
    let signals = StopSignals(
      announcing: isFirst
        ? "\nWriting a checkpoint after this update; the same signal again ends at once.\n" : "")
    let note: @Sendable (String) -> Void = { if isFirst { console.note($0) } }
    let start =
      isFirst ? try start(output, processes: processes.count * device.devices, note: note) : nil
    if let start { try checkInputs(start, output) }
    var state = try processes.share(try start?.state())
    let configuration = state.configuration
    let workers =
      dataThreads ?? (device.isCPU ? 1 : min(1024, ProcessInfo.processInfo.activeProcessorCount))
    let images = try TrainingImages(of: state, workers: workers, cached: cache, warn: note)
    let validation = isFirst ? try ValidationSet(imagesOf: configuration, warn: note) : nil
    let updater = try device.updater(configuration, processes)
    // Everything is checked before the folder is created, so that an error leaves no folder behind.
    let folder = try start.map { start in
      if overwrite.overwrite { return try RunFolder.replacing(output) }
      return try start.folder ?? RunFolder.new(output)
    }
    try folder?.write(configuration)
    let earlier = state.compute(by: device.name)
    if state.update > 0 {
      note("\(output): resuming after update \(state.update)")
      if let earlier {
        note(
          "\(output): the updates so far were computed by \(earlier), the next ones are by \(device.name) "
            + "(--device and --precision)")
      }
    } else if !quiet.quiet {
      note(
        "training by the preset '\(configuration.preset)' for "
          + counted(configuration.updates, "update"))
    }
    if configuration.validation.isEmpty {
      note("validating on training images: too good to be true (--validation names others)")
    }
    if state.update >= configuration.updates {
      note(
        "\(output): all updates are done (\(state.update) of \(configuration.updates)); --updates adds more"
      )
    }
    var trainer = Trainer(
      state, engine: engine,
      data: PrefetchedImages(images, from: state.position), validation: validation,
      folder: folder, processes: processes, updater: updater)
    guard let folder else {
      var observer = signals
      _ = try trainer.run(&observer)
      return processes.end()
    }
    let machine =
      (updater?.name ?? engine.name) + (state.earlierEngines.map { " after \($0)" } ?? "")
    var reporter = try TrainingReporter(
      folder, configuration, from: state.update, images: images.count,
      machine: machine, signals: signals, quiet: quiet.quiet, console)
    if !quiet.quiet, trainer.state.update < configuration.updates {
      note("\(folder.report): curves and pictures, rewritten every minute")
    }
    let outcome = try trainer.run(&reporter)
    try reporter.finish()
    processes.end()
    try json.print(
      TrainReport(folder, trainer.state, outcome, engine: machine, reporter.validated),
      or: outcome == .finished ? [folder.weights] : [])
    if outcome == .stopped {
      note("stopped after update \(trainer.state.update); the same command goes on")
      throw ExitCode(128 + (signals.signalNumber ?? SIGTERM))
    }
  }

  private func checkInputs(_ start: RunStart, _ output: String) throws {
    guard !start.configuration.data.isEmpty else {
      let replaces = try overwrite.overwrite && RunFolder.holdsRun(output)
      throw ValidationError(
        "--data is needed to start a run; "
          + (replaces
            ? "the one in \(output) is to be replaced, not resumed"
            : "there is none in \(output) to resume"))
    }
    try refuseInput(start.configuration, output)
    try start.configuration.checkMemory(onCPU: device.isCPU)
  }
}

/// The result that `dvae train --json` prints at the end.
struct TrainReport: Encodable {
  let output: String
  /// The file for `--weights`; nil before the first update.
  let weights: String?
  let update: Int
  let updates: Int
  let finished: Bool
  /// The device and the precision: `cpu avx512 2 threads bfloat16`.
  let engine: String
  let validation: RunSummary.Validation?

  init(
    _ folder: RunFolder, _ state: TrainingState, _ outcome: TrainingOutcome, engine: String,
    _ validated: RunSummary.Validation?
  ) {
    output = folder.path
    weights = state.update > 0 ? folder.weights : nil
    update = state.update
    updates = state.configuration.updates
    finished = outcome == .finished
    self.engine = engine
    validation = validated
  }
}
