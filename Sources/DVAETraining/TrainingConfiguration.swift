package import DVAEFiles
public import DVAEModel
import DVAETensors

/// Everything that a training run is a function of, apart from the images themselves.
///
/// As JSON (`config.json` of a run) the keys are in snake case: `batch_size`, `learning_rate`. All
/// of them are always written; `presets` holds complete values to start from.
public struct TrainingConfiguration: Hashable, Codable, Sendable {
  /// The preset that it was made from: `paper`, `starter` or `tiny`.
  public var preset: String
  /// The numbers that fix the model's layers.
  public var architecture: Architecture
  /// Updates of the whole run.
  public var updates: Int
  /// Images of one update.
  public var batchSize: Int
  /// Images that are computed at a time; their gradients add up to those of the batch.
  ///
  /// Memory grows with it; the result changes by rounding only.
  public var microBatch: Int
  /// Side of the random crops that are trained on, in pixels; a multiple of 8.
  public var resolution: Int
  /// The optimizer's step size.
  public var learningRate: Schedule
  /// Updates over which the step size rises linearly to its schedule; the paper has none.
  public var warmUp: Int
  /// β, the weight of the KL term.
  public var klWeight: Schedule
  /// τ, the temperature of the relaxation.
  public var temperature: Schedule
  /// β₁ of AdamW.
  public var beta1: Double
  /// β₂ of AdamW.
  public var beta2: Double
  /// ε of AdamW.
  public var epsilon: Double
  /// λ of AdamW in PyTorch's form: a parameter p loses lr·λ·p.
  public var weightDecay: Double
  /// γ of the exponential moving average of the parameters.
  public var averageDecay: Double
  /// The gradient's largest norm over all parameters; 0 for no limit, as in the paper.
  public var clipNorm: Double
  /// Start of all random numbers.
  public var seed: UInt64
  /// Lets every code stand for an example from the start, with a KL term of codeSpread²/2 nats
  /// before the first update, at most 0.9 ln vocabulary; 0 leaves the random weights as drawn, as in
  /// the paper.
  public var codeSpread: Double
  /// A weights file to start from; empty to start from random weights.
  public var initialWeights: String
  /// Prefixes of the names of parameters that stay as they are: `encoder`,
  /// `decoder.blocks.group_4`.
  public var frozen: [String]
  /// Where the images are.
  public var data: [String]
  /// Where the images to validate with are; those of `data` if there are none.
  public var validation: [String]
  /// Images to validate with.
  public var validationImages: Int
  /// Side of the validation images, in pixels; a multiple of 8.
  public var validationResolution: Int
  /// Updates from one validation to the next.
  public var validateEvery: Int
  /// Updates from one checkpoint to the next.
  public var checkpointEvery: Int
  /// Checkpoints that are kept, the newest.
  public var keep: Int
  /// The folder in which the run began: relative paths of `data`, `validation` and `init` start
  /// there; nil for the current folder.
  public var folder: String?
  /// SHA-256 of the weights file whose encoder the run keeps as it is; nil where it trains one.
  public var frozenEncoder: String?

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
    case codeSpread = "code_spread"
    case initialWeights = "init"
    case frozen = "freeze"
    case data, validation
    case validationImages = "validation_images"
    case validationResolution = "validation_resolution"
    case validateEvery = "validate_every"
    case checkpointEvery = "checkpoint_every"
    case keep, folder
    case frozenEncoder = "frozen_encoder"
  }

  /// Keys that are left out where they have no value.
  static let optionalKeys = [CodingKeys.folder, .frozenEncoder].map(\.rawValue)
}

extension TrainingConfiguration {
  /// The same recipe with another number of updates: all spans scale along.
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

  /// The step size at an update, counted from 0: the schedule's, times (t + 1)/warmUp at first.
  package func learningRate(at update: Int) -> Double {
    let rise = update < warmUp ? Double(update + 1) / Double(warmUp) : 1
    return rise * learningRate(update)
  }

  /// Whether a parameter of this name stays as it is.
  ///
  /// A prefix counts at whole components only: `encoder.blocks.group_1` has nothing to do with
  /// `encoder.blocks.group_10`.
  package func isFrozen(_ name: String) -> Bool {
    frozen.contains { name == $0 || name.hasPrefix($0 + ".") }
  }

  /// Whether the encoder stays as it is as a whole.
  package var isEncoderFrozen: Bool {
    architecture.encoder.parameterShapes.allSatisfy { isFrozen($0.name) }
  }

  /// What random numbers are for; each purpose has a seed of its own, so that no two of them ever
  /// see the same numbers.
  package enum Randomness: UInt64, Sendable {
    /// The parameters before the first update.
    case parameters
    /// The noise of the relaxation.
    case noise
    /// The order of the images.
    case order
    /// The random crops.
    case augmentation
    /// Which examples the codes start from.
    case codes
  }

  /// The seed for one purpose.
  package func seed(for purpose: Randomness) -> UInt64 {
    var generator = SeededGenerator(seed: seed, stream: .max - purpose.rawValue)
    return generator.next()
  }
}

extension TrainingConfiguration {
  /// Checks that processes can share the batches: each computes whole micro-batches.
  ///
  /// - Throws: `DVAEError.configuration`
  package func checkShares(among processes: Int) throws(DVAEError) {
    guard batchSize / microBatch % processes == 0 else {
      throw .configuration(
        field: CodingKeys.microBatch.rawValue,
        problem: "is \(microBatch): batches of \(batchSize) make \(batchSize / microBatch) "
          + "micro-batches, which \(processes) processes cannot share evenly")
    }
  }

  /// The largest number of updates, images and the like: sums of a few of them are far from
  /// overflowing.
  static let mostUpdates = 1_000_000_000

  /// Checks every value by itself and against the others.
  ///
  /// - Throws: `DVAEError.configuration` naming the first field that cannot be.
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
        "is \(value), must be a positive multiple of 8")
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
      (CodingKeys.weightDecay, weightDecay), (.clipNorm, clipNorm), (.codeSpread, codeSpread),
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
