package import DVAEFiles
public import DVAEModel
import DVAETensors

/// The complete settings of a training run; its result depends only on them and the images.
///
/// The keys of the JSON form (`config.json` of a run) are in snake case: `batch_size`,
/// `learning_rate`. All are always written; `presets` holds complete values to start from; the
/// defaults are those of every preset.
public struct TrainingConfiguration: Hashable, Codable, Sendable {
  /// The preset that it is based on: `paper`, `starter` or `tiny`.
  public var preset: String
  /// The model's hyperparameters.
  public var architecture: Architecture
  /// The number of updates in the whole run.
  public var updates: Int
  /// The number of images in a batch.
  public var batchSize: Int
  /// The number of images that are computed at a time; their gradients are accumulated over a
  /// batch.
  ///
  /// It affects memory, and the result only by rounding.
  public var microBatch: Int
  /// The side of the random training crops in pixels; a multiple of 8.
  public var resolution: Int
  /// The learning rate.
  public var learningRate: Schedule
  /// Updates over which the learning rate rises linearly to its schedule; 0 in the paper.
  public var warmUp: Int
  /// β, the weight of the KL term.
  public var klWeight: Schedule
  /// τ, the temperature of the relaxation.
  public var temperature: Schedule
  /// β₁ of AdamW.
  public var beta1: Double = 0.9
  /// β₂ of AdamW.
  public var beta2: Double = 0.999
  /// ε of AdamW.
  public var epsilon: Double = 1e-8
  /// λ of AdamW in PyTorch's form: a parameter p loses lr·λ·p.
  public var weightDecay: Double = 1e-4
  /// γ of the exponential moving average of the parameters.
  public var averageDecay: Double
  /// The limit of the gradient's norm over all parameters; 0 for no clipping, as in the paper.
  public var clipNorm: Double
  /// The seed of all random numbers.
  public var seed: UInt64 = 0
  /// Initialises the codebook from examples of the images, with a KL term of codebookInitialisation²/2 nats
  /// before the first update, at most 0.9 ln vocabulary; 0 keeps the random weights, as in the
  /// paper.
  public var codebookInitialisation: Double
  /// A file of initial weights; empty for random weights.
  public var initialWeights: String = ""
  /// Prefixes of the names of frozen parameters: `encoder`, `decoder.blocks.group_4`.
  public var frozen: [String] = []
  /// The paths of the training images.
  public var data: [String] = []
  /// The paths of the validation images; empty for those of `data`.
  public var validation: [String] = []
  /// The number of validation images.
  public var validationImages: Int
  /// The side of the validation images in pixels; a multiple of 8.
  public var validationResolution: Int
  /// The number of updates between validations.
  public var validateEvery: Int
  /// The number of updates between checkpoints.
  public var checkpointEvery: Int
  /// The number of newest checkpoints to keep.
  public var keep: Int
  /// The folder in which the run began, to which relative paths of `data`, `validation` and `init`
  /// refer; nil for the current folder.
  public package(set) var folder: String?
  /// SHA-256 of the weights file whose encoder the run freezes; nil if the encoder is trained.
  public package(set) var frozenEncoder: String?
  /// The licence of the initial weights, which the run's weights keep; nil if they state none.
  public var licence: String?

  enum CodingKeys: String, CodingKey {
    case preset, architecture, updates
    case batchSize = "batch_size"
    case microBatch = "micro_batch"
    case resolution
    case learningRate = "learning_rate"
    case warmUp = "warm_up"
    case klWeight = "kl_weight"
    case temperature
    case beta1 = "beta_1"
    case beta2 = "beta_2"
    case epsilon
    case weightDecay = "weight_decay"
    case averageDecay = "ema_decay"
    case clipNorm = "clip_norm"
    case seed
    case codebookInitialisation = "code_spread"
    case initialWeights = "init"
    case frozen = "freeze"
    case data, validation
    case validationImages = "validation_images"
    case validationResolution = "validation_resolution"
    case validateEvery = "validate_every"
    case checkpointEvery = "checkpoint_every"
    case keep, folder
    case frozenEncoder = "frozen_encoder"
    case licence
  }

  /// Keys that are omitted when they have no value.
  static let optionalKeys = [CodingKeys.folder, .frozenEncoder, .licence].map(\.rawValue)
}

extension TrainingConfiguration {
  /// Returns the same recipe with another number of updates; all spans scale with it.
  public func scaled(toUpdates updates: Int) -> TrainingConfiguration {
    let ratio = Double(updates) / Double(max(1, self.updates))
    var scaled = self
    scaled.updates = updates
    scaled.learningRate = learningRate.scaled(by: ratio)
    scaled.warmUp = Schedule.span(warmUp, scaledBy: ratio)
    scaled.klWeight = klWeight.scaled(by: ratio)
    scaled.temperature = temperature.scaled(by: ratio)
    return scaled
  }

  /// The number of micro-batches in a batch.
  var microBatches: Int { batchSize / microBatch }

  /// Returns the learning rate at an update, counted from 0: the schedule's, times (t + 1)/warmUp
  /// at first.
  package func learningRate(at update: Int) -> Double {
    let rise = update < warmUp ? Double(update + 1) / Double(warmUp) : 1
    return rise * learningRate(update)
  }

  /// Returns whether the parameter with this name is frozen.
  ///
  /// Prefixes match whole components: `encoder.blocks.group_1` does not match
  /// `encoder.blocks.group_10`.
  package func isFrozen(_ name: String) -> Bool {
    frozen.contains { name == $0 || name.hasPrefix($0 + ".") }
  }

  /// Whether the whole encoder is frozen.
  package var isEncoderFrozen: Bool {
    architecture.encoder.parameterShapes.allSatisfy { isFrozen($0.name) }
  }

  /// The purposes of random numbers; each has a seed of its own, so no two share random numbers.
  package enum Randomness: UInt64, Sendable {
    /// The initial parameters.
    case parameters
    /// The noise of the relaxation.
    case noise
    /// The order of the images.
    case order
    /// The random crops.
    case augmentation
    /// The examples that initialise the codebook.
    case codes
  }

  /// Returns the seed for one purpose.
  package func seed(for purpose: Randomness) -> UInt64 {
    var generator = SeededGenerator(seed: seed, stream: .max - purpose.rawValue)
    return generator.next()
  }
}

extension TrainingConfiguration {
  /// Refuses a run that certainly does not fit into this machine's memory, before anything is allocated.
  ///
  /// - Parameter onCPU: whether the CPU computes the updates
  /// - Throws: `badData`
  package func checkMemory(onCPU: Bool) throws(DVAEError) {
    // Parameters, two moments, averages, and on the CPU gradients.
    try MemoryCheck.parameters(architecture, copies: onCPU ? 5 : 4)
    try MemoryCheck.images(batchSize, side: resolution)
    guard onCPU else { return }
    try MemoryCheck.batch(
      architecture, images: microBatch, height: resolution, width: resolution)
  }

  /// Checks that processes or devices can share the batches; each computes whole micro-batches.
  ///
  /// - Throws: `DVAEError.configuration`
  package func checkShares(among processes: Int) throws(DVAEError) {
    guard microBatches % processes == 0 else {
      throw .configuration(
        field: CodingKeys.microBatch.rawValue,
        problem: "is \(microBatch): batches of \(batchSize) make "
          + "\(microBatches == 1 ? "1 micro-batch" : "\(microBatches) micro-batches"), "
          + "which \(processes) processes or devices cannot share evenly")
    }
  }

  /// Lowers the micro-batch so that each process or device gets one, if the batch can be shared.
  package mutating func lowerMicroBatch(for processes: Int) {
    guard batchSize % processes == 0 else { return }
    microBatch = min(microBatch, batchSize / processes)
  }

  /// The largest number of updates, images and similar counts: sums of a few of them cannot
  /// overflow.
  static let mostUpdates = 1_000_000_000

  /// Checks every value by itself and against the others.
  ///
  /// - Throws: `DVAEError.configuration` that names the first impossible field.
  package func validate() throws(DVAEError) {
    func check(_ condition: Bool, _ field: CodingKeys, _ problem: String) throws(DVAEError) {
      guard condition else { throw .configuration(field: field.rawValue, problem: problem) }
    }
    for (field, value) in [
      (CodingKeys.updates, updates), (.batchSize, batchSize), (.microBatch, microBatch),
      (.validationImages, validationImages), (.validateEvery, validateEvery),
      (.checkpointEvery, checkpointEvery), (.keep, keep),
    ] {
      try check(
        (1...Self.mostUpdates).contains(value), field,
        "is \(value), must be from 1 to \(Self.mostUpdates)")
    }
    try check(
      batchSize % microBatch == 0, .microBatch,
      "is \(microBatch), must divide the batch size \(batchSize)")
    for (field, value) in [
      (CodingKeys.resolution, resolution), (.validationResolution, validationResolution),
    ] {
      try check(
        (8...65_536).contains(value) && value % 8 == 0, field,
        "is \(value), must be a multiple of 8 from 8 to 65536")
    }
    guard architecture.vocabulary <= 1 << 16 else {
      throw .configuration(
        field: "vocabulary",
        problem:
          "is \(architecture.vocabulary), must be at most 65536, as tokens are kept in 16 bits")
    }
    try check(
      (0...Self.mostUpdates).contains(warmUp), .warmUp,
      "is \(warmUp), must be from 0 to \(Self.mostUpdates)")
    for (field, schedule, isPositive) in [
      (CodingKeys.learningRate, learningRate, false), (.klWeight, klWeight, false),
      (.temperature, temperature, true),
    ] {
      for value in [schedule.start, schedule.end] {
        try check(
          value.isFinite && value >= 0 && (value > 0 || !isPositive), field,
          "goes through \(value), must be finite and \(isPositive ? "positive" : "not negative")")
      }
      try check(
        (0...Self.mostUpdates).contains(schedule.updates), field,
        "takes \(schedule.updates) updates, must be from 0 to \(Self.mostUpdates)")
    }
    for (field, value) in [
      (CodingKeys.beta1, beta1), (.beta2, beta2), (.averageDecay, averageDecay),
    ] {
      try check((0..<1).contains(value), field, "is \(value), must be at least 0 and below 1")
    }
    for (field, value) in [
      (CodingKeys.weightDecay, weightDecay), (.clipNorm, clipNorm),
      (.codebookInitialisation, codebookInitialisation),
    ] {
      try check(value.isFinite && value >= 0, field, "is \(value), must not be negative")
    }
    try check(epsilon.isFinite && epsilon > 0, .epsilon, "is \(epsilon), must be positive")
    let names = plans.flatMap(\.parameterShapes).map(\.name)
    for prefix in frozen {
      try check(
        names.contains { $0 == prefix || $0.hasPrefix(prefix + ".") }, .frozen,
        "names '\(prefix)', which no parameter begins with; try 'encoder', 'decoder' or "
          + "'\(names[2].split(separator: ".").prefix(3).joined(separator: "."))'")
    }
    try check(!names.allSatisfy(isFrozen), .frozen, "leaves no parameter to train")
    try check(
      architecture.inputChannels == 3 && architecture.outputChannels == 3, .architecture,
      "has \(architecture.inputChannels) input and \(architecture.outputChannels) output channels, "
        + "must have 3 of each for colour images")
  }
}
