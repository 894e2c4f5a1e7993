public import DVAEModel
import DVAEProgram
import DVAETensors
import DVAEWeights
import DVAEDeviceModel
import DVAEFiles
import DVAEImages

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// The encoder or decoder of a model, to be exported for other programs.
public struct ModelExport: Sendable {
  /// The encoder or the decoder.
  public let half: ModelHalf
  /// The model's hyperparameters.
  public let architecture: Architecture
  private let parameters: ParameterSet
  private let origin: WeightsProvenance
  private let licence: String?
  // The files of the weights, which no export may replace.
  private let sources: Set<FileIdentity>

  /// The names of parameters in a state dict.
  public enum Names: String, Hashable, Sendable, CaseIterable {
    /// OpenAI's names: `blocks.input.w`.
    case official
    /// The names of Hugging Face's FLAVA: `blocks.input.weight`.
    case flava
  }

  /// Opens the encoder or decoder of a model.
  ///
  /// - Parameters:
  ///   - location: the model's location
  ///   - half: encoder or decoder
  /// - Throws: if weights are missing or wrong.
  public init(_ location: WeightsLocation, _ half: ModelHalf) throws {
    self.half = half
    if location == .random {
      architecture = .released
      parameters = DiscreteVAE.randomParameters(architecture, half, seed: 0)
      origin = try DiscreteVAE.randomOrigin(architecture, seed: 0)
      (licence, sources) = (nil, [])
      return
    }
    let weights = try WeightsFiles(location, verifying: half)
    // Throws an error that names the file without this part.
    origin = try weights.provenance(of: half)
    guard let parameters = weights.parameters(half) else {
      throw DVAEError(.missing, "no \(half.rawValue) in the weights")
    }
    self.parameters = parameters
    architecture = weights.model.architecture
    licence = weights.licence
    sources = Set(weights.files.compactMap { FileIdentity($0.path) })
  }

  /// Writes an ONNX model, opset 17, with dynamic batch, height and width.
  ///
  /// The encoder maps `pixels`, uint8 [N, H, W, 3], to `tokens`, int64 [N, H/8, W/8]; the decoder
  /// maps `tokens` to `pixels`. Runtimes refuse sides that are not multiples of 8 and tokens
  /// outside the vocabulary with an error that names the node.
  ///
  /// - Parameters:
  ///   - path: the file to create or replace, atomically
  ///   - showsLikelihood: whether `logits` [N, h, w, vocabulary] or `statistics` [N, H, W, 6] is
  ///     also an output
  /// - Throws: if the file cannot be written.
  public func writeONNX(to path: String, showsLikelihood: Bool = false) throws {
    try FileIdentity.refuse(output: path, replacing: sources)
    let values = Dictionary(
      uniqueKeysWithValues: parameters.parameters.map { ($0.name, $0.values) })
    var properties = [
      ("half", half.rawValue), ("weights", origin.file), ("weights_sha256", origin.sha256),
      ("architecture", String(decoding: try jsonText(architecture), as: UTF8.self)),
    ]
    if let source = origin.source { properties.append(("source_sha256", source)) }
    if let licence { properties.append((WeightsMetadata.licence, licence)) }
    let model = ONNXWriter.model(
      try recording(showsLikelihood: showsLikelihood), parameters: values,
      description: "The \(half.rawValue) of a discrete variational autoencoder (DALL·E)",
      producer: ("swift-dvae", DVAE.version), properties: properties)
    let file = try AtomicFile(path)
    try model.forEachPart { try file.write($0) }
    try file.commit()
  }

  /// Writes a StableHLO program as text, for PJRT plugins and the StableHLO tools.
  ///
  /// The parameters are arguments; comments at the top of the file name all arguments and results.
  ///
  /// - Parameters:
  ///   - path: the file to create or replace, atomically
  ///   - batch: images
  ///   - height: the images' height in pixels, a multiple of 8
  ///   - width: the images' width in pixels, a multiple of 8
  ///   - precision: the precision of the activations; not int8
  ///   - showsLikelihood: whether `logits` or `statistics` is also a result
  /// - Throws: for sides that are not multiples of 8, for int8, and if the file cannot be written.
  public func writeStableHLO(
    to path: String, batch: Int = 1, height: Int = 256, width: Int = 256,
    precision: Precision = .float32, showsLikelihood: Bool = false
  ) throws {
    try FileIdentity.refuse(output: path, replacing: sources)
    guard let precision = precision.program else {
      throw DVAEError(.usage, "a program's activations are floats, not \(precision.rawValue)")
    }
    let recording = try recording(
      batch: batch, height: height, width: width, showsLikelihood: showsLikelihood)
    func line(_ kind: String, _ at: Int, _ name: String, _ extents: [Int]) -> String {
      "// \(kind) \(at): \(name) \(extents)\n"
    }
    let header =
      "// \(half.rawValue) of \(architecture.vocabulary) tokens, by swift-dvae \(DVAE.version)\n"
      + recording.inputs.enumerated().map { line("argument", $0, $1.name, $1.extents) }.joined()
      + recording.outputs.enumerated().map { line("result", $0, $1.name, $1.extents) }.joined()
    try AtomicFile.write(
      Array((header + StableHLOWriter.text(recording, precision: precision)).utf8), to: path)
  }

  /// Writes the state dict of a PyTorch module.
  ///
  /// - Parameters:
  ///   - path: the file to create or replace, atomically
  ///   - names: the names of the parameters
  /// - Throws: if the file cannot be written.
  public func writeStateDict(to path: String, names: Names = .official) throws {
    try FileIdentity.refuse(output: path, replacing: sources)
    try writeTorchStateDict(
      path,
      tensors: parameters.parameters.map {
        (names == .official ? $0.name(in: half) : $0.flavaName(in: half), $0.shape, $0.values)
      }, metadata: WeightsMetadata.kept(of: half, from: origin, licence: licence))
  }

  /// Writes an ONNX model to a file URL: see `writeONNX(to:showsLikelihood:)` of its path.
  public func writeONNX(to url: URL, showsLikelihood: Bool = false) throws {
    try writeONNX(to: Path(url).text, showsLikelihood: showsLikelihood)
  }

  /// Writes a StableHLO program to a file URL: see the same of its path.
  public func writeStableHLO(
    to url: URL, batch: Int = 1, height: Int = 256, width: Int = 256,
    precision: Precision = .float32, showsLikelihood: Bool = false
  ) throws {
    try writeStableHLO(
      to: Path(url).text, batch: batch, height: height, width: width, precision: precision,
      showsLikelihood: showsLikelihood)
  }

  /// Writes a state dict to a file URL: see `writeStateDict(to:names:)` of its path.
  public func writeStateDict(to url: URL, names: Names = .official) throws {
    try writeStateDict(to: Path(url).text, names: names)
  }

  private func recording(
    batch: Int = 1, height: Int = 256, width: Int = 256, showsLikelihood: Bool
  ) throws -> Recording {
    let step = Architecture.pixelsPerToken
    switch half {
    case .encoder:
      return try ForwardPrograms.encoder(
        architecture, batch: batch, height: height, width: width, showsLogits: showsLikelihood)
    case .decoder:
      return ForwardPrograms.decoder(
        architecture, batch: batch, height: height / step, width: width / step,
        showsStatistics: showsLikelihood)
    }
  }
}
