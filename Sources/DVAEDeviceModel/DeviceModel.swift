import DVAEAccelerator
package import DVAEFiles
package import DVAEImages
package import DVAEModel
package import DVAEProgram
package import DVAETensors

/// A model on a device: the parameters stay there, and each batch size has its own program, of which
/// the most recently used ones are kept.
///
/// Compiling takes longer than computing, so there are few batch sizes: up to 32 images, the powers of
/// two. Smaller batches are padded.
package final class DeviceModel: Sendable {
  /// The device's name for records.
  package let name: String
  /// The parts that are loaded: encoder, decoder or both.
  package let halves: Set<ModelHalf>
  private let architecture: Architecture
  private let accelerator: Accelerator
  private let precision: ProgramPrecision
  private let parameters: [String: DeviceBuffer]
  private let programs: ProgramStore<ProgramKey, RecordedProgram>

  /// The operation and input size that a program is compiled for.
  private struct ProgramKey: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
      case tokens
      case ranks(Int)
      case pictures
      case measures
    }
    var kind: Kind
    var batch: Int
    var height: Int
    var width: Int

    /// Returns whether the program computes the batches of another, padded.
    func fits(_ other: ProgramKey) -> Bool {
      kind == other.kind && height == other.height && width == other.width && batch >= other.batch
    }
  }

  /// The largest batch that is padded to a power of two.
  private static let largestPadded = 32

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
    _ architecture: Architecture, halves: [ModelHalf: ParameterSet], device: String,
    _ precision: ProgramPrecision, keeping capacity: Int = 8
  ) throws(DVAEError) {
    self.halves = Set(halves.keys)
    programs = ProgramStore(capacity: capacity)
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
  package var programCount: Int { programs.count }

  // MARK: Use

  /// Returns the most likely tokens of images of one size, row-major.
  package func tokens(_ images: [PixelImage]) throws -> [Int32] {
    let outputs = try encode(images, .tokens)
    return try outputs.array("tokens", of: Int32.self, images: images.count)
  }

  /// Returns several most likely tokens for each position, of images of one size.
  package func rankedTokens(_ images: [PixelImage], count: Int) throws -> RankedTokens {
    let outputs = try encode(images, .ranks(count))
    func ranked<T: BitwiseCopyable>(_ name: String, of type: T.Type) throws -> [T] {
      try outputs.array(name, of: type, images: images.count, depth: count)
    }
    return RankedTokens(
      count: count, tokens: try ranked("ranked_tokens", of: Int32.self),
      logProbabilities: try ranked("log_probabilities", of: Float.self),
      distances: try ranked("distances", of: Float.self))
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

  /// Returns, for each of several images of one size, its objective with β = 1, its tokens, and the
  /// decoder's statistics of them.
  package func evaluate(
    _ images: [PixelImage]
  ) throws -> [(parts: ObjectiveParts<Double>, tokens: [Int32], statistics: Tensor)] {
    let outputs = try encode(images, .measures)
    let shape = Shape(1, images[0].height, images[0].width, 2 * architecture.outputChannels)
    let (batch, positions) = (outputs.batch, outputs.positions)
    let reconstruction = try outputs.buffers.array("reconstruction", count: batch)
    let kl = try outputs.buffers.array("kl", count: batch)
    let tokens = try outputs.buffers.array("tokens", of: Int32.self, count: batch * positions)
    let statistics = try outputs.buffers.array("statistics", count: batch * shape.count)
    let values = Double(shape.positions * architecture.inputChannels)
    return images.indices.map { image in
      (
        ObjectiveParts(
          reconstruction: Double(reconstruction[image]) / values,
          kl: Double(kl[image]) / Double(positions), klWeight: Double(positions) / values),
        Array(tokens[image * positions..<(image + 1) * positions]),
        Tensor(shape, Array(statistics[image * shape.count..<(image + 1) * shape.count]))
      )
    }
  }

  // MARK: Programs

  /// The outputs of a program, and the extent of its batch, which includes the padding.
  private struct Outputs {
    var buffers: [String: DeviceBuffer]
    var batch: Int
    /// The positions of one image.
    var positions: Int

    /// Copies the elements of an output that belong to the first images.
    ///
    /// - Parameters:
    ///   - name: the output's name
    ///   - type: the type of its elements
    ///   - images: the number of images
    ///   - depth: the number of elements for each position
    /// - Returns: the elements, row-major
    /// - Throws: if the device fails
    func array<T: BitwiseCopyable>(
      _ name: String, of type: T.Type, images: Int, depth: Int = 1
    ) throws(DVAEError) -> [T] {
      let all = try buffers.array(name, of: type, count: batch * positions * depth)
      return Array(all.prefix(images * positions * depth))
    }
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
      buffers: try program(tensors), batch: capacity, positions: (height / 8) * (width / 8))
  }

  /// Returns the smallest program that fits the batch; compiles one if there is none.
  private func program(
    _ kind: ProgramKey.Kind, _ batch: Int, _ height: Int, _ width: Int
  ) throws -> (program: RecordedProgram, batch: Int) {
    let key = ProgramKey(kind: kind, batch: Self.padded(batch), height: height, width: width)
    let scale = kind == .pictures ? Architecture.pixelsPerToken : 1
    try MemoryCheck.batch(
      architecture, images: key.batch, height: scale * height, width: scale * width,
      bytes: precision.bytes, on: accelerator.room)
    let (program, found) = try programs.program(
      key, from: { keys in keys.filter { $0.fits(key) }.min { $0.batch < $1.batch } }
    ) {
      try RecordedProgram(recording(key), on: accelerator, precision)
    }
    return (program, found.batch)
  }

  /// Returns the number of images that the program of a batch computes.
  private static func padded(_ batch: Int) -> Int {
    guard batch < largestPadded else { return batch }
    var power = 1
    while power < batch { power *= 2 }
    return power
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
