import DVAETestSupport
import DVAEFiles
import DVAECPUEngine
import DVAEModel
import DVAETraining
import DVAETensors
import Foundation
import Testing

@Suite struct TrainerTests {
  let folder: TemporaryFolder
  let engine: CPUEngine

  init() throws {
    folder = TemporaryFolder()
    engine = try CPUEngine(threads: 2)
  }

  private func validation(_ configuration: TrainingConfiguration) throws -> ValidationSet {
    var images = SyntheticImages(configuration, position: DataPosition(index: 1_000))
    return ValidationSet([try images.next().images])
  }

  /// Trains in a folder from its newest checkpoint on.
  @discardableResult
  private func train(
    _ configuration: TrainingConfiguration, in name: String, _ watcher: inout Watcher,
    threads: Int = 2, spoiled: Int? = nil
  ) throws -> (outcome: TrainingOutcome, state: TrainingState) {
    let run = try RunFolder(folder.path + "/" + name)
    let state = try run.latest { _ in } ?? TrainingState(configuration)
    var images = SyntheticImages(configuration, position: state.position)
    images.spoiled = spoiled
    var trainer = Trainer(
      state, engine: try CPUEngine(threads: threads), data: images,
      validation: try validation(configuration), folder: run)
    let outcome = try trainer.run(&watcher)
    return (outcome, trainer.state)
  }

  @Test func resumingGivesTheSameBits() throws {
    let configuration = try TrainingConfiguration.testing(updates: 8)
    var undisturbed = Watcher()
    let expected = try train(configuration, in: "a", &undisturbed)
    #expect(expected.outcome == .finished)
    #expect(undisturbed.saved == [2, 4, 6, 8])
    #expect(undisturbed.validations.map(\.update) == [4, 8])

    // Killed between checkpoints, then stopped normally, then killed again.
    var killed = Watcher(killAfter: 3)
    #expect(throws: Watcher.Killed.self) { try train(configuration, in: "b", &killed) }
    var stopped = Watcher(stopAfter: 3)
    #expect(try train(configuration, in: "b", &stopped).outcome == .stopped)
    #expect(stopped.saved == [4, 5])
    var again = Watcher(killAfter: 2)
    #expect(throws: Watcher.Killed.self) { try train(configuration, in: "b", &again) }
    var last = Watcher()
    let resumed = try train(configuration, in: "b", &last)

    #expect(resumed.state.bits == expected.state.bits)
    #expect(resumed.state.position == expected.state.position)
    #expect(last.validations.last == undisturbed.validations.last)
    #expect(last.updates.last?.loss == undisturbed.updates.last?.loss)
    // Otherwise equal bits would prove nothing.
    #expect(expected.state.bits != (try TrainingState(configuration)).bits)
  }

  @Test func picturesBetweenValidationsDoNotChangeTheRun() throws {
    let configuration = try TrainingConfiguration.testing(updates: 5)
    var plain = Watcher()
    let expected = try train(configuration, in: "plain", &plain)
    #expect(plain.drawn.isEmpty)
    var curious = Watcher()
    curious.wantsPictures = true
    let watched = try train(configuration, in: "curious", &curious)
    #expect(curious.drawn == [1, 2, 3])
    #expect(curious.validations.map(\.update) == [4, 5])
    #expect(watched.state.bits == expected.state.bits)
    #expect(curious.validations == plain.validations)
  }

  @Test func threadsDoNotMatter() throws {
    let configuration = try TrainingConfiguration.testing(updates: 2)
    var watcher = Watcher()
    let two = try train(configuration, in: "two", &watcher)
    let one = try train(configuration, in: "one", &watcher, threads: 1)
    #expect(one.state.bits == two.state.bits)
  }

  @Test(arguments: [
    ["encoder"], ["decoder"], ["encoder.blocks.group_2", "decoder.blocks.input"],
  ])
  func frozenPartsStay(_ frozen: [String]) throws {
    var configuration = try TrainingConfiguration.testing(updates: 2)
    configuration.frozen = frozen
    let start = try TrainingState(configuration)
    var watcher = Watcher()
    let end = try train(configuration, in: "run", &watcher).state
    for role in [end.parameters, end.average] {
      for parameter in role.parameters {
        let before = try #require(start.parameters[parameter.name])
        let isSame = before.values.elements.elementsEqual(parameter.values.elements)
        #expect(isSame == configuration.isFrozen(parameter.name), "\(parameter.name)")
      }
    }
  }

  @Test func aNaNStopsTheRunAndSparesTheCheckpoint() throws {
    let configuration = try TrainingConfiguration.testing()
    var watcher = Watcher()
    let error = try #require(throws: DVAEError.self) {
      try train(configuration, in: "run", &watcher, spoiled: 7)
    }
    let checkpoint = folder.path + "/run/checkpoints/000000002.safetensors"
    #expect(error.problem.hasPrefix("training diverged at update 4: "), "\(error)")
    #expect(error.advice?.contains(checkpoint) == true, "\(error)")
    let sound = try Checkpoint.load(checkpoint)
    #expect(sound.update == 2)
    #expect(sound.bits.allSatisfy { $0.allSatisfy { Float(bitPattern: $0).isFinite } })
  }

  @Test func everyCodeStandsForAnExample() throws {
    var configuration = try TrainingConfiguration.testing(updates: 2)
    var images = SyntheticImages(configuration)
    let state = try TrainingState(configuration)
    let drawn = ParameterSet(copying: state.parameters)
    var examples = CodeExamples(configuration)
    var batches: [Tensor] = []
    while examples.count < configuration.architecture.vocabulary {
      batches.append(try images.next().images)
      try examples.add(batches[batches.count - 1], state, engine: engine)
    }
    state.initialiseCodebook(from: examples, strength: 2, engine: engine)

    let encoder = ImageEncoder(
      configuration.architecture, parameters: state.parameters, engine: engine)
    // With as many examples as codes, each code wins at its own example.
    #expect(examples.count == 32)
    #expect(Set(try batches.flatMap { try encoder.tokens($0) }).count == 32)
    let kl = try batches.reduce(0) { $0 + engine.klToUniform(try encoder.logits($1)) }
    #expect(abs(kl / 32 - 2) < 1e-3)
    // The largest KL term of any logits is ln 32: if more is requested, they stay moderate.
    let other = try TrainingState(configuration)
    other.initialiseCodebook(from: examples, strength: 10, engine: engine)
    let wide = ImageEncoder(
      configuration.architecture, parameters: other.parameters, engine: engine)
    let most = try batches.reduce(0) { $0 + engine.klToUniform(try wide.logits($1)) }
    #expect(abs(most / 32 - 0.9 * naturalLogarithm(32)) < 1e-3)
    // Of the decoder's weights' variance of 1, half is random and half follows the examples.
    let input = "decoder.blocks.input.w"
    let before = try #require(drawn[input]?.values.elements)
    let after = try #require(state.parameters[input]?.values.elements)
    let rest = zip(after, before).map { $0 - Float(16).squareRoot() * $1 }
    #expect(abs(rest.reduce(0) { $0 + $1 * $1 } / Float(rest.count) - 0.5) < 1e-3)
    for (a, b) in zip(state.parameters.parameters, state.average.parameters) {
      #expect(a.values.elements.elementsEqual(b.values.elements))
    }

    // The run sees the same images with and without it.
    configuration.codebookInitialisation = 2
    var watcher = Watcher()
    let end = try train(configuration, in: "run", &watcher).state
    #expect(end.position.index == 4)
    #expect(abs(try #require(watcher.updates.first).kl - 2) < 0.5)
  }

  @Test func microBatchesAddUp() throws {
    var configuration = try TrainingConfiguration.testing(updates: 1)
    (configuration.batchSize, configuration.microBatch) = (4, 4)
    let step = HostUpdate(configuration, engine: engine)
    configuration.microBatch = 1
    let partial = HostUpdate(configuration, engine: engine)
    var images = SyntheticImages(configuration)
    let (x, state) = (try images.next().images, try TrainingState(configuration))
    var numbers = UpdateNumbers(state)
    (numbers.temperature, numbers.klWeight) = (0.5, 3)
    let noise = GumbelNoise<Tensor>.seeded(seed: 3, stream: 9)
    let whole = try step.computeGradients(x, state.parameters, numbers, noise: noise)
    let sum = try partial.computeGradients(x, state.parameters, numbers, noise: noise)
    #expect(abs(whole.loss - sum.loss) < 1e-6)
    #expect(abs(whole.kl - sum.kl) < 1e-6)
    let norm = step.gradientNorm()
    #expect(abs(norm - partial.gradientNorm()) < 1e-5 * norm)
    for (a, b) in zip(step.gradients.parameters, partial.gradients.parameters) {
      for (left, right) in zip(a.values.elements, b.values.elements) {
        #expect(abs(left - right / 4) < 1e-5 * Float(norm), "\(a.name)")
      }
    }
  }

  @Test func theNormIsLimited() throws {
    var configuration = try TrainingConfiguration.testing(updates: 1)
    configuration.clipNorm = 0
    var images = SyntheticImages(configuration)
    let x = try images.next().images
    for divisor in [1.0, 10.0] {
      let state = try TrainingState(configuration)
      var numbers = UpdateNumbers(state)
      (numbers.temperature, numbers.klWeight, numbers.learningRate) = (1, 0, 1)
      let step = HostUpdate(configuration, engine: engine)
      _ = try step.computeGradients(
        x, state.parameters, numbers, noise: .seeded(seed: 1, stream: 0))
      let norm = step.gradientNorm()
      step.apply(to: state, norm: norm, numbers)
      // m = (1 − β₁)·g after the first step.
      let moment = engine.sumOfSquares(try #require(state.firstMoment.arena)).squareRoot()
      #expect(abs(moment - 0.1 * norm / divisor) < 1e-5 * norm)
      configuration.clipNorm = norm / 10
    }
  }

  @Test func lossFallsAndPicturesAreMade() throws {
    var configuration = try TrainingConfiguration.testing(updates: 200)
    (configuration.validateEvery, configuration.checkpointEvery) = (200, 200)
    configuration.codebookInitialisation = 2
    configuration.klWeight = Schedule(from: 1, to: 1, over: 0)
    configuration.averageDecay = 0.9
    var watcher = Watcher()
    try train(configuration, in: "run", &watcher)
    let first = try #require(watcher.updates.first)
    let last = try #require(watcher.updates.last)
    #expect(last.reconstruction < first.reconstruction - 0.1)
    let pictures = try #require(watcher.pictures.first)
    #expect(pictures.hard.first?.shape == Shape(1, 16, 16, 3))
    #expect([pictures.originals, pictures.soft, pictures.hard].map(\.count) == [2, 2, 2])
    #expect(watcher.validations[0].codebook.total == 2 * 4)
    #expect(watcher.validations[0].psnr > 10)
  }
}
