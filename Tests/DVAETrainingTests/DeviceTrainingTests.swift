import DVAEAccelerator
import DVAECPUEngine
import DVAEFiles
import DVAEModel
import DVAEProgram
import DVAETensors
import DVAETestSupport
import DVAETraining
import Testing

/// Serialised, because the tests share compiled programs through the cache.
@Suite(
  "Training on XLA's CPU plugin", .serialized,
  .enabled(if: TestDevice.isInstalled, TestDevice.advice))
struct DeviceTrainingTests {
  /// Trains on devices, or on the CPU engine if `devices` is nil.
  private func train(
    _ configuration: TrainingConfiguration, from state: TrainingState? = nil, devices: Int?,
    precision: ProgramPrecision = .float32, folder: RunFolder? = nil, stopAfter: Int? = nil,
    validates: Bool = false, processes: any ProcessGroup = SingleProcess()
  ) throws -> (state: TrainingState, watcher: Watcher) {
    let state = try state ?? TrainingState(configuration)
    let updater = try devices.map {
      try ProgramUpdate(
        configuration, on: TestDevice.open($0), precision, processes: processes)
    }
    let validation = try validates ? ValidationSet([SyntheticImages.one(configuration)]) : nil
    var trainer = Trainer(
      state, engine: try CPUEngine(threads: 2),
      data: SyntheticImages(configuration, position: state.position), validation: validation,
      folder: folder, processes: processes, updater: updater)
    var watcher = Watcher(stopAfter: stopAfter)
    _ = try trainer.run(&watcher)
    return (trainer.state, watcher)
  }

  /// Returns the first eight updates of the preset `tiny` with a smaller network, smaller images, a
  /// frozen layer and a clipped norm.
  private func configuration(microBatch: Int) throws -> TrainingConfiguration {
    var configuration = TrainingConfiguration.tiny
    configuration.architecture = try Architecture(
      hidden: 8, blocksPerGroup: 1, vocabulary: 32, initial: 8)
    configuration.updates = 8
    configuration.resolution = 32
    (configuration.batchSize, configuration.microBatch) = (4, microBatch)
    configuration.frozen = ["decoder.blocks.group_4"]
    configuration.clipNorm = 1
    configuration.validateEvery = 4
    configuration.checkpointEvery = 4
    return configuration
  }

  @Test("Losses, norms and validations follow the CPU engine's") func follows() throws {
    let configuration = try configuration(microBatch: 2)
    let expected = try train(configuration, devices: nil, validates: true)
    let found = try train(configuration, devices: 1, validates: true)
    #expect(found.watcher.updates.count == 8)
    for (a, b) in zip(found.watcher.updates, expected.watcher.updates) {
      #expect(abs(a.loss - b.loss) < 2e-3 * abs(b.loss), "update \(b.update)")
      #expect(abs(a.kl - b.kl) < 2e-3 * abs(b.kl), "update \(b.update)")
      #expect(abs(a.gradientNorm - b.gradientNorm) < 1e-2 * b.gradientNorm, "update \(b.update)")
    }
    for (a, b) in zip(found.watcher.validations, expected.watcher.validations) {
      #expect(abs(a.psnr - b.psnr) < 0.01)
      #expect(abs(a.loss - b.loss) < 2e-3 * abs(b.loss))
    }
    #expect(found.watcher.validations.count == 2)
    #expect(found.watcher.pictures[0].soft[0].shape == Shape(1, 32, 32, 3))
    // Frozen parameters keep their bits.
    let start = try TrainingState(configuration)
    for parameter in found.state.parameters.parameters where configuration.isFrozen(parameter.name)
    {
      let before = try #require(start.parameters[parameter.name]).values.elements
      #expect(parameter.values.elements.elementsEqual(before))
    }
  }

  /// Every update starts from the CPU's state: two runs of the same bits up to rounding drift apart,
  /// also two of the CPU, because the optimizer's first steps hardly depend on a gradient's size.
  @Test(
    "Each of the first updates of a preset is the CPU engine's, however devices share the batch",
    arguments: ["tiny", "starter"]
  ) func presets(_ name: String) throws {
    // The network and the schedules are the preset's; the starter's crops are smaller to save time.
    var configuration = name == "tiny" ? TrainingConfiguration.tiny : .starter
    configuration.updates = 8
    if name == "starter" { configuration.resolution = 32 }
    let folder = TemporaryFolder()
    let run = try RunFolder(folder.path + "/run")
    for update in 1...8 {
      var found: [(state: TrainingState, watcher: Watcher)] = []
      for (devices, microBatch) in [(1, 8), (1, 4), (2, 4)] {
        var state = try run.latest { _ in }
        configuration.microBatch = microBatch
        state?.configuration = configuration
        found.append(try train(configuration, from: state, devices: devices, stopAfter: 1))
      }
      configuration.microBatch = 8
      let expected = try train(
        configuration, from: try run.latest { _ in }, devices: nil, folder: run,
        stopAfter: update == 8 ? nil : 1)
      for found in found { expectSameUpdate(update, found, expected) }
    }
  }

  /// Compares the records of one update and the states after it.
  private func expectSameUpdate(
    _ update: Int, _ found: (state: TrainingState, watcher: Watcher),
    _ expected: (state: TrainingState, watcher: Watcher)
  ) {
    let (mine, record) = (found.watcher.updates[0], expected.watcher.updates[0])
    #expect(mine.update == update && record.update == update)
    // Nats per value of the images: a loss passes through zero.
    #expect(abs(mine.loss - record.loss) < 5e-6, "update \(update)")
    #expect(abs(mine.kl - record.kl) < 1e-5 * record.kl, "update \(update)")
    let norm = record.gradientNorm
    #expect(abs(mine.gradientNorm - norm) < 1e-3 * norm, "update \(update)")
    let (found, expected) = (found.state, expected.state)
    for (a, b) in [
      (found.firstMoment, expected.firstMoment), (found.secondMoment, expected.secondMoment),
    ] {
      #expect(Self.rootMeanSquare(a, b) < 1e-3 * Self.rootMeanSquare(b), "update \(update)")
    }
    // A step has the size of the learning rate wherever the gradient is not zero.
    for (a, b) in [(found.parameters, expected.parameters), (found.average, expected.average)] {
      #expect(Self.rootMeanSquare(a, b) < 0.05 * record.learningRate, "update \(update)")
    }
  }

  /// Returns the root mean square of a − b, or of a alone, over all parameters.
  private static func rootMeanSquare(_ a: ParameterSet, _ b: ParameterSet? = nil) -> Double {
    var (sum, count) = (0.0, 0)
    for (at, parameter) in a.parameters.enumerated() {
      let others = b?.parameters[at].values.elements
      for (i, value) in parameter.values.elements.enumerated() {
        let difference = Double(value) - Double(others?[i] ?? 0)
        sum += difference * difference
        count += 1
      }
    }
    return (sum / Double(count)).squareRoot()
  }

  /// One micro-batch on one device, two on each of two.
  @Test("A run moves from the CPU to devices and back at checkpoints") func moves() throws {
    let configuration = try configuration(microBatch: 4)
    let expected = try train(configuration, devices: nil)
    let folder = TemporaryFolder()
    let run = try RunFolder(folder.path + "/run")
    var (state, losses): (TrainingState?, [Double]) = (nil, [])
    for devices in [nil, 1, nil, 2] as [Int?] {
      var configuration = configuration
      if devices == 2 { configuration.microBatch = 1 }
      state?.configuration = configuration
      let isLast = devices == 2
      let part = try train(
        configuration, from: state, devices: devices, folder: run, stopAfter: isLast ? nil : 2)
      losses += part.watcher.updates.map(\.loss)
      state = try run.latest { _ in }
      #expect(state?.bits == part.state.bits)
    }
    #expect(losses.count == 8)
    for (a, b) in zip(losses, expected.watcher.updates) {
      #expect(abs(a - b.loss) < 2e-3 * abs(b.loss), "update \(b.update)")
    }
  }

  @Test("Gradients of several processes are added between the programs") func processes() throws {
    let configuration = try configuration(microBatch: 2)
    let expected = try train(configuration, devices: nil)
    // Two processes that compute the same half have twice its gradient: a group of one that claims
    // to be two and doubles every sum trains on the first half of each batch alone.
    struct Twins: ProcessGroup {
      let rank = 0
      let count = 2
      func sum(_ numbers: UnsafeMutableBufferPointer<Float>) {
        for i in numbers.indices { numbers[i] *= 2 }
      }
      func sum(_ numbers: UnsafeMutableBufferPointer<Double>) {
        for i in numbers.indices { numbers[i] *= 2 }
      }
      func broadcast(_ bytes: UnsafeMutableRawBufferPointer) {}
      func end() {}
    }
    let host = try train(configuration, devices: nil, processes: Twins())
    let device = try train(configuration, devices: 1, processes: Twins())
    for (a, b) in zip(device.watcher.updates, host.watcher.updates) {
      #expect(abs(a.loss - b.loss) < 2e-3 * abs(b.loss), "update \(b.update)")
      #expect(abs(a.gradientNorm - b.gradientNorm) < 1e-2 * b.gradientNorm)
    }
    #expect(host.watcher.updates[7].loss != expected.watcher.updates[7].loss)
  }

  @Test("Micro-batches that devices cannot share are refused") func shares() throws {
    #expect(throws: DVAEError.self) {
      try ProgramUpdate(configuration(microBatch: 4), on: TestDevice.open(2), .float32)
    }
  }

  @Test("Gradients beyond the range of float16 skip the step and halve the loss scale")
  func lossScaling() throws {
    var configuration = try configuration(microBatch: 4)
    configuration.updates = 2
    configuration.codebookInitialisation = 0
    var start = try TrainingState(configuration)
    start.lossScale = LossScale(factor: 0x1p60)
    let (before, folder) = (start.bits, TemporaryFolder())
    let run = try RunFolder(folder.path + "/run")
    let skipped = try train(
      configuration, from: start, devices: 1, precision: .float16, folder: run, stopAfter: 1)
    #expect(skipped.state.bits == before)
    #expect(skipped.state.lossScale?.factor == 0x1p59)
    #expect(skipped.watcher.warnings.count == 1)
    #expect(skipped.watcher.updates.map(\.gradientNorm) == [0])
    var state = try #require(try run.latest { _ in })
    #expect(state.update == 1 && state.lossScale == skipped.state.lossScale)
    // A suitable loss scale lets the next update through.
    state.lossScale = LossScale(factor: 1024)
    let through = try train(configuration, from: state, devices: 1, precision: .float16)
    #expect(through.state.bits != before && through.state.lossScale?.skipped == 0)
    #expect(through.watcher.updates[0].loss.isFinite && through.watcher.updates[0].gradientNorm > 0)
  }

  @Test("A loss that is no number ends the run") func divergence() throws {
    var configuration = try configuration(microBatch: 4)
    configuration.learningRate = Schedule(from: 1e30, to: 1e30, over: 10)
    #expect(throws: DVAEError.self) { try train(configuration, devices: 1) }
  }
}

extension SyntheticImages {
  /// Returns a separate batch for validation.
  static func one(_ configuration: TrainingConfiguration) throws -> Tensor {
    var images = SyntheticImages(configuration, position: DataPosition())
    return try images.next().images
  }
}
