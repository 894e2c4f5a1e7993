import DVAEDeviceModel
import DVAEAccelerator
import DVAEKit
import DVAEProgram
import DVAEReports
import DVAETensors

extension BenchmarkCommand {
  /// Measures on a device: the model's tensors stay there, while every run transfers a batch and
  /// its results.
  func deviceReport() throws -> BenchmarkReport {
    let accelerator = try Accelerator(Plugin.load(device.device), devices: 1)
    let architecture = try architecture(
      of: weights.map { try WeightsFiles(WeightsLocation($0)).model })
    let precision = precision.program ?? .float32
    try MemoryCheck.batch(
      architecture, images: images, height: resolution, width: resolution, bytes: precision.bytes,
      on: accelerator.room)
    let step =
      switch what {
      case .encode, .decode: try forward(architecture, random(architecture), accelerator, precision)
      case .train: try update(architecture, accelerator, precision)
      }
    try step()
    return BenchmarkReport(
      self, engine: "\(accelerator.name) \(precision.rawValue)", seconds: try seconds(step),
      multiplyAdds: multiplyAdds(architecture))
  }

  /// Returns the multiplications of a run; the two gradients of a layer take as many as the layer
  /// each.
  private func multiplyAdds(_ architecture: Architecture) -> Int {
    let (encoder, decoder) = (architecture.encoder, architecture.decoder)
    let count = { (plan: NetworkPlan) in
      images * plan.multiplyAdds(height: resolution, width: resolution)
    }
    return switch what {
    case .encode: count(encoder)
    case .decode: count(decoder)
    case .train: 3 * (count(encoder) + count(decoder))
    }
  }

  private func forward(
    _ architecture: Architecture, _ parameters: ParameterSet, _ accelerator: Accelerator,
    _ precision: ProgramPrecision
  ) throws -> () throws -> Void {
    let side = resolution / Architecture.pixelsPerToken
    let recording = try recording(architecture)
    let program = try RecordedProgram(recording, on: accelerator, precision)
    var tensors: [String: DeviceBuffer] = [:]
    for parameter in parameters.parameters {
      tensors[parameter.name] = try accelerator.upload(
        Array(parameter.values.elements), parameter.shape, .float32)
    }
    let isEncoder = what == .encode
    let pixels = (0..<images * resolution * resolution * 3).map { UInt8($0 * 7919 % 256) }
    let tokens = (0..<images * side * side).map { Int32($0 * 7919 % architecture.vocabulary) }
    let (count, extents) = (images, [images, resolution, resolution, 3])
    return {
      if isEncoder {
        tensors["pixels"] = try accelerator.upload(pixels, extents, .uint8)
        _ = try program(tensors)["tokens"]?.array(of: Int32.self, count: tokens.count)
      } else {
        tensors["tokens"] = try accelerator.upload(tokens, [count, side, side], .int32)
        _ = try program(tensors)["pixels"]?.array(of: UInt8.self, count: pixels.count)
      }
    }
  }

  private func update(
    _ architecture: Architecture, _ accelerator: Accelerator, _ precision: ProgramPrecision
  ) throws -> () throws -> Void {
    let configuration = configuration(architecture)
    let state = try TrainingState(configuration)
    let updater = try ProgramUpdate(configuration, on: accelerator, precision)
    let x = input()
    // As in training, the next batch is uploaded while the update runs.
    return { _ = try updater.update(x, state, check: { _, _ in }, next: { x }) }
  }

  /// Returns the settings of the measured update, which is computed at once.
  private func configuration(_ architecture: Architecture) -> TrainingConfiguration {
    var configuration = TrainingConfiguration.paper
    configuration.architecture = architecture
    (configuration.batchSize, configuration.microBatch) = (images, images)
    configuration.resolution = resolution
    return configuration
  }

  private func recording(_ architecture: Architecture) throws -> Recording {
    switch what {
    case .encode:
      return try ForwardPrograms.encoder(
        architecture, batch: images, height: resolution, width: resolution)
    case .decode:
      let side = resolution / Architecture.pixelsPerToken
      return ForwardPrograms.decoder(architecture, batch: images, height: side, width: side)
    case .train:
      guard
        case .whole(let recording) = try TrainingPrograms(
          configuration(architecture), scalesLoss: precision == .float16)
      else {
        throw DVAEError(.internal, "an update of one micro-batch is one program")
      }
      return recording
    }
  }

  // MARK: Compiling alone

  /// Compiles the measured program for a GPU that need not be there.
  func compiledAhead(for target: GPUTarget) throws -> AheadReport {
    let plugin = try Plugin.load(device.device)
    let loaded = try weights.map { try WeightsFiles(WeightsLocation($0)).model }
    let text = StableHLOWriter.text(
      try recording(architecture(of: loaded)), precision: precision.program ?? .float32)
    let clock = ContinuousClock()
    let start = clock.now
    let compiled = try plugin.compile(Array(text.utf8), for: target)
    return AheadReport(
      what: what.rawValue, compiledFor: target.rawValue, precision: precision.rawValue,
      resolution: resolution, batchSize: images, seconds: (clock.now - start) / .seconds(1),
      programBytes: compiled.size, argumentBytes: compiled.memory?.arguments,
      temporaryBytes: compiled.memory?.temporary)
  }
}

/// The result of `dvae benchmark --compile-for`.
struct AheadReport: Encodable {
  let what: String
  let compiledFor: String
  let precision: String
  let resolution: Int
  let batchSize: Int
  /// The time of compiling.
  let seconds: Double
  let programBytes: Int
  /// The memory of the device for parameters, state and a batch.
  let argumentBytes: Int?
  /// The memory of the device for intermediate results.
  let temporaryBytes: Int?

  var lines: [String] {
    var line =
      "\(what), \(precision), \(resolution)×\(resolution), batch \(batchSize): compiled for "
      + "\(compiledFor) in \(Numbers.fixed(seconds, 1)) s"
    if let argumentBytes, let temporaryBytes {
      line +=
        "; memory: \(sizeText(argumentBytes)) of parameters, state and batch, "
        + "\(sizeText(temporaryBytes)) of intermediate results"
    }
    return [line]
  }
}
