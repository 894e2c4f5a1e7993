import DVAETestSupport
import DVAECPUEngine
import DVAEModel
import DVAETraining
import Testing

/// A run that is stopped at every moment before its first updates.
@Suite struct StoppedRunTests {
  let folder: TemporaryFolder

  init() throws { folder = TemporaryFolder() }

  /// Stops the run at the given query of `shouldStop`.
  private final class Impatient: TrainingObserver {
    private let patience: Int
    private(set) var asked = 0
    private(set) var losses: [Double] = []

    init(_ patience: Int = .max) { self.patience = patience }

    var shouldStop: Bool {
      asked += 1
      return asked > patience
    }
    func didUpdate(_ record: UpdateRecord) { losses.append(record.loss) }
    func didValidate(_ record: ValidationRecord, _ pictures: ValidationPictures) {}
    func didSave(_ path: String, update: Int) {}
    func didNotice(_ warning: String) {}
  }

  private func configuration() throws -> TrainingConfiguration {
    var configuration = try TrainingConfiguration.testing(updates: 3)
    configuration.codebookInitialisation = 3
    // 8 example positions per batch for 32 codes: four batches before the first update.
    configuration.microBatch = 2
    return configuration
  }

  private func train(
    in name: String, _ observer: Impatient
  ) throws -> (outcome: TrainingOutcome, state: TrainingState) {
    let run = try RunFolder(folder.path + "/" + name)
    let configuration = try configuration()
    let state = try run.latest { _ in } ?? TrainingState(configuration)
    var trainer = Trainer(
      state, engine: try CPUEngine(threads: 1),
      data: SyntheticImages(configuration, position: state.position), validation: nil, folder: run)
    var observer = observer
    let outcome = try trainer.run(&observer)
    return (outcome, trainer.state)
  }

  @Test(arguments: 0...7)
  func stoppingEarlyDoesNotChangeTheBits(_ patience: Int) throws {
    let whole = Impatient()
    let expected = try train(in: "whole", whole)
    #expect(whole.asked > 6)

    let first = Impatient(patience)
    let outcome = try train(in: "stopped", first).outcome
    #expect(outcome == (patience >= whole.asked ? .finished : .stopped))
    let second = Impatient()
    let resumed = try train(in: "stopped", second)
    #expect(resumed.outcome == .finished)
    #expect(resumed.state.bits == expected.state.bits)
    #expect(first.losses + second.losses == whole.losses)
  }

  @Test func stoppedAndAskedAgainInOneProcess() throws {
    let expected = try train(in: "whole", Impatient())
    let configuration = try configuration()
    var trainer = Trainer(
      try TrainingState(configuration), engine: try CPUEngine(threads: 1),
      data: SyntheticImages(configuration), validation: nil, folder: nil)
    var impatient = Impatient(2)
    #expect(try trainer.run(&impatient) == .stopped)
    #expect(trainer.state.needsCodebookInitialisation)
    var patient = Impatient()
    #expect(try trainer.run(&patient) == .finished)
    #expect(trainer.state.bits == expected.state.bits)
  }

  @Test func weightsToStartFromAreNotSpread() throws {
    #expect(try TrainingState(configuration()).needsCodebookInitialisation)
    var plain = try configuration()
    plain.codebookInitialisation = 0
    #expect(try !TrainingState(plain).needsCodebookInitialisation)
  }
}
