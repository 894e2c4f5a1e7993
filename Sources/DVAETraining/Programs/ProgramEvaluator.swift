import DVAEAccelerator
import DVAEFiles
import DVAEModel
import DVAEProgram
import DVAETensors

/// Evaluates the averaged parameters on a device, with a program for each image size.
struct ProgramEvaluator: BatchEvaluator {
  let architecture: Architecture
  let accelerator: Accelerator
  let precision: ProgramPrecision
  var measures: [Shape: RecordedProgram] = [:]
  var pictures: [Shape: RecordedProgram] = [:]
  /// The averaged parameters by the programs' input names.
  var averages: [String: DeviceBuffer] = [:]

  mutating func measures(
    of images: Tensor, beta: Double
  ) throws -> (parts: ObjectiveParts<Double>, tokens: [Int32], statistics: Tensor) {
    let program = try program(&measures, images.shape, EvaluationPrograms.measures)
    var tensors = averages
    tensors["images"] = try accelerator.upload(images, to: 0)
    tensors["numbers"] = try accelerator.upload([Float(beta)], [1], .float32)
    let outputs = try program(tensors)
    let losses = try outputs.array("losses", count: 3).map(Double.init)
    let step = Architecture.pixelsPerToken
    let positions = images.shape.positions / (step * step)
    return (
      ObjectiveParts(reconstruction: losses[0], kl: losses[1], klWeight: losses[2]),
      try outputs["tokens"]?.array(of: Int32.self, count: positions) ?? [],
      try outputs.tensor("statistics", images.shape.with(channels: 2 * images.shape.channels))
    )
  }

  mutating func pictures(
    of images: Tensor, temperature: Double, seed: UInt64, stream: UInt64
  ) throws -> (soft: Tensor, hard: Tensor) {
    let program = try program(&pictures, images.shape, EvaluationPrograms.pictures)
    var tensors = averages
    tensors["images"] = try accelerator.upload(images, to: 0)
    tensors["numbers"] = try accelerator.upload([Float(temperature)], [1], .float32)
    let noise = noiseWords(seed: seed, stream: stream, first: 0)
    tensors["noise"] = try accelerator.upload(noise, [noise.count], .uint32)
    let outputs = try program(tensors)
    let shape = images.shape.with(channels: 2 * images.shape.channels)
    return (try outputs.tensor("soft", shape), try outputs.tensor("hard", shape))
  }

  private func program(
    _ programs: inout [Shape: RecordedProgram], _ shape: Shape,
    _ record: (Architecture, Shape) throws -> Recording
  ) throws -> RecordedProgram {
    if let program = programs[shape] { return program }
    let program = try RecordedProgram(
      record(architecture, shape), on: accelerator, precision)
    programs[shape] = program
    return program
  }
}

extension Accelerator {
  /// Copies a tensor to a device.
  func upload(_ tensor: Tensor, to device: Int) throws(DVAEError) -> DeviceBuffer {
    defer { withExtendedLifetime(tensor) {} }
    return try upload(
      UnsafeRawBufferPointer(tensor.elements), tensor.shape.extents, .float32, to: device)
  }

  /// Copies a parameter to a device.
  func upload(
    _ parameter: Parameter<TensorSlice>, to device: Int
  ) throws(DVAEError) -> DeviceBuffer {
    try upload(
      UnsafeRawBufferPointer(parameter.values.elements), parameter.shape, .float32, to: device)
  }
}

extension [String: DeviceBuffer] {
  /// Copies an output to a tensor.
  func tensor(_ name: String, _ shape: Shape) throws(DVAEError) -> Tensor {
    let tensor = Tensor(shape)
    try output(name).copy(to: UnsafeMutableRawBufferPointer(tensor.elements))
    return tensor
  }
}
