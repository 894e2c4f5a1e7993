import DVAEModel

extension TrainingConfiguration {
  /// The complete presets by name: `paper`, `starter`, `tiny`.
  public static let presets: [String: TrainingConfiguration] = [
    "paper": paper, "starter": starter, "tiny": tiny,
  ]

  /// The recipe of the DALL·E paper (A.2).
  ///
  /// The paper's batch of 512 was 64 processes of 8 images, hence the micro-batch. The settings of
  /// checkpoints, validation and the like are ours.
  public static let paper = TrainingConfiguration(
    preset: "paper",
    architecture: .released,
    updates: 3_000_000,
    batchSize: 512,
    microBatch: 8,
    resolution: 256,
    learningRate: Schedule(from: 1e-4, to: 1.25e-6, over: 1_200_000),
    warmUp: 0,
    klWeight: Schedule(from: 0, to: 6.6, over: 5_000),
    temperature: Schedule(from: 1, to: 1.0 / 16, over: 150_000),
    averageDecay: 0.999,
    clipNorm: 0,
    codebookInitialisation: 0,
    validationImages: 256,
    validationResolution: 256,
    validateEvery: 5_000,
    checkpointEvery: 1_000,
    keep: 3)

  /// A recipe for a model that one processor core trains in an hour on a few thousand photos.
  ///
  /// A quarter of the released width, one block per group, all 8192 tokens, small crops. For so few
  /// updates the learning rate is larger after a short warm-up, the gradient norm is clipped, and
  /// the temperature falls over the whole run. The codebook is initialised from examples of the
  /// images, and β, which keeps codes in use while the temperature is high, has its final value
  /// from the start: at half the width, after 800 updates of 64×64 crops, 20.4 dB and 1008 used
  /// codes on 16 validation images, against 18.4 dB and 105 from random weights.
  public static let starter = TrainingConfiguration(
    preset: "starter",
    architecture: .starter,
    updates: 5_600,
    batchSize: 8,
    microBatch: 8,
    resolution: 96,
    learningRate: Schedule(from: 1e-3, to: 1.25e-5, over: 5_600),
    warmUp: 56,
    klWeight: Schedule(from: 6.6, to: 6.6, over: 0),
    temperature: Schedule(from: 1, to: 1.0 / 16, over: 5_600),
    averageDecay: 0.999,
    clipNorm: 1,
    codebookInitialisation: 3,
    validationImages: 32,
    validationResolution: 256,
    validateEvery: 500,
    checkpointEvery: 250,
    keep: 3)

  /// A model for experiments: minutes on a laptop for recognisable pictures.
  public static let tiny = TrainingConfiguration(
    preset: "tiny",
    architecture: .tiny,
    updates: 1_000,
    batchSize: 8,
    microBatch: 8,
    resolution: 64,
    learningRate: Schedule(from: 3e-3, to: 3e-5, over: 1_000),
    warmUp: 50,
    klWeight: Schedule(from: 6.6, to: 6.6, over: 0),
    temperature: Schedule(from: 1, to: 1.0 / 16, over: 1_000),
    averageDecay: 0.99,
    clipNorm: 1,
    codebookInitialisation: 3,
    validationImages: 8,
    validationResolution: 128,
    validateEvery: 100,
    checkpointEvery: 100,
    keep: 2)
}

extension Architecture {
  /// 8192 tokens at a quarter of the released width, one block per group.
  static let starter = Architecture(
    unchecked: 64, blocksPerGroup: 1, vocabulary: 8192, initial: 128)

  /// 512 tokens, a sixteenth of the released width, one block per group.
  static let tiny = Architecture(
    unchecked: 16, blocksPerGroup: 1, vocabulary: 512, initial: 32)
}
