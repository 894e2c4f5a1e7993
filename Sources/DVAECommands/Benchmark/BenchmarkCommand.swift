import ArgumentParser
import DVAEAccelerator
import DVAECPUEngine
import DVAEKit
import DVAETensors

/// `dvae benchmark`.
struct BenchmarkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "benchmark",
    abstract: "Measure the speed of this machine, in total and by layer.",
    discussion: """
      Random weights of any size unless --weights names a model. The ceiling is the speed of the \
      matrix kernel on data in the first cache; 'effective' counts the multiplications of the \
      direct algorithm, of which Winograd's needs a quarter in 3×3 layers.

      Example:
        dvae benchmark --what encode --batch-size 8
        dvae benchmark --precision int8 --weights openai --photos photos/
      """)

  @Option(help: ArgumentHelp("The task to measure.", valueName: "encode|decode|train"))
  var what = Work.encode

  @Option(help: "Width of the random model.")
  var nHid = 256

  @Option(help: "Blocks per group of the random model.")
  var blocks = 2

  @Option(help: "Vocabulary of the random model.")
  var vocabulary = 8192

  @Option(help: ArgumentHelp("Measure this model instead.", valueName: "path"), completion: .model)
  var weights: String?

  @Option(help: "Side of the images, in pixels; a multiple of 8.")
  var resolution = 256

  @Option(help: "Images that go through the network together (default: 1; 32 on a device).")
  var batchSize: Int?

  @Option(help: "Measured runs, after one unmeasured run.")
  var runs = 5

  @OptionGroup var device: DeviceOption

  @Option(help: "Threads to compute with (default: one per core).")
  var threads: Int?

  @Option(
    help: ArgumentHelp(
      "Encode in int8, and in float32 in turns with it; train in bfloat16; on a device compute in "
        + "float32, tf32, bfloat16 or float16.", valueName: "float32|int8|tf32|bfloat16|float16"))
  var precision = Precision.float32

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "Count on these how many int8 tokens are those of float32.", valueName: "path"),
    completion: .file())
  var photos: [String] = []

  @Flag(
    help: """
      Show how accurate each algorithm is on the encoder's layers: the largest error against sums in \
      float64, in standard deviations of the output.
      """)
  var accuracy = false

  @Flag(help: "Show how long each algorithm takes for the encoder's 3×3 layers.")
  var algorithms = false

  @Option(
    help: """
      Compile the program of --what for this GPU, which need not be in the machine, show the memory \
      that it needs, and end. It takes the plugin of --device cuda.
      """)
  var compileFor: GPUTarget?

  @Flag(help: "List the supported instruction sets and end.")
  var instructionSets = false

  @OptionGroup var json: JSONOption
  @OptionGroup var quiet: QuietOption

  mutating func validate() throws {
    // Random weights are those that are made without the option.
    if weights == ModelName.random.rawValue { weights = nil }
    if weights != nil {
      try CommandWords.refuse(
        "--n-hid", "--blocks", "--vocabulary",
        reason: "is of random weights, but --weights names a model")
    } else if let problem = problem(of: { _ = try architecture(of: nil) }) {
      throw ValidationError(problem)
    }
    if !(8...8192).contains(resolution) || resolution % 8 != 0 {
      throw ValidationError(
        "--resolution must be a multiple of 8 from 8 to 8192, not \(resolution)")
    }
    try check("batch-size", images, atMost: 4096)
    try check("runs", runs, atMost: 1_000_000)
    if let threads { try check("threads", threads, atMost: CPUEngine.mostThreads) }
    if precision == .int8, what != .encode {
      throw ValidationError("--precision int8 is for --what encode")
    }
    guard isOnDevice || [.float32, .int8, .bfloat16].contains(precision) else {
      throw ValidationError("--precision \(precision.rawValue) needs another --device than cpu")
    }
    guard isOnDevice || precision != .bfloat16 || what == .train && !accuracy && !algorithms else {
      throw ValidationError("--precision bfloat16 on the CPU is for --what train")
    }
    guard !isOnDevice || (precision != .int8 && !accuracy && !algorithms) else {
      throw ValidationError("--precision int8, --accuracy and --algorithms are of the CPU")
    }
    if compileFor != nil, !isOnDevice {
      throw ValidationError("--compile-for needs --device cuda, whose compiler it uses")
    }
    if precision != .int8, !photos.isEmpty {
      throw ValidationError("--photos goes with --precision int8")
    }
    if accuracy || algorithms {
      try CommandWords.refuse(
        "--what", "--weights",
        reason:
          "means nothing with --accuracy and --algorithms: they are of the random encoder's layers")
    }
  }

  /// The number of images in a batch.
  var images: Int { batchSize ?? device.usualBatch }
  private var isOnDevice: Bool { !device.isCPU }

  func run() throws {
    if instructionSets {
      for set in InstructionSet.all {
        Console.current.print("\(set.name)\(set.isSupported ? "" : " (not on this machine)")")
      }
      return
    }
    if let compileFor {
      let report = try compiledAhead(for: compileFor)
      return try json.print(report, or: report.lines)
    }
    try checkMemory()
    if isOnDevice {
      let report = try deviceReport()
      return try json.print(report, or: report.lines)
    }
    let engine = TimedEngine(
      try CPUEngine(threads: threads, factors: precision == .bfloat16 ? .bfloat16 : .float32))
    if accuracy {
      let report = try AccuracyReport(architecture(of: nil), engine.base)
      return try json.print(report, or: report.lines)
    }
    if algorithms {
      let architecture = try architecture(of: nil)
      try checkMemory(architecture)
      let report = AlgorithmReport(
        architecture, engine.base, resolution: resolution, batchSize: images, runs: runs)
      return try json.print(report, or: report.lines)
    }
    let report = try precision == .int8 ? compared(engine) : measured(engine)
    try json.print(report, or: report.lines)
  }

  /// Measures the work on the CPU.
  private func measured(_ engine: TimedEngine<CPUEngine>) throws -> BenchmarkReport {
    let ceiling = engine.base.measuredCeiling()
    let step = try work(on: engine)
    try step()
    engine.reset()
    return BenchmarkReport(
      self, engine: engine.name, seconds: try seconds(step), ceiling: ceiling,
      entries: engine.entries, screening: engine.base.screeningCounts)
  }

  /// Returns the seconds of each run, in ascending order.
  func seconds(_ step: () throws -> Void) rethrows -> [Double] {
    let clock = ContinuousClock()
    return try (0..<runs).map { _ in try clock.measure(step) / .seconds(1) }.sorted()
  }

  /// Refuses images and random weights that do not fit into the host's memory.
  private func checkMemory() throws {
    if weights == nil {
      try MemoryCheck.parameters(architecture(of: nil), copies: what == .train ? 5 : 1)
    }
    try MemoryCheck.images(images, side: resolution)
  }

  /// Refuses batches that the CPU cannot compute; a device checks its own memory.
  private func checkMemory(_ architecture: Architecture) throws {
    try MemoryCheck.batch(architecture, images: images, height: resolution, width: resolution)
  }

  /// Returns one run of the measured work, with all one-time work already done.
  private func work(on engine: TimedEngine<CPUEngine>) throws -> () throws -> Void {
    let loaded = try weights.map { try WeightsFiles(WeightsLocation($0)).model }
    let architecture = try architecture(of: loaded)
    try checkMemory(architecture)
    let x = input()
    let side = resolution / Architecture.pixelsPerToken
    switch what {
    case .encode:
      let encoder = ImageEncoder(
        architecture, parameters: loaded?.encoder ?? random(architecture), engine: engine)
      return { _ = try encoder.tokens(x) }
    case .decode:
      let decoder = ImageDecoder(
        architecture, parameters: loaded?.decoder ?? random(architecture), engine: engine)
      let tokens = (0..<images * side * side).map {
        Int32($0 * 7919 % architecture.vocabulary)
      }
      return {
        _ = try decoder.statistics(tokens: tokens, batch: images, height: side, width: side)
      }
    case .train:
      return try training(loaded, architecture, x, engine)
    }
  }

  /// Measures int8 and float32 in turns.
  private func compared(_ engine: TimedEngine<CPUEngine>) throws -> BenchmarkReport {
    let files = try weights.map { try WeightsFiles(WeightsLocation($0)) }
    let architecture = try architecture(of: files?.model)
    try checkMemory(architecture)
    let parameters = files?.model.encoder ?? random(architecture)
    let float = ImageEncoder(architecture, parameters: parameters, engine: engine.base)
    let calibration = try files?.calibration() ?? Calibrator.usualCalibration(float)
    let int8 = QuantizedEncoder(
      architecture, parameters: parameters, calibration: calibration, engine: engine)
    let ceiling = engine.base.measuredCeiling()
    let comparison = try PrecisionComparison(float, int8, input(), runs: runs, photos: photos)
    return BenchmarkReport(
      self, engine: engine.name, seconds: comparison.int8.sorted(), ceiling: ceiling,
      entries: engine.entries, comparison: comparison)
  }

  func architecture(of loaded: ModelWeights?) throws -> Architecture {
    try loaded?.architecture
      ?? Architecture(hidden: nHid, blocksPerGroup: blocks, vocabulary: vocabulary)
  }

  func random(_ architecture: Architecture) -> ParameterSet {
    let parameters = ParameterSet([architecture.encoder, architecture.decoder])
    parameters.fillForSpeed()
    return parameters
  }

  func input() -> Tensor {
    let x = Tensor(Shape(images, resolution, resolution, 3))
    x.all.fillForSpeed(from: 0.1, to: 0.9)
    return x
  }

  /// The trainer's update, without loading images.
  private func training(
    _ loaded: ModelWeights?, _ architecture: Architecture, _ x: Tensor,
    _ engine: TimedEngine<CPUEngine>
  ) throws -> () throws -> Void {
    var configuration = TrainingConfiguration.starter
    configuration.architecture = architecture
    (configuration.batchSize, configuration.microBatch) = (images, images)
    configuration.resolution = resolution
    configuration.codebookInitialisation = 0
    var state = try TrainingState(configuration, startingFrom: loaded)
    let updater = HostUpdate(configuration, engine: engine)
    return {
      _ = try updater.update(x, state, check: { _, _ in }, next: { nil })
      state.update += 1
    }
  }

  /// The values of `--what`.
  enum Work: String, CaseIterable, ExpressibleByArgument {
    case encode
    case decode
    case train
  }
}

extension ParameterSet {
  /// Fills weights with cheap numbers of the usual magnitude, which suffices for speed.
  fileprivate func fillForSpeed() {
    for parameter in parameters {
      let fanIn = parameter.shape.dropFirst().reduce(1, *)
      let bound = parameter.shape.count == 1 ? 0.1 : (3 / Float(fanIn)).squareRoot()
      parameter.values.fillForSpeed(from: -bound, to: bound)
    }
  }
}

extension TensorSlice {
  fileprivate func fillForSpeed(from low: Float, to high: Float) {
    var state: UInt32 = 1
    for i in 0..<count {
      state = state &* 1_664_525 &+ 1_013_904_223
      pointer[i] = low + (high - low) * Float(state >> 8) * 0x1p-24
    }
  }
}

extension GPUTarget: ExpressibleByArgument {}
