import DVAEFiles
import DVAECPUEngine
import DVAEModel
import DVAETestSupport
import DVAETraining
import DVAETensors
import Foundation
import Testing
import DVAEWeights

/// Three updates against PyTorch's in float64 (Tests/Fixtures/training).
@Suite struct OracleTests {
  struct Steps: Decodable {
    struct Update: Decodable {
      let tau: Double
      let beta: Double
      let lr: Double
      let loss: Double
      let reconstruction: Double
      let kl: Double
    }
    let updates: [Update]
  }

  /// The relative errors allowed: of the losses, of each parameter's gradient, and of the parameters in
  /// the end.
  struct Bounds {
    let losses, gradient, parameters: Double
  }

  /// In bfloat16, what `DeviceOracleTests` allows to programs, and for the parameters twice what was
  /// measured, 3.4e-3.
  @Test(arguments: [
    (FactorPrecision.float32, Bounds(losses: 1e-5, gradient: 1e-3, parameters: 1e-4)),
    (.bfloat16Anywhere, Bounds(losses: 8e-3, gradient: 0.32, parameters: 7e-3)),
  ])
  func threeUpdatesAgree(factors: FactorPrecision, bounds: Bounds) throws {
    let steps = try JSONDecoder().decode(
      Steps.self, from: Data(contentsOf: Fixture.url("training/steps.json")))
    let gradients = try open("training/gradients.safetensors")
    let final = try open("training/final.safetensors")
    let batch = try open("training/batch.safetensors")
    let x = try #require(batch["x"]).floats()
    let u = try #require(batch["u"]).floats()

    var configuration = TrainingConfiguration.paper
    configuration.architecture = try Architecture(
      hidden: 16, blocksPerGroup: 1, vocabulary: 128, initial: 128)
    (configuration.batchSize, configuration.microBatch) = (2, 2)
    var state = try TrainingState(
      configuration, startingFrom: ModelWeights(open("training/initial.safetensors")))
    let step = HostUpdate(configuration, engine: try CPUEngine(factors: factors))

    #expect(steps.updates.count == 3)
    for (t, expected) in steps.updates.enumerated() {
      var numbers = UpdateNumbers(state)
      numbers.temperature = expected.tau
      numbers.klWeight = Double(Float(expected.beta))
      numbers.learningRate = Double(Float(expected.lr))
      let loss = try step.computeGradients(
        nhwc(x, at: t, channels: 3, side: 64), state.parameters, numbers,
        noise: .uniform(nhwc(u, at: t, channels: 128, side: 8)))
      for (actual, expected) in [
        (loss.loss, expected.loss), (loss.reconstruction, expected.reconstruction),
        (loss.kl, expected.kl),
      ] {
        #expect(abs(actual - expected) < bounds.losses * abs(expected), "update \(t)")
      }
      if t == 0 { try expectClose(step.gradients, gradients, relative: bounds.gradient) }
      step.apply(to: state, norm: step.gradientNorm(), numbers)
      state.update += 1
    }
    try expectClose(state.parameters, final, relative: bounds.parameters)
    try expectClose(state.average, final, prefix: "ema.", relative: bounds.parameters)
  }

  private func open(_ path: String) throws -> WeightsFile {
    try WeightsFile.open(Fixture.url(path).path(percentEncoded: false))
  }

  /// ‖actual − expected‖ against ‖expected‖ of every parameter.
  private func expectClose(
    _ actual: ParameterSet, _ file: WeightsFile, prefix: String = "", relative: Double
  ) throws {
    for parameter in actual.parameters {
      let name = prefix + parameter.name
      let expected = try #require(file[name], "\(name)").floats()
      #expect(expected.count == parameter.values.count)
      var (difference, norm) = (0.0, 0.0)
      for (a, e) in zip(parameter.values.elements, expected) {
        difference += Double(a - e) * Double(a - e)
        norm += Double(e) * Double(e)
      }
      #expect(difference.squareRoot() <= relative * norm.squareRoot(), "\(name)")
    }
  }

  /// The two images of update `t` in [3, 2, C, H, W], as [2, H, W, C].
  private func nhwc(_ values: [Float], at t: Int, channels: Int, side: Int) -> Tensor {
    let positions = side * side
    let y = Tensor(Shape(2, side, side, channels))
    for n in 0..<2 {
      for c in 0..<channels {
        for p in 0..<positions {
          y.elements[(n * positions + p) * channels + c] =
            values[((t * 2 + n) * channels + c) * positions + p]
        }
      }
    }
    return y
  }
}
