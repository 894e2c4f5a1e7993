import DVAEFiles
import DVAEModel
import DVAETestSupport
import DVAETensors
import Foundation
import Testing
import DVAEWeights

/// Three complete updates against the oracle in Tests/Fixtures/training, computed in float64.
@Suite("The objective")
struct ObjectiveTests {
  /// steps.json.
  struct Oracle: Decodable {
    struct Update: Decodable {
      let tau, beta: Double
      let lr: Float
      let loss, reconstruction, kl: Double
    }
    let updates: [Update]
  }

  @Test("Losses, gradients, parameters and averages are the oracle's", arguments: TestEngine.all)
  func updates(on engine: TestEngine) throws { try updates(with: engine.engine) }

  private func updates(with engine: some HostEngine) throws {
    let oracle = try JSONDecoder().decode(
      Oracle.self, from: Data(contentsOf: Fixture.url("training/steps.json")))
    let (architecture, parameters) = try initial()
    let plans = [architecture.encoder, architecture.decoder]
    let (firstMoment, secondMoment) = (ParameterSet(plans), ParameterSet(plans))
    let average = ParameterSet(copying: parameters)
    for (index, update) in oracle.updates.enumerated() {
      let gradients = ParameterSet(plans)
      let objective = objective(architecture, parameters, engine)
      let parts = try objective.gradients(
        try batch("x", update: index), noise: .uniform(try batch("u", update: index)),
        temperature: update.tau, beta: update.beta, into: gradients)
      expectRelative(parts.loss, update.loss, "loss of update \(index)")
      expectRelative(
        parts.reconstruction, update.reconstruction, "reconstruction of update \(index)")
      expectRelative(parts.kl, update.kl, "KL of update \(index)")
      if index == 0 { try expectGradients(gradients) }
      engine.adamWStep(
        parameters: try #require(parameters.arena), gradients: try #require(gradients.arena),
        firstMoment: try #require(firstMoment.arena),
        secondMoment: try #require(secondMoment.arena), average: try #require(average.arena),
        AdamWStep(learningRate: update.lr, count: index + 1))
    }
    let final = try Fixture.weights("training/final.safetensors")
    let (_, start) = try initial()
    for parameter in parameters.parameters {
      let name = parameter.name
      let started = try #require(start[name]).values.elements.map(Double.init)
      try expectMoved(parameter, from: started, to: final[name])
      try expectMoved(try #require(average[name]), from: started, to: final["ema." + name])
    }
  }

  /// Expects every gradient tensor within 10⁻⁵ of its norm.
  private func expectGradients(_ gradients: ParameterSet) throws {
    let oracle = try Fixture.weights("training/gradients.safetensors")
    #expect(oracle.tensors.count == gradients.parameters.count)
    for gradient in gradients.parameters {
      let expected = try #require(oracle[gradient.name]).floats().map(Double.init)
      let error = relativeError(gradient.values.elements.map(Double.init), expected)
      #expect(error < 1e-5, "gradient of \(gradient.name)")
    }
  }

  /// Expects the parameter within 10⁻⁴ of its norm, and its change within 10⁻³ of its own, apart
  /// from the roundings of three updates.
  private func expectMoved(
    _ parameter: Parameter<TensorSlice>, from start: [Double], to oracle: StoredTensor?
  ) throws {
    let expected = try #require(oracle).floats().map(Double.init)
    let actual = parameter.values.elements.map(Double.init)
    #expect(relativeError(actual, expected) < 1e-4, "\(parameter.name)")
    let error = norm(zip(actual, expected).map(-))
    let movement = norm(zip(expected, start).map(-))
    #expect(
      error < 1e-3 * movement + 4 * 0x1p-24 * norm(expected), "movement of \(parameter.name)")
  }

  @Test("Gradients add up over calls", arguments: TestEngine.all)
  func accumulation(on engine: TestEngine) throws { try accumulation(with: engine.engine) }

  private func accumulation(with engine: some HostEngine) throws {
    let (architecture, parameters) = try initial()
    let objective = objective(architecture, parameters, engine)
    func add(to gradients: ParameterSet) throws {
      _ = try objective.gradients(
        try batch("x", update: 0), noise: .seeded(seed: 1, stream: 2), temperature: 0.5,
        beta: 6.6, into: gradients)
    }
    let plans = [architecture.encoder, architecture.decoder]
    let (once, twice) = (ParameterSet(plans), ParameterSet(plans))
    try add(to: once)
    try add(to: twice)
    try add(to: twice)
    for (a, b) in zip(once.parameters, twice.parameters) {
      let doubled = a.values.elements.map { 2 * Double($0) }
      #expect(relativeError(b.values.elements.map(Double.init), doubled) < 1e-6, "\(a.name)")
    }
  }

  @Test("What has no place in the gradients is frozen; the rest has the same gradients")
  func frozen() throws {
    let (architecture, parameters) = try initial()
    let objective = objective(architecture, parameters, ReferenceEngine())
    let plans = [architecture.encoder, architecture.decoder]
    func gradients(_ isTrained: (String) -> Bool) throws -> ParameterSet {
      let all = ParameterSet(plans)
      _ = try objective.gradients(
        try batch("x", update: 0), noise: .seeded(seed: 1, stream: 2), temperature: 1,
        beta: 1, into: all.filter(isTrained))
      return all
    }
    let all = try gradients { _ in true }
    for prefix in ["decoder.", "encoder.", "encoder.blocks.group_4."] {
      let some = try gradients { $0.hasPrefix(prefix) }
      for (a, b) in zip(all.parameters, some.parameters) {
        let expected = a.name.hasPrefix(prefix) ? Array(a.values.elements) : nil
        #expect(
          Array(b.values.elements) == expected ?? Array(repeating: 0, count: b.values.count),
          "\(prefix): \(a.name)")
      }
    }
  }

  @Test("Evaluation goes through hard tokens, without noise")
  func evaluation() throws {
    let (architecture, parameters) = try initial()
    let engine = ReferenceEngine()
    let objective = objective(architecture, parameters, engine)
    let x = try batch("x", update: 1)
    let evaluation = try objective.evaluate(x, beta: 6.6)
    #expect(evaluation.tokens == (try objective.encoder.tokens(x)))
    let statistics = try objective.decoder.statistics(
      tokens: evaluation.tokens, batch: 2, height: 8, width: 8)
    #expect(evaluation.statistics.array == statistics.array)
    let parts = evaluation.parts
    #expect(
      parts.reconstruction == engine.logitLaplaceLoss(statistics, target: x) / Double(x.count))
    #expect(parts.kl == engine.klToUniform(try objective.encoder.logits(x)) / 128)
    #expect(abs(parts.klWeight - 6.6 / 192) < 1e-8)
    #expect(parts.loss == parts.reconstruction + parts.klWeight * parts.kl)
  }

  // MARK: The oracle's files

  private func initial() throws -> (Architecture, ParameterSet) {
    let weights = try ModelWeights(Fixture.weights("training/initial.safetensors"))
    let (encoder, decoder) = try (#require(weights.encoder), #require(weights.decoder))
    return (weights.architecture, ParameterSet(copying: encoder, decoder))
  }

  private func objective<E: HostEngine>(
    _ architecture: Architecture, _ parameters: ParameterSet, _ engine: E
  ) -> Objective<E> {
    Objective(
      encoder: ImageEncoder(architecture, parameters: parameters, engine: engine, for: .training),
      decoder: ImageDecoder(architecture, parameters: parameters, engine: engine, for: .training))
  }

  /// [update, N, C, H, W] in the file.
  private func batch(_ name: String, update: Int) throws -> Tensor {
    let stored = try #require(try Fixture.weights("training/batch.safetensors")[name])
    let count = stored.count / stored.shape[0]
    let values = try stored.floats()[update * count..<(update + 1) * count]
    return Fixture.channelsLast(values, Array(stored.shape.dropFirst()))
  }

  private func expectRelative(
    _ actual: Double, _ expected: Double, _ what: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    expectClose(
      [actual], [expected], bound: { _ in 1e-5 * abs(expected) }, what,
      sourceLocation: sourceLocation)
  }

  /// ‖actual − expected‖ / ‖expected‖.
  private func relativeError(_ actual: [Double], _ expected: [Double]) -> Double {
    norm(zip(actual, expected).map(-)) / norm(expected)
  }

  private func norm(_ values: [Double]) -> Double {
    values.reduce(0) { $0 + $1 * $1 }.squareRoot()
  }
}
