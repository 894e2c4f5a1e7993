import ArgumentParser
import DVAEModel
import DVAETraining

/// The settings of a run from a preset, a file and flags; each overrides the one before.
struct TrainOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The recipe to start from: paper (as published), starter (an hour or more on one core), "
        + "tiny (minutes); default starter. All compute in float32 unless --precision says otherwise.",
      valueName: "paper|starter|tiny"),
    completion: .list(TrainingConfiguration.presets.keys.sorted()))
  var preset: String?

  @Option(
    help: ArgumentHelp(
      "JSON with any of the settings of a run's config.json, or such a file itself; its schedules "
        + "are taken as they stand.", valueName: "file"), completion: .file())
  var config: String?

  @Option(help: "Updates of the whole run; a new run's schedules of the preset scale along.")
  var updates: Int?
  @Option(help: "Images of one update.")
  var batchSize: Int?
  @Option(help: "Images computed at a time; less memory, the same result up to rounding.")
  var microBatch: Int?
  @Option(help: "Side of the random crops in pixels; a multiple of 8.")
  var resolution: Int?
  @Option(help: "Channels of the narrowest group of blocks.")
  var nHid: Int?
  @Option(name: .customLong("n-blk-per-group"), help: "Residual blocks in each of the four groups.")
  var blocksPerGroup: Int?
  @Option(help: "Codes in the vocabulary.")
  var vocabSize: Int?
  @Option(name: .customLong("n-init"), help: "Channels of the decoder's first layer.")
  var initial: Int?

  @Option(help: "The optimizer's largest learning rate.")
  var learningRate: Double?
  @Option(help: "The learning rate at the end.")
  var learningRateEnd: Double?
  @Option(help: "Updates until the learning rate is at its end.")
  var learningRateUpdates: Int?
  @Option(help: "Updates over which the learning rate rises at first.")
  var warmUp: Int?
  @Option(help: "β at the end, the weight of the KL term.")
  var klWeight: Double?
  @Option(help: "Updates until β is at its end.")
  var klWeightUpdates: Int?
  @Option(help: "τ at the end, the temperature of the relaxation.")
  var temperature: Double?
  @Option(help: "Updates until τ is at its end.")
  var temperatureUpdates: Int?
  @Option(name: .customLong("beta-1"), help: "AdamW's β₁.")
  var beta1: Double?
  @Option(name: .customLong("beta-2"), help: "AdamW's β₂.")
  var beta2: Double?
  @Option(help: "AdamW's ε.")
  var epsilon: Double?
  @Option(help: "AdamW's weight decay.")
  var weightDecay: Double?
  @Option(help: "Decay of the average of the parameters.")
  var emaDecay: Double?
  @Option(help: "The gradient's largest norm; 0 for no limit.")
  var clipNorm: Double?
  @Option(help: "The random seed.")
  var seed: UInt64?

  @Option(
    name: .customLong("code-spread"),
    help: ArgumentHelp(
      "Lets each code stand for an example of the images from the start; the KL term begins at half "
        + "the square of this. 0 for random weights."))
  var codebookInitialisation: Double?

  @Option(
    name: .customLong("init"),
    help: ArgumentHelp(
      "Weights to start from: what --weights takes elsewhere.", valueName: "weights"),
    completion: .model)
  var initialWeights: String?
  @Option(
    help: ArgumentHelp(
      "A part that stays as it is: encoder, decoder, or the beginning of parameters' names; may be repeated.",
      valueName: "part"), completion: .list(["encoder", "decoder"]))
  var freeze: [String] = []

  @Option(help: "Updates from one checkpoint to the next.")
  var checkpointEvery: Int?
  @Option(help: "Checkpoints to keep.")
  var keep: Int?
  @Option(help: "Updates from one validation to the next.")
  var validateEvery: Int?
  @Option(help: "Images to validate with.")
  var validationImages: Int?
  @Option(help: "Side of the validation images in pixels; a multiple of 8.")
  var validationResolution: Int?

  /// Applies the flags.
  func apply(to configuration: inout TrainingConfiguration) throws {
    func set<Value>(_ value: Value?, _ path: WritableKeyPath<TrainingConfiguration, Value>) {
      if let value { configuration[keyPath: path] = value }
    }
    let old = configuration.architecture
    let impossible = problem {
      configuration.architecture = try Architecture(
        hidden: nHid ?? old.hidden, blocksPerGroup: blocksPerGroup ?? old.blocksPerGroup,
        vocabulary: vocabSize ?? old.vocabulary, initial: initial ?? old.initial)
    }
    if let impossible { throw ValidationError(impossible) }
    set(updates, \.updates)
    set(batchSize, \.batchSize)
    // Keep the recipe's micro-batch if it divides the batch.
    if batchSize != nil, microBatch == nil, configuration.batchSize > 0 {
      configuration.microBatch =
        (1...max(1, configuration.microBatch)).last { configuration.batchSize % $0 == 0 } ?? 1
    }
    set(microBatch, \.microBatch)
    set(resolution, \.resolution)
    set(learningRate, \.learningRate.start)
    set(learningRateEnd, \.learningRate.end)
    set(learningRateUpdates, \.learningRate.updates)
    set(warmUp, \.warmUp)
    set(klWeight, \.klWeight.end)
    set(klWeightUpdates, \.klWeight.updates)
    set(temperature, \.temperature.end)
    set(temperatureUpdates, \.temperature.updates)
    set(beta1, \.beta1)
    set(beta2, \.beta2)
    set(epsilon, \.epsilon)
    set(weightDecay, \.weightDecay)
    set(emaDecay, \.averageDecay)
    set(clipNorm, \.clipNorm)
    set(seed, \.seed)
    set(codebookInitialisation, \.codebookInitialisation)
    if !freeze.isEmpty { configuration.frozen = freeze }
    set(checkpointEvery, \.checkpointEvery)
    set(keep, \.keep)
    set(validateEvery, \.validateEvery)
    set(validationImages, \.validationImages)
    set(validationResolution, \.validationResolution)
  }
}
