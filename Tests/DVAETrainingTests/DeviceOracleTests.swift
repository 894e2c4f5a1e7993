import DVAEFiles
import DVAEAccelerator
import DVAEModel
import DVAEProgram
import DVAETensors
import DVAETestSupport
import DVAETraining
import DVAEWeights
import Foundation
import Testing

/// Three updates of a recorded program against PyTorch's in float64 (Tests/Fixtures/training).
@Suite(
  "The training oracle on XLA's CPU plugin", .enabled(if: TestDevice.isInstalled, TestDevice.advice)
)
struct DeviceOracleTests {
  /// The relative errors allowed to a precision against float64: of the losses, of all gradients
  /// together, and of each parameter's gradient.
  struct Bounds {
    let reconstruction, kl, gradients, gradient: Double
  }

  /// In 16 bits, twice the errors of PyTorch's own autocast on the same updates
  /// (Utilities/autocast_noise.py): 1.2e-3, 4.0e-3, 3.0e-3 and 0.16 in bfloat16; 4.1e-4, 5.6e-4,
  /// 4.8e-4 and 0.13 in float16.
  @Test(
    "Losses, gradients, parameters and averages agree",
    arguments: [
      (
        ProgramPrecision.float32,
        Bounds(reconstruction: 2e-6, kl: 2e-6, gradients: 2e-6, gradient: 2e-6)
      ),
      (.bfloat16, Bounds(reconstruction: 2.4e-3, kl: 8e-3, gradients: 6e-3, gradient: 0.32)),
      (.float16, Bounds(reconstruction: 8.2e-4, kl: 1.1e-3, gradients: 9.6e-4, gradient: 0.26)),
    ])
  func threeUpdatesAgree(precision: ProgramPrecision, bounds: Bounds) throws {
    let oracle = try Oracle()
    let architecture = try Architecture(
      hidden: 16, blocksPerGroup: 1, vocabulary: 128, initial: 128)
    // Any power of two works: float32 and bfloat16 have room for it.
    let lossScale = 4096.0
    let recording = try program(architecture, lossScale: lossScale)
    let accelerator = try TestDevice.open()
    let program = try RecordedProgram(recording, on: accelerator, precision, cache: nil)
    var tensors: [String: DeviceBuffer] = [:]
    let initial = try Fixture.weights("training/initial.safetensors")
    let shapes = [architecture.encoder, architecture.decoder].flatMap(\.parameterShapes)
    for (name, shape) in shapes {
      let values = try #require(initial[name]).floats()
      let zeros = [Float](repeating: 0, count: values.count)
      for (role, values) in [("p", values), ("m", zeros), ("v", zeros), ("a", values)] {
        tensors["\(role).\(name)"] = try accelerator.upload(values, shape, .float32)
      }
    }
    for (t, expected) in oracle.steps.updates.enumerated() {
      tensors["images"] = try accelerator.upload(
        nhwc(oracle.x, at: t, channels: 3, side: 64), [2, 64, 64, 3], .float32)
      tensors["uniform"] = try accelerator.upload(
        nhwc(oracle.u, at: t, channels: 128, side: 8), [2, 8, 8, 128], .float32)
      let numbers = [
        expected.tau, expected.beta, expected.lr, 1 - pow(0.9, Double(t + 1)),
        1 - pow(Double(Float(0.999)), Double(t + 1)),
      ].map(Float.init)
      tensors["numbers"] = try accelerator.upload(numbers, [5], .float32)
      let outputs = try program(tensors)
      let losses = try #require(outputs["losses"]).array(of: Float.self, count: 3)
      let (reconstruction, kl) = (Double(losses[0]), Double(losses[1]))
      #expect(
        abs(reconstruction - expected.reconstruction)
          <= bounds.reconstruction * abs(expected.reconstruction), "update \(t)")
      #expect(abs(kl - expected.kl) <= bounds.kl * expected.kl, "update \(t)")
      if t == 0 {
        let all = try expectClose(
          outputs, "g.", oracle.gradients, "", scale: lossScale, relative: bounds.gradient)
        #expect(all <= bounds.gradients)
      }
      tensors.merge(outputs) { $1 }
    }
    guard precision == .float32 else { return }
    try expectClose(tensors, "p.", oracle.final, "", relative: 2e-6)
    try expectClose(tensors, "a.", oracle.final, "ema.", relative: 2e-6)
  }

  /// Records an update whose noise is an input.
  private func program(_ architecture: Architecture, lossScale: Double) throws -> Recording {
    let recording = Recording()
    let engine = RecordingEngine(recording)
    let plans = [architecture.encoder, architecture.decoder]
    let roles = ["p", "m", "v", "a"].map { role in
      Parameters(plans) { recording.variable("\(role).\($0)", $1) }
    }
    let gradients = Parameters(plans) { recording.zeros($1) }
    let numbers = recording.scalars("numbers", count: 5)
    let objective = Objective(
      encoder: ImageEncoder(architecture, parameters: roles[0], engine: engine, for: .training),
      decoder: ImageDecoder(architecture, parameters: roles[0], engine: engine, for: .training))
    let parts = try objective.gradients(
      recording.value("images", Shape(2, 64, 64, 3)),
      noise: .uniform(recording.value("uniform", Shape(2, 8, 8, 128))), temperature: numbers[0],
      beta: numbers[1], lossScale: RecordedScalar(lossScale), into: gradients)
    let step = AdamWStep(
      learningRate: numbers[2], gradientScale: RecordedScalar(1 / lossScale),
      correction1: numbers[3], correction2: numbers[4])
    for (at, gradient) in gradients.parameters.enumerated() {
      recording.output("g.\(gradient.name)", gradient.values)
      let places = roles.map { $0.parameters[at].values }
      engine.adamWStep(
        parameters: places[0], gradients: gradient.values, firstMoment: places[1],
        secondMoment: places[2], average: places[3], step)
      for (role, place) in zip(["p", "m", "v", "a"], places) {
        let name = "\(role).\(gradient.name)"
        recording.output(name, place, inPlaceOf: name)
      }
    }
    recording.output("losses", [parts.reconstruction, parts.kl, parts.loss])
    return recording
  }

  /// Compares ‖actual − expected‖ with ‖expected‖ for every parameter; returns the ratio for all.
  @discardableResult
  private func expectClose(
    _ actual: [String: DeviceBuffer], _ prefix: String, _ file: WeightsFile,
    _ filePrefix: String, scale: Double = 1, relative: Double
  ) throws -> Double {
    var (allDifferences, allNorms) = (0.0, 0.0)
    for (key, buffer) in actual where key.hasPrefix(prefix) {
      let name = filePrefix + key.dropFirst(prefix.count)
      let expected = try #require(file[name], "\(name)").floats()
      let found = try buffer.array(of: Float.self, count: expected.count)
      var (difference, norm) = (0.0, 0.0)
      for (a, e) in zip(found, expected) {
        let off = Double(a) / scale - Double(e)
        difference += off * off
        norm += Double(e) * Double(e)
      }
      #expect(difference.squareRoot() <= relative * norm.squareRoot(), "\(name)")
      (allDifferences, allNorms) = (allDifferences + difference, allNorms + norm)
    }
    return (allDifferences / allNorms).squareRoot()
  }

  /// Returns the two images of update `t` in [3, 2, C, H, W], as [2, H, W, C].
  private func nhwc(_ values: [Float], at t: Int, channels: Int, side: Int) -> [Float] {
    let positions = side * side
    var y = [Float](repeating: 0, count: 2 * positions * channels)
    for n in 0..<2 {
      for c in 0..<channels {
        for p in 0..<positions {
          y[(n * positions + p) * channels + c] =
            values[((t * 2 + n) * channels + c) * positions + p]
        }
      }
    }
    return y
  }
}

/// The files of the oracle.
private struct Oracle {
  let steps: OracleTests.Steps
  let gradients: WeightsFile
  let final: WeightsFile
  let x: [Float]
  let u: [Float]

  init() throws {
    steps = try JSONDecoder().decode(
      OracleTests.Steps.self, from: Data(contentsOf: Fixture.url("training/steps.json")))
    gradients = try Fixture.weights("training/gradients.safetensors")
    final = try Fixture.weights("training/final.safetensors")
    let batch = try Fixture.weights("training/batch.safetensors")
    x = try #require(batch["x"]).floats()
    u = try #require(batch["u"]).floats()
  }
}
