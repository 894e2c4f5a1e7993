import DVAEDeviceModel
import DVAEFiles
import DVAECPUEngine
package import DVAEModel
import DVAETensors
package import DVAEImages
package import DVAETokens
import DVAEWeights

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A discrete variational autoencoder: images to grids of tokens and back.
///
/// ```swift
/// let vae = try DiscreteVAE.load(.openAI)
/// let photo = try PixelImage(contentsOf: "photo.jpg")
/// let tokens = try vae.tokenize(photo)
/// let image = try vae.decode(tokens)
/// try image.write(to: "back.png")
/// ```
///
/// It is immutable and may be shared by threads. A call is synchronous and uses all of the engine's
/// threads.
public struct DiscreteVAE: Sendable {
  /// The model's hyperparameters.
  public let architecture: Architecture
  /// The engine's name without its number of threads: `cpu avx512`.
  public let engineName: String
  /// The encoder's arithmetic.
  public let precision: Precision
  /// The files of the weights; nil for random weights.
  package let weights: WeightsFiles?
  // The provenance of random weights, which have no file.
  let origin: WeightsProvenance?
  let encoder: ImageEncoder<CPUEngine>?
  // Replaces the float32 encoder with int8.
  let quantizedEncoder: QuantizedEncoder<CPUEngine>?
  let decoder: ImageDecoder<CPUEngine>?
  // Replaces all three on a device.
  let device: DeviceModel?

  /// Loads a model.
  ///
  /// - Parameters:
  ///   - location: the model: `.starter`, `.openAI`, `.file(url)`, `.folder(url)`
  ///   - half: prepares only the encoder or the decoder, which is faster and takes half the memory
  ///   - precision: the encoder's arithmetic
  ///   - singlePass: for one batch of images: packed filters are not kept, which takes less memory
  ///     and time; every further batch takes longer
  ///   - threads: the number of threads; one per core by default
  ///   - device: `cpu`, or a device with a PJRT plugin: `cuda`, `rocm`, `tpu`, or a plugin's path
  /// - Returns: the model; only the encoder or the decoder if the weights hold no more
  /// - Throws: if weights are missing or wrong.
  public static func load(
    _ location: WeightsLocation, only half: ModelHalf? = nil,
    precision: Precision = .float32, singlePass: Bool = false, threads: Int? = nil,
    device: String = "cpu"
  ) throws -> DiscreteVAE {
    if location == .random {
      return try random(only: half, precision: precision, threads: threads, device: device)
    }
    let weights = try WeightsFiles(location, verifying: half)
    return try DiscreteVAE(
      weights.model.architecture, encoder: half == .decoder ? nil : weights.model.encoder,
      decoder: half == .encoder ? nil : weights.model.decoder, weights: weights, origin: nil,
      precision: precision, for: singlePass ? .singlePass : .inference, threads: threads,
      device: device)
  }

  /// Makes a model with random weights, for experiments: its tokens mean nothing.
  ///
  /// - Parameters:
  ///   - architecture: OpenAI's by default
  ///   - half: prepares only the encoder or the decoder; its weights do not depend on this
  ///   - seed: the same seed gives the same weights
  ///   - precision: the encoder's arithmetic
  ///   - threads: the number of threads; one per core by default
  ///   - device: `cpu`, or a device with a PJRT plugin
  /// - Returns: the model
  /// - Throws: if the vocabulary does not fit into 16-bit tokens.
  public static func random(
    _ architecture: Architecture = .released, only half: ModelHalf? = nil,
    seed: UInt64 = 0, precision: Precision = .float32, threads: Int? = nil,
    device: String = "cpu"
  ) throws -> DiscreteVAE {
    let parameters = { (wanted: ModelHalf) -> ParameterSet? in
      guard half == nil || half == wanted else { return nil }
      return randomParameters(architecture, wanted, seed: seed)
    }
    return try DiscreteVAE(
      architecture, encoder: parameters(.encoder), decoder: parameters(.decoder), weights: nil,
      origin: randomOrigin(architecture, seed: seed), precision: precision, for: .inference,
      threads: threads, device: device)
  }

  /// Returns random parameters of the encoder or decoder; each has its own seed, so neither needs
  /// the other.
  static func randomParameters(
    _ architecture: Architecture, _ half: ModelHalf, seed: UInt64
  ) -> ParameterSet {
    ParameterSet(
      [architecture.plan(half)], initialisedBy: 2 &* seed &+ (half == .encoder ? 0 : 1))
  }

  /// Returns the provenance of random parameters, which have no file.
  static func randomOrigin(
    _ architecture: Architecture, seed: UInt64
  ) throws -> WeightsProvenance {
    var hash = FileHash()
    hash.add("random \(seed)")
    hash.add(String(decoding: try jsonText(architecture), as: UTF8.self))
    return WeightsProvenance(file: "random", sha256: hash.finished())
  }

  private init(
    _ architecture: Architecture, encoder: ParameterSet?, decoder: ParameterSet?,
    weights: WeightsFiles?, origin: WeightsProvenance?, precision: Precision,
    for purpose: NetworkPurpose, threads: Int?, device: String
  ) throws {
    let name = weights?.files.map(\.path).joined(separator: ", ") ?? "the model"
    guard architecture.vocabulary <= Int(UInt16.max) + 1 else {
      throw DVAEError(
        .badData, file: name,
        "a vocabulary of \(architecture.vocabulary), but tokens are kept in 16 bits")
    }
    guard architecture.inputChannels == 3, architecture.outputChannels == 3 else {
      throw DVAEError(
        .badData, file: name,
        "\(architecture.inputChannels) and \(architecture.outputChannels) image channels, "
          + "expected 3")
    }
    self.architecture = architecture
    self.weights = weights
    self.origin = origin
    self.precision = precision
    guard device == "cpu" else {
      guard let program = precision.program else {
        throw DVAEError(
          .usage, file: device, "no \(precision.rawValue) on devices, only on the CPU")
      }
      var halves: [ModelHalf: ParameterSet] = [:]
      (halves[.encoder], halves[.decoder]) = (encoder, decoder)
      let model = try DeviceModel(architecture, halves: halves, device: device, program)
      (engineName, self.device) = (model.name, model)
      (self.encoder, quantizedEncoder, self.decoder) = (nil, nil, nil)
      return
    }
    self.device = nil
    let engine = try CPUEngine(threads: threads)
    engineName = "cpu \(engine.instructionSet.name)"
    let plain = { (parameters: ParameterSet) in
      ImageEncoder(architecture, parameters: parameters, engine: engine, for: purpose)
    }
    switch precision {
    case .float32:
      self.encoder = encoder.map(plain)
      quantizedEncoder = nil
    case .int8:
      self.encoder = nil
      let calibration = try weights?.calibration()
      quantizedEncoder = try encoder.map { parameters in
        QuantizedEncoder(
          architecture, parameters: parameters,
          // Without a calibration in the weights, a float32 encoder is prepared only to calibrate.
          calibration: try calibration ?? Calibrator.usualCalibration(plain(parameters)),
          engine: engine)
      }
    case .tf32, .bfloat16, .float16:
      throw DVAEError(.usage, "no \(precision.rawValue) on the CPU, only on other devices")
    }
    self.decoder = decoder.map {
      ImageDecoder(architecture, parameters: $0, engine: engine, for: purpose)
    }
  }

  /// Returns the tokens of one image of any size, after preprocessing.
  ///
  /// - Parameters:
  ///   - image: a picture
  ///   - preprocessing: by default the released code's: 256×256 pixels, 32×32 tokens
  /// - Returns: a grid with an eighth of the preprocessed image's sides
  /// - Throws: if the image is too small or the model has no encoder.
  public func tokenize(
    _ image: PixelImage, _ preprocessing: Preprocessing = Preprocessing()
  ) throws -> TokenGrid {
    try tokens(of: [preprocessing.apply(image, name: "image")])[0]
  }

  /// Returns the tokens of preprocessed images, computed as one batch.
  ///
  /// - Parameter images: all of one size, with sides that are multiples of 8; may be empty
  /// - Returns: for each image a grid with an eighth of its sides
  /// - Throws: if sizes differ or the model has no encoder.
  public func tokens(of images: [PixelImage]) throws -> [TokenGrid] {
    guard let first = try first(ofBatch: images) else { return [] }
    let tokens = try tokens(ofBatch: images).map { UInt16(truncatingIfNeeded: $0) }
    let (height, width) = (first.height / 8, first.width / 8)
    return images.indices.map {
      let part = tokens[$0 * height * width..<($0 + 1) * height * width]
      return TokenGrid(height: height, width: width, tokens: Array(part))
    }
  }

  private func tokens(ofBatch images: [PixelImage]) throws -> [Int32] {
    if let device { return try device.tokens(images) }
    let x = mappedTensor(images)
    guard let tokens = try quantizedEncoder?.tokens(x) ?? encoder?.tokens(x) else {
      throw missing(.encoder)
    }
    return tokens
  }

  /// Returns whether the model has the encoder or decoder.
  func has(_ half: ModelHalf) -> Bool {
    if let device { return device.halves.contains(half) }
    return half == .encoder ? encoder != nil || quantizedEncoder != nil : decoder != nil
  }

  /// Returns an image after preprocessing, and its reconstruction.
  ///
  /// - Parameters:
  ///   - image: a picture of any size
  ///   - preprocessing: applied first; by default the released code's
  /// - Returns: the preprocessed image and its decoded tokens, of one size
  /// - Throws: if the image is too small or the model lacks its encoder or decoder.
  public func reconstruct(
    _ image: PixelImage, _ preprocessing: Preprocessing = Preprocessing()
  ) throws -> (input: PixelImage, output: PixelImage) {
    let input = try preprocessing.apply(image, name: "image")
    return (input, try decode(tokens(of: [input])[0]))
  }

  /// Returns the provenance of tokens from this model; it hashes the encoder's file.
  ///
  /// - Parameters:
  ///   - preprocessing: the preprocessing of the images
  ///   - inputs: the fingerprint of the images
  ///   - shard: the job's shard
  ///   - soft: the soft tokens that are kept
  /// - Returns: the record
  /// - Throws: if the model has no encoder.
  public func provenance(
    preprocessing: Preprocessing, inputs: Provenance.Inputs, shard: Shard = .whole,
    soft: SoftTokens.Settings? = nil
  ) throws -> Provenance {
    guard let weights = try origin ?? weights?.provenance(of: .encoder) else {
      throw missing(.encoder)
    }
    return Provenance(
      weights: weights, architecture: architecture,
      preprocessing: preprocessing, inputs: inputs, shard: shard, soft: soft,
      engine: engineName, precision: precision)
  }

  /// Returns the first image if the batch fits into the encoder; nil without images.
  func first(ofBatch images: [PixelImage]) throws -> PixelImage? {
    guard let first = images.first else { return nil }
    guard has(.encoder) else { throw missing(.encoder) }
    if let other = images.first(where: { $0.width != first.width || $0.height != first.height }) {
      throw DVAEError(
        .usage,
        "images of \(first.width)×\(first.height) and \(other.width)×\(other.height) pixels "
          + "do not fit into one batch")
    }
    try checkMemory(images.count, first.height, first.width)
    return first
  }

  // At full resolution about four feature maps of n_hid channels exist at a time. A device checks its own
  // memory.
  func checkMemory(_ count: Int, _ height: Int, _ width: Int) throws {
    guard device == nil else { return }
    try MemoryCheck.batch(architecture, images: count, height: height, width: width)
  }

  func missing(_ half: ModelHalf) -> DVAEError {
    let files = weights?.files.map(\.path).joined(separator: ", ") ?? "the weights"
    return DVAEError(
      .missing, file: files, "no \(half.rawValue) in there; give weights that have one")
  }
}
