import DVAEModel
package import DVAEProgram
import DVAETensors

/// One update of the recipe as programs for an accelerator.
///
/// The state of the run is in inputs with the names of a checkpoint
/// (`parameters.encoder.blocks.input.w`, `first_moment.…`, `second_moment.…`, `average.…`), and in
/// outputs of the same names that reuse their memory. The other inputs:
///
/// | input | is |
/// | --- | --- |
/// | `images` | mapped pixels of one micro-batch, [microBatch, resolution, resolution, 3] |
/// | `numbers` | `UpdateNumbers.list` as float32 |
/// | `noise` | `noiseWords` of the first replica |
/// | `gradients.…` | sums over micro-batches, zeros before the first update |
/// | `loss_scale` | the factor of the loss, with loss scaling |
///
/// Several replicas get different `images` and otherwise the same inputs; the noise of a replica
/// continues after the one before it. Losses and norm are those of all replicas.
///
/// With loss scaling, gradients that are not finite leave the state unchanged, and the norm is not
/// finite.
package enum TrainingPrograms: Sendable {
  /// One program in which each replica computes one micro-batch. Besides the state it returns
  /// `report`: reconstruction, KL, the KL's weight, and the gradient's norm.
  case whole(Recording)
  /// `accumulate` adds a micro-batch's gradients to `gradients.…` in place and returns `losses`:
  /// reconstruction, KL, the KL's weight. Then `apply` takes the step, returns `norm`, and zeroes
  /// the gradients. Only the parameters are inputs of both.
  case split(accumulate: Recording, apply: Recording)

  /// Records the programs.
  ///
  /// - Parameters:
  ///   - configuration: the run's settings
  ///   - replicas: the number of devices that share each batch
  ///   - isSplit: whether the gradients are needed between the two parts, for an all-reduce with
  ///     other processes; the parts are also separate if a replica has several micro-batches
  ///   - scalesLoss: whether the loss is scaled
  /// - Throws: `DVAEError` for images of an impossible shape
  package init(
    _ configuration: TrainingConfiguration, replicas: Int = 1, isSplit: Bool = false,
    scalesLoss: Bool = false
  ) throws {
    guard isSplit || configuration.microBatches > replicas else {
      let writer = ProgramWriter(configuration, replicas: replicas, scalesLoss: scalesLoss)
      let numbers = writer.numbers()
      let gradients = writer.zeroGradients()
      let losses = try writer.addGradients(to: gradients, numbers)
      let norm = writer.apply(gradients, numbers)
      writer.recording.output("report", losses + [norm])
      self = .whole(writer.recording)
      return
    }
    let first = ProgramWriter(configuration, replicas: replicas, scalesLoss: scalesLoss)
    var numbers = first.numbers()
    var gradients = first.variables("gradients", first.trained)
    first.recording.output("losses", try first.addGradients(to: gradients, numbers))
    first.output("gradients", gradients)
    let second = ProgramWriter(configuration, replicas: replicas, scalesLoss: scalesLoss)
    numbers = second.numbers()
    gradients = second.variables("gradients", second.trained)
    second.recording.output("norm", [second.apply(gradients, numbers)])
    second.output("gradients", second.zeroGradients())
    self = .split(accumulate: first.recording, apply: second.recording)
  }
}

/// Returns the input from which `Recording.uniform` makes the noise of `GumbelNoise.seeded` from element
/// `first` on.
package func noiseWords(seed: UInt64, stream: UInt64, first: UInt64) -> [UInt32] {
  [seed, stream, first].flatMap { number in
    [UInt32(truncatingIfNeeded: number), UInt32(truncatingIfNeeded: number >> 32)]
  }
}

/// Records the parts of an update.
private struct ProgramWriter {
  let configuration: TrainingConfiguration
  let recording: Recording
  let engine: RecordingEngine
  let parameters: Parameters<RecordedVariable>
  /// The factor of the loss; nil without loss scaling.
  private let lossScale: RecordedScalar?

  init(_ configuration: TrainingConfiguration, replicas: Int, scalesLoss: Bool) {
    self.configuration = configuration
    recording = Recording(replicas: replicas)
    lossScale = scalesLoss ? recording.scalars("loss_scale", count: 1)[0] : nil
    engine = RecordingEngine(recording)
    parameters = Parameters(configuration.plans) { [recording] name, shape in
      recording.variable("parameters.\(name)", shape)
    }
  }

  /// Returns whether a parameter is trained.
  func trained(_ name: String) -> Bool { !configuration.isFrozen(name) }

  /// Returns the input of the values that change with every update.
  func numbers() -> UpdateNumbers<RecordedScalar> {
    UpdateNumbers(recording.scalars("numbers", count: UpdateNumbers<RecordedScalar>.count))
  }

  /// Returns the inputs of a role, in the order of the plans.
  func variables(
    _ role: String, _ isIncluded: (String) -> Bool
  ) -> Parameters<RecordedVariable> {
    Parameters(configuration.plans, isIncluded) { name, shape in
      recording.variable("\(role).\(name)", shape)
    }
  }

  func zeroGradients() -> Parameters<RecordedVariable> {
    Parameters(configuration.plans, trained) { _, shape in recording.zeros(shape) }
  }

  /// Outputs a role in the memory of its inputs.
  func output(_ role: String, _ set: Parameters<RecordedVariable>) {
    for parameter in set.parameters {
      let name = "\(role).\(parameter.name)"
      recording.output(name, parameter.values, inPlaceOf: name)
    }
  }

  /// Accumulates the gradients of a micro-batch on each replica; returns the losses' means.
  func addGradients(
    to gradients: Parameters<RecordedVariable>, _ numbers: UpdateNumbers<RecordedScalar>
  ) throws -> [RecordedScalar] {
    let (count, side) = (configuration.microBatch, configuration.resolution)
    let images = recording.value("images", Shape(count, side, side, 3))
    let step = Architecture.pixelsPerToken
    let noise = recording.uniform(
      "noise",
      Shape(count, side / step, side / step, configuration.architecture.vocabulary))
    let objective = Objective(
      configuration.architecture, parameters, engine: engine, for: .training)
    let parts = try objective.gradients(
      images, noise: .uniform(noise), temperature: numbers.temperature, beta: numbers.klWeight,
      lossScale: lossScale ?? RecordedScalar(1), into: gradients)
    let all = RecordedScalar(Double(recording.replicas))
    return [
      recording.allReduced(parts.reconstruction) / all, recording.allReduced(parts.kl) / all,
      parts.klWeight,
    ]
  }

  /// Takes the optimizer's step; returns the gradient's norm.
  func apply(
    _ gradients: Parameters<RecordedVariable>, _ numbers: UpdateNumbers<RecordedScalar>
  ) -> RecordedScalar {
    for gradient in gradients.parameters { recording.allReduce(gradient.values) }
    let sums = gradients.parameters.map(\.values)
    let factor = lossScale ?? RecordedScalar(1)
    let norm = engine.norm(ofSums: sums, configuration, lossScale: factor)
    let roles = TrainingState.roleNames.map { role in
      role == "parameters" ? parameters.filter(trained) : variables(role, trained)
    }
    let state = roles.map { $0.parameters.map(\.values) }
    let before = state.joined().map(recording.copy)
    engine.step(
      parameters: state[0], gradients: sums, firstMoment: state[1], secondMoment: state[2],
      average: state[3], norm: norm, numbers, configuration, lossScale: factor)
    if lossScale != nil {
      for (variable, old) in zip(state.joined(), before) {
        recording.restore(variable, from: old, unlessFinite: norm)
      }
    }
    for (role, set) in zip(TrainingState.roleNames, roles) { output(role, set) }
    return norm
  }
}
