package import DVAEAccelerator
import DVAEFiles
package import DVAEModel
package import DVAEProgram
package import DVAETensors

/// Updates on the devices of an accelerator.
///
/// Parameters, moments and averages stay on the devices. A batch and a few numbers go in, the
/// losses come out; the state is fetched only for checkpoints. Every device holds the whole state
/// and computes whole micro-batches; the programs all-reduce the gradients between the devices.
package final class ProgramUpdate: Updater {
  package let name: String
  private let configuration: TrainingConfiguration
  private let processes: any ProcessGroup
  private let accelerator: Accelerator
  private let devices: Int
  private let scalesLoss: Bool
  /// The whole update, or the part that accumulates the gradients of a round.
  private let gradients: RecordedProgram
  /// The rest of a split update.
  private let apply: RecordedProgram?
  private var evaluator: ProgramEvaluator
  /// The tensors of the state on each device by the programs' input names; empty before the first
  /// update.
  private var tensors: [[String: DeviceBuffer]] = []
  /// The images of the next update on each device, for each of its micro-batches.
  private var staged: [[DeviceBuffer]]?

  /// The number of micro-batches per device in an update.
  private var rounds: Int {
    configuration.microBatches / (devices * processes.count)
  }

  /// Compiles the programs of a run.
  ///
  /// - Parameters:
  ///   - configuration: the run's settings; each device gets equally many whole micro-batches
  ///   - accelerator: the devices; all are used
  ///   - precision: the precision of activations
  ///   - processes: the processes that train together, each on devices of its own
  /// - Throws: `usage` for micro-batches that cannot be shared, and the plugin's errors
  package init(
    _ configuration: TrainingConfiguration, on accelerator: Accelerator,
    _ precision: ProgramPrecision, processes: any ProcessGroup = SingleProcess()
  ) throws {
    self.configuration = configuration
    self.processes = processes
    self.accelerator = accelerator
    devices = accelerator.deviceCount
    scalesLoss = precision == .float16
    name = accelerator.name + (precision == .float32 ? "" : " \(precision.rawValue)")
    try configuration.checkShares(among: devices * processes.count)
    try MemoryCheck.batch(
      configuration.architecture, images: configuration.microBatch,
      height: configuration.resolution, width: configuration.resolution, bytes: precision.bytes,
      on: accelerator.room)
    evaluator = ProgramEvaluator(
      architecture: configuration.architecture, accelerator: accelerator, precision: precision)
    func compile(_ recording: Recording) throws -> RecordedProgram {
      try RecordedProgram(recording, on: accelerator, precision)
    }
    switch try TrainingPrograms(
      configuration, replicas: devices, isSplit: processes.count > 1, scalesLoss: scalesLoss)
    {
    case .whole(let program): (gradients, apply) = (try compile(program), nil)
    case .split(let accumulate, let apply):
      (gradients, self.apply) = (try compile(accumulate), try compile(apply))
    }
  }

  // MARK: Updates

  package func update(
    _ images: Tensor, _ state: TrainingState,
    check: (ObjectiveParts<Double>, Double) throws -> Void, next: () -> Tensor?
  ) throws -> UpdateResult {
    if tensors.isEmpty { tensors = try (0..<devices).map { try upload(state, to: $0) } }
    let batch = try staged ?? stage(images)
    staged = nil
    try set("numbers", UpdateNumbers(state).list.map(Float.init), .float32)
    var lossScale = state.lossScale ?? (scalesLoss ? LossScale() : nil)
    if scalesLoss, let factor = lossScale?.factor {
      try set("loss_scale", [Float(factor)], .float32)
    }
    // Releasing a run waits for it, so all are held until the last one's results have arrived.
    var runs: [DeviceRun] = []
    let rounds = try (0..<rounds).map {
      try start(gradients, batch, round: $0, state.update, &runs)
    }
    let isAlone = processes.count == 1
    var step = isAlone ? try apply.map { try start($0, &runs) } : nil
    if let images = next() { staged = try stage(images) }
    if !isAlone {
      try addGradientsOfOtherProcesses()
      step = try apply.map { try start($0, &runs) }
    }
    // The losses' means, then the norm.
    var report: [Float] = [0, 0, 0]
    if let step {
      for round in rounds {
        let part = try round.array("losses", count: 3)
        report = zip(report, part).map { $0 + $1 / Float(rounds.count) }
      }
      report += try step.array("norm", count: 1)
    } else {
      report = try rounds[0].array("report", count: 4)
    }
    for run in runs { try run.wait() }
    let sums = processes.sums(of: report.prefix(2).map(Double.init))
      .map { $0 / Double(processes.count) }
    let loss = ObjectiveParts(
      reconstruction: sums[0], kl: sums[1], klWeight: Double(report[2]))
    let isSkipped = scalesLoss && !report[3].isFinite && lossScale?.isSmallest == false
    let norm = isSkipped ? 0 : Double(report[3])
    try check(loss, norm)
    if scalesLoss { lossScale?.record(isFinite: !isSkipped) }
    return (loss, norm, lossScale)
  }

  /// Starts a program with a round's images and noise.
  private func start(
    _ program: RecordedProgram, _ batch: [[DeviceBuffer]], round: Int, _ update: Int,
    _ runs: inout [DeviceRun]
  ) throws -> [String: DeviceBuffer] {
    let side = configuration.resolution / Architecture.pixelsPerToken
    let elements =
      configuration.microBatch * side * side * configuration.architecture.vocabulary
    let part = (processes.rank * rounds + round) * devices
    let noise = noiseWords(
      seed: configuration.seed(for: .noise), stream: UInt64(update),
      first: UInt64(part) * UInt64(elements))
    try set("noise", noise, .uint32)
    for device in tensors.indices { tensors[device]["images"] = batch[device][round] }
    return try start(program, &runs)
  }

  /// Starts a program on the state, which its outputs replace; returns the first device's outputs.
  private func start(
    _ program: RecordedProgram, _ runs: inout [DeviceRun]
  ) throws -> [String: DeviceBuffer] {
    let (run, outputs) = try program.start(tensors)
    runs.append(run)
    for output in program.outputs where output.inPlaceOf != nil {
      for device in tensors.indices { tensors[device][output.name] = outputs[device][output.name] }
    }
    return outputs[0]
  }

  /// Copies a list of numbers to every device.
  private func set<T: BitwiseCopyable>(
    _ name: String, _ numbers: [T], _ type: ElementType
  ) throws(DVAEError) {
    for device in tensors.indices {
      tensors[device][name] = try accelerator.upload(numbers, [numbers.count], type, to: device)
    }
  }

  /// Uploads this process's share of a batch by micro-batches, in the order of the noise.
  private func stage(_ images: Tensor) throws(DVAEError) -> [[DeviceBuffer]] {
    let size = configuration.microBatch
    let first = processes.rank * rounds * devices
    var staged: [[DeviceBuffer]] = []
    for device in 0..<devices {
      var buffers: [DeviceBuffer] = []
      for round in 0..<rounds {
        let part = first + round * devices + device
        let some = images.images(part * size..<(part + 1) * size)
        buffers.append(try accelerator.upload(some, to: device))
      }
      staged.append(buffers)
    }
    return staged
  }

  /// All-reduces each device's gradients across processes; the program all-reduces across devices.
  private func addGradientsOfOtherProcesses() throws(DVAEError) {
    for parameter in state(configuration) {
      let (name, count) = ("gradients.\(parameter.name)", parameter.shape.reduce(1, *))
      for device in tensors.indices {
        guard let gradient = tensors[device][name] else { continue }
        var values = try gradient.array(of: Float.self, count: count)
        values.withUnsafeMutableBufferPointer { processes.sum($0) }
        tensors[device][name] = try accelerator.upload(
          values, parameter.shape, .float32, to: device)
      }
    }
  }

  private func state(_ configuration: TrainingConfiguration) -> [(name: String, shape: [Int])] {
    configuration.plans.flatMap(\.parameterShapes).filter { !configuration.isFrozen($0.name) }
  }

  // MARK: The state

  private func upload(
    _ state: TrainingState, to device: Int
  ) throws(DVAEError) -> [String: DeviceBuffer] {
    var tensors: [String: DeviceBuffer] = [:]
    for (role, set) in state.roles {
      for parameter in set.parameters
      where role == "parameters" || !configuration.isFrozen(parameter.name) {
        tensors["\(role).\(parameter.name)"] = try accelerator.upload(parameter, to: device)
      }
    }
    guard apply != nil else { return tensors }
    for (name, shape) in self.state(configuration) {
      let zeros = [Float](repeating: 0, count: shape.reduce(1, *))
      tensors["gradients.\(name)"] = try accelerator.upload(zeros, shape, .float32, to: device)
    }
    return tensors
  }

  package func fetch(_ state: TrainingState) throws {
    guard let tensors = tensors.first else { return }
    for (role, set) in state.roles {
      for parameter in set.parameters where !configuration.isFrozen(parameter.name) {
        guard let tensor = tensors["\(role).\(parameter.name)"] else { continue }
        try tensor.copy(to: UnsafeMutableRawBufferPointer(parameter.values.elements))
      }
    }
  }

  package func evaluate(
    _ validation: ValidationSet, _ state: TrainingState
  ) throws -> (ValidationRecord, ValidationPictures) {
    var averages: [String: DeviceBuffer] = [:]
    for parameter in state.average.parameters {
      let name = "average.\(parameter.name)"
      averages[name] = try tensors.first?[name] ?? accelerator.upload(parameter, to: 0)
    }
    evaluator.averages = averages
    return try validation.evaluate(state, on: &evaluator)
  }
}
