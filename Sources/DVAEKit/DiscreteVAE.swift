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

/// The engine behind the façade.
typealias DefaultEngine = CPUEngine

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
/// It is immutable and may be shared by threads; a call computes on all of the engine's threads and
/// returns when it is done.
public struct DiscreteVAE: Sendable {
  /// The numbers that fix the layers.
  public let architecture: Architecture
  /// What computes, without the number of its threads: `cpu avx512`.
  public let engineName: String
  /// What the encoder computes with.
  public let precision: Precision
  /// The files that the weights were read from; nil for random ones.
  package let weights: WeightsFiles?
  // Of random weights: what they are instead of a file.
  let origin: WeightsProvenance?
  let encoder: ImageEncoder<DefaultEngine>?
  // In the encoder's place where it computes in whole numbers.
  let quantizedEncoder: QuantizedEncoder<DefaultEngine>?
  let decoder: ImageDecoder<DefaultEngine>?
  // In the place of all three where the model is on a device.
  let device: DeviceModel?

  /// Loads a model.
  ///
  /// - Parameters:
  ///   - location: of the model: `.starter`, `.openAI`, `.file(url)`, `.folder(url)`
  ///   - half: prepare only this one, which is faster and takes half the memory
  ///   - precision: what the encoder computes with
  ///   - singlePass: for one batch of images: nothing is prepared in advance and kept, which takes
  ///     less memory and is done sooner; every further batch takes longer
  ///   - threads: to compute with; one per core unless given
  ///   - device: `cpu`, or a device with a PJRT plugin: `cuda`, `rocm`, `tpu`, or a plugin's path
  /// - Returns: the model; of weights with one half only, that half
  /// - Throws: what is missing from the weights or wrong with them.
  public static func load(
    _ location: WeightsLocation, only half: NetworkPlan.Half? = nil,
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

  /// Makes a model with random weights, for trying things out: its tokens mean nothing.
  ///
  /// - Parameters:
  ///   - architecture: OpenAI's unless given
  ///   - half: prepare only this one; its weights do not depend on it
  ///   - seed: the same seed gives the same weights
  ///   - precision: what the encoder computes with
  ///   - threads: to compute with; one per core unless given
  ///   - device: `cpu`, or a device with a PJRT plugin
  /// - Returns: the model
  /// - Throws: an architecture whose tokens are too many for 16 bits.
  public static func random(
    _ architecture: Architecture = .released, only half: NetworkPlan.Half? = nil,
    seed: UInt64 = 0, precision: Precision = .float32, threads: Int? = nil,
    device: String = "cpu"
  ) throws -> DiscreteVAE {
    let parameters = { (wanted: NetworkPlan.Half) -> ParameterSet? in
      guard half == nil || half == wanted else { return nil }
      return randomParameters(architecture, wanted, seed: seed)
    }
    return try DiscreteVAE(
      architecture, encoder: parameters(.encoder), decoder: parameters(.decoder), weights: nil,
      origin: randomOrigin(architecture, seed: seed), precision: precision, for: .inference,
      threads: threads, device: device)
  }

  /// Random parameters of one half; the halves have seeds of their own, so that one does not need
  /// the other.
  static func randomParameters(
    _ architecture: Architecture, _ half: NetworkPlan.Half, seed: UInt64
  ) -> ParameterSet {
    ParameterSet(
      [architecture.plan(half)], initialisedBy: 2 &* seed &+ (half == .encoder ? 0 : 1))
  }

  /// The record of random parameters in the place of a file's.
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
        throw DVAEError(.usage, "\(device): no \(precision.rawValue) on devices, only on the CPU")
      }
      var halves: [NetworkPlan.Half: ParameterSet] = [:]
      (halves[.encoder], halves[.decoder]) = (encoder, decoder)
      let model = try DeviceModel(architecture, halves: halves, device: device, program)
      (engineName, self.device) = (model.name, model)
      (self.encoder, quantizedEncoder, self.decoder) = (nil, nil, nil)
      return
    }
    self.device = nil
    let engine = try DefaultEngine(threads: threads)
    engineName = "cpu \(engine.instructionSet.name)"
    // Without ranges in the weights, the float32 encoder lives for as long as it takes to measure.
    let ranges = precision == .int8 ? try weights?.activationRanges() : nil
    let plain =
      ranges == nil
      ? encoder.map {
        ImageEncoder(architecture, parameters: $0, engine: engine, for: purpose)
      } : nil
    switch precision {
    case .float32:
      self.encoder = plain
      quantizedEncoder = nil
    case .int8:
      self.encoder = nil
      let measured = try ranges ?? plain.map { try CalibrationPhotos.ranges($0) }
      quantizedEncoder = encoder.flatMap { parameters in
        measured.map {
          QuantizedEncoder(architecture, parameters: parameters, ranges: $0, engine: engine)
        }
      }
    case .tf32, .bfloat16, .float16:
      throw DVAEError(.usage, "no \(precision.rawValue) on the CPU, only on other devices")
    }
    self.decoder = decoder.map {
      ImageDecoder(architecture, parameters: $0, engine: engine, for: purpose)
    }
  }

  /// The tokens of one image of any size, resized and cropped first.
  ///
  /// - Parameters:
  ///   - image: a picture
  ///   - preprocessing: the released code's unless given: 256×256 pixels, 32×32 tokens
  /// - Returns: a grid of an eighth of the preprocessed image's sides
  /// - Throws: an image that is too small, or a model without an encoder.
  public func tokenize(
    _ image: PixelImage, _ preprocessing: Preprocessing = Preprocessing()
  ) throws -> TokenGrid {
    let grids = try tokens(of: [preprocessing.apply(image, name: "image")])
    guard let grid = grids.first else { throw DVAEError(.internal, "no tokens were made") }
    return grid
  }

  /// The tokens of images as they are, in one pass through the network.
  ///
  /// - Parameter images: all of one size, with sides that are multiples of 8; may be empty
  /// - Returns: a grid of an eighth of the sides for each
  /// - Throws: other sizes, or a model without an encoder.
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
    return try quantizedEncoder?.tokens(x) ?? encoder?.tokens(x) ?? []
  }

  /// Whether the model has a half.
  func has(_ half: NetworkPlan.Half) -> Bool {
    if let device { return device.halves.contains(half) }
    return half == .encoder ? encoder != nil || quantizedEncoder != nil : decoder != nil
  }

  /// An image as the model sees it, and as it gives it back.
  ///
  /// - Parameters:
  ///   - image: a picture of any size
  ///   - preprocessing: what is done to it first; the released code's unless given
  /// - Returns: the preprocessed image, and the picture of its tokens, of one size
  /// - Throws: an image that is too small, or a model without one of its halves.
  public func reconstruct(
    _ image: PixelImage, _ preprocessing: Preprocessing = Preprocessing()
  ) throws -> (input: PixelImage, output: PixelImage) {
    let input = try preprocessing.apply(image, name: "image")
    guard let grid = try tokens(of: [input]).first else {
      throw DVAEError(.internal, "no tokens were made")
    }
    return (input, try decode(grid))
  }

  /// What token files say about tokens that this model makes; it hashes the encoder's file.
  ///
  /// - Parameters:
  ///   - preprocessing: what is done to the images first
  ///   - inputs: the fingerprint of the images
  ///   - shard: the part of a job
  ///   - soft: what is kept beside the tokens
  /// - Returns: the record
  /// - Throws: a model without an encoder.
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

  /// The most likely tokens of a batch, and its first image; nil without images.
  func rankedTokens(
    of images: [PixelImage], count: Int
  ) throws -> (RankedTokens, PixelImage)? {
    guard let first = try first(ofBatch: images) else { return nil }
    if let device { return (try device.rankedTokens(images, count: count), first) }
    guard let encoder else {
      throw DVAEError(.usage, "int8 gives tokens only; for logits load the model in float32")
    }
    return (try encoder.rankedTokens(mappedTensor(images), count: count), first)
  }

  /// The first image, if a batch fits into the encoder; nil without images.
  private func first(ofBatch images: [PixelImage]) throws -> PixelImage? {
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

  // At full resolution there are about four maps of n_hid channels at a time.
  func checkMemory(_ count: Int, _ height: Int, _ width: Int) throws {
    guard device == nil else { return }
    let needed = Double(count * height * width) * Double(architecture.hidden) * 4 * 4
    let available = Double(ProcessInfo.processInfo.physicalMemory)
    guard needed > available else { return }
    let gigabytes = { (bytes: Double) in "\(Int((bytes / 1e9).rounded(.up))) GB" }
    throw DVAEError(
      .badData,
      "\(width)×\(height) pixels need about \(gigabytes(needed)) of memory, this machine has "
        + "\(gigabytes(available)): use a lower resolution or smaller batches")
  }

  func missing(_ half: NetworkPlan.Half) -> DVAEError {
    let files = weights?.files.map(\.path).joined(separator: ", ") ?? "the weights"
    return DVAEError(
      .missing, file: files, "no \(half.rawValue) in there; give weights that have one")
  }
}
