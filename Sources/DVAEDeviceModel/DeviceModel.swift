import DVAEAccelerator
package import DVAEFiles
package import DVAEImages
package import DVAEModel
package import DVAEProgram
package import DVAETensors
import Synchronization

/// A model on a device: the parameters stay there, and each batch size has its own program, of which
/// the most recently used ones are kept.
package final class DeviceModel: Sendable {
  /// The device's name for records.
  package let name: String
  /// The parts that are loaded: encoder, decoder or both.
  package let halves: Set<NetworkPlan.Half>
  private let architecture: Architecture
  private let accelerator: Accelerator
  private let precision: ProgramPrecision
  private let parameters: [String: DeviceBuffer]
  private let programs: Mutex<RecentlyUsed<ProgramKey, RecordedProgram>>

  /// The operation and input size that a program is compiled for.
  private struct ProgramKey: Hashable {
    enum Kind: Hashable {
      case tokens
      case ranks(Int)
      case pictures
      case measures
    }
    var kind: Kind
    var batch: Int
    var height: Int
    var width: Int
  }

  /// Uploads the given parts.
  ///
  /// - Parameters:
  ///   - architecture: the model's architecture
  ///   - halves: the parameters of the parts
  ///   - device: the name of the device, or the path of its plugin
  ///   - precision: the precision of activations
  ///   - capacity: the number of compiled programs to keep; the program of a new size replaces the
  ///     least recently used one, which the cache on disk still has
  /// - Throws: if the device is missing or out of memory
  package init(
    _ architecture: Architecture, halves: [NetworkPlan.Half: ParameterSet], device: String,
    _ precision: ProgramPrecision, keeping capacity: Int = 8
  ) throws(DVAEError) {
    self.halves = Set(halves.keys)
    programs = Mutex(RecentlyUsed(capacity: capacity))
    let accelerator = try Accelerator(Plugin.load(device), devices: 1)
    name = accelerator.name
    self.architecture = architecture
    self.accelerator = accelerator
    self.precision = precision
    var buffers: [String: DeviceBuffer] = [:]
    for parameter in halves.values.flatMap(\.parameters) {
      buffers[parameter.name] = try accelerator.upload(
        UnsafeRawBufferPointer(parameter.values.elements), parameter.shape, .float32)
    }
    withExtendedLifetime(halves) {}
    parameters = buffers
  }

  /// The number of compiled programs in memory.
  package var programCount: Int { programs.withLock { $0.keys.count } }

  // MARK: Use

  /// Returns the most likely tokens of images of one size, row-major.
  package func tokens(_ images: [PixelImage]) throws -> [Int32] {
    let outputs = try encode(images, .tokens)
    return try outputs.array(
      "tokens", of: Int32.self, count: positions(images), capacity: outputs.count)
  }

  /// Returns several most likely tokens for each position, of images of one size.
  package func rankedTokens(_ images: [PixelImage], count: Int) throws -> RankedTokens {
    let outputs = try encode(images, .ranks(count))
    let total = positions(images) * count
    let capacity = outputs.count * count
    return RankedTokens(
      count: count,
      tokens: try outputs.array("ranked_tokens", of: Int32.self, count: total, capacity: capacity),
      logProbabilities: try outputs.array(
        "log_probabilities", of: Float.self, count: total, capacity: capacity),
      distances: try outputs.array("distances", of: Float.self, count: total, capacity: capacity))
  }

  /// Decodes grids of one size; all tokens must be in the vocabulary.
  package func pictures(_ tokens: [Int32], batch: Int, height: Int, width: Int) throws
    -> [PixelImage]
  {
    let (program, capacity) = try program(.pictures, batch, height, width)
    var tensors = parameters
    let padding = [Int32](repeating: 0, count: (capacity - batch) * height * width)
    tensors["tokens"] = try accelerator.upload(
      tokens + padding, [capacity, height, width], .int32)
    let size = 64 * 3 * height * width
    let pixels = try program(tensors).array("pixels", of: UInt8.self, count: capacity * size)
    return (0..<batch).map {
      PixelImage(
        width: 8 * width, height: 8 * height, pixels: Array(pixels[$0 * size..<($0 + 1) * size]))
    }
  }

  /// Returns the objective of an image with β = 1, its tokens, and the decoder's statistics of
  /// them.
  package func evaluate(
    _ image: PixelImage
  ) throws -> (parts: ObjectiveParts<Double>, tokens: [Int32], statistics: Tensor) {
    let outputs = try encode([image], .measures)
    let losses = try outputs.array("losses", of: Float.self, count: 3, capacity: 3)
      .map(Double.init)
    let shape = Shape(1, image.height, image.width, 2 * architecture.outputChannels)
    return (
      ObjectiveParts(reconstruction: losses[0], kl: losses[1], klWeight: losses[2]),
      try outputs.array(
        "tokens", of: Int32.self, count: positions([image]), capacity: outputs.count),
      Tensor(
        shape,
        try outputs.array(
          "statistics", of: Float.self, count: shape.count, capacity: shape.count))
    )
  }

  // MARK: Programs

  /// The outputs of a program, and the number of images in its batch.
  private struct Outputs {
    var buffers: [String: DeviceBuffer]
    var count: Int

    /// Copies the first elements of an output of `capacity` elements.
    func array<T: BitwiseCopyable>(
      _ name: String, of type: T.Type, count: Int, capacity: Int
    ) throws(DVAEError) -> [T] {
      Array(try buffers.array(name, of: type, count: capacity).prefix(count))
    }
  }

  private func positions(_ images: [PixelImage]) -> Int {
    images.reduce(0) { $0 + ($1.height / 8) * ($1.width / 8) }
  }

  private func encode(_ images: [PixelImage], _ kind: ProgramKey.Kind) throws -> Outputs {
    let (height, width) = (images[0].height, images[0].width)
    let (program, capacity) = try program(kind, images.count, height, width)
    var tensors = parameters
    var pixels: [UInt8] = []
    pixels.reserveCapacity(capacity * height * width * 3)
    for image in images { pixels += image.pixels }
    // A batch smaller than the program's is padded with black.
    pixels += [UInt8](repeating: 0, count: capacity * height * width * 3 - pixels.count)
    tensors["pixels"] = try accelerator.upload(pixels, [capacity, height, width, 3], .uint8)
    return Outputs(
      buffers: try program(tensors), count: capacity * (height / 8) * (width / 8))
  }

  /// Returns the smallest program that fits the batch; compiles one if there is none.
  private func program(
    _ kind: ProgramKey.Kind, _ batch: Int, _ height: Int, _ width: Int
  ) throws -> (program: RecordedProgram, batch: Int) {
    let key = ProgramKey(kind: kind, batch: batch, height: height, width: width)
    return try programs.withLock { programs in
      let fitting = programs.keys.filter {
        $0.kind == kind && $0.height == height && $0.width == width && $0.batch >= batch
      }
      if let smallest = fitting.min(by: { $0.batch < $1.batch }),
        let found = programs.value(of: smallest)
      {
        return (found, smallest.batch)
      }
      let program = try RecordedProgram(recording(key), on: accelerator, precision)
      programs.add(program, key)
      return (program, batch)
    }
  }

  private func recording(_ key: ProgramKey) throws -> Recording {
    switch key.kind {
    case .tokens:
      try ForwardPrograms.encoder(
        architecture, batch: key.batch, height: key.height, width: key.width)
    case .ranks(let count):
      try ForwardPrograms.encoder(
        architecture, batch: key.batch, height: key.height, width: key.width, ranks: count)
    case .pictures:
      ForwardPrograms.decoder(
        architecture, batch: key.batch, height: key.height, width: key.width)
    case .measures:
      try ForwardPrograms.measures(
        architecture, batch: key.batch, height: key.height, width: key.width)
    }
  }
}
