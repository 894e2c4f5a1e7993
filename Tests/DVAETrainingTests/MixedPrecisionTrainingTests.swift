import DVAECPUEngine
import DVAEModel
import DVAETensors
import DVAETestSupport
import DVAETraining
import Testing

/// Runs whose products have bfloat16 factors, emulated where the processor has none.
@Suite struct MixedPrecisionTrainingTests {
  /// The losses of a run's updates, and its last state.
  private func run(
    _ configuration: TrainingConfiguration, _ factors: FactorPrecision, threads: Int = 2
  ) throws -> (losses: [Double], state: TrainingState) {
    var trainer = Trainer(
      try TrainingState(configuration),
      engine: try CPUEngine(threads: threads, factors: factors),
      data: SyntheticImages(configuration), validation: nil, folder: nil)
    var watcher = Watcher()
    _ = try trainer.run(&watcher)
    return (watcher.updates.map(\.loss), trainer.state)
  }

  /// The losses fall from -0.486 to -0.653 nats per value.
  ///
  /// The mean difference was 0.0065 by rounding, and
  /// 0.131 by the seed; the bound is twice the former.
  @Test("The losses follow float32's, far closer than those of another seed") func losses() throws {
    var configuration = TrainingConfiguration.tiny.scaled(toUpdates: 40)
    configuration.architecture = try Architecture(
      hidden: 16, blocksPerGroup: 1, vocabulary: 64, initial: 16)
    (configuration.batchSize, configuration.microBatch) = (4, 4)
    (configuration.resolution, configuration.codebookInitialisation) = (16, 0)
    let exact = try run(configuration, .float32).losses
    let mixed = try run(configuration, .bfloat16Anywhere).losses
    configuration.seed += 1
    let other = try run(configuration, .float32).losses
    func difference(_ losses: [Double]) -> Double {
      zip(losses, exact).reduce(0) { $0 + abs($1.0 - $1.1) } / Double(exact.count)
    }
    #expect(exact.count == 40)
    #expect(difference(mixed) > 0 && difference(mixed) < 0.013)
    #expect(difference(other) > 10 * difference(mixed))
  }

  @Test("Validation computes in float32, as whoever uses the weights") func validation() throws {
    let configuration = try TrainingConfiguration.testing(updates: 4)
    var images = SyntheticImages(configuration, position: DataPosition(index: 1_000))
    let validation = ValidationSet([try images.next().images])
    var trainer = Trainer(
      try TrainingState(configuration),
      engine: try CPUEngine(threads: 2, factors: .bfloat16Anywhere),
      data: SyntheticImages(configuration), validation: validation, folder: nil)
    var watcher = Watcher()
    _ = try trainer.run(&watcher)
    let exact = try validation.evaluate(trainer.state, engine: try CPUEngine(threads: 2)).0
    #expect(watcher.validations.last?.loss == exact.loss)
    let mixed = try validation.evaluate(
      trainer.state, engine: try CPUEngine(threads: 2, factors: .bfloat16Anywhere)
    ).0
    #expect(mixed.loss != exact.loss)
  }

  @Test("The state has the same bits for any number of threads") func threads() throws {
    let configuration = try TrainingConfiguration.testing(updates: 2)
    let bits = try [1, 2, 3].map {
      try run(configuration, .bfloat16Anywhere, threads: $0).state.bits
    }
    #expect(bits[1] == bits[0] && bits[2] == bits[0])
    #expect(bits[0] != (try run(configuration, .float32).state.bits))
  }
}
