package import DVAEFiles
import DVAEWeights

extension WeightsFiles {
  /// The note that OpenAI's licence of its release requires beside the weights.
  package static let licenceNote =
    "OpenAI's release of the DALL·E dVAE asks you to indicate that the model was used "
    + "(modified MIT licence, https://github.com/openai/DALL-E/blob/master/LICENSE)."

  /// Writes all parts into one safetensors file: official names after `encoder.` and `decoder.`,
  /// OIHW, metadata with the architecture, the hashes of the sources and the licence note.
  ///
  /// - Parameters:
  ///   - path: the file to create or replace, atomically
  ///   - float16: half precision and half the size; some tokens differ
  ///   - calibration: the encoder's int8 calibration; by default the files' own
  /// - Throws: if the file is one of these weights' or cannot be written, or a value exceeds float16.
  package func convert(
    to path: String, float16: Bool = false, calibration: Calibration? = nil
  ) throws {
    try refuse(output: path)
    var metadata = [
      WeightsMetadata.architecture: String(
        decoding: try jsonText(model.architecture), as: UTF8.self)
    ]
    metadata[WeightsMetadata.training] = training
    metadata[WeightsMetadata.calibration] = try (calibration ?? self.calibration()).map {
      String(decoding: try jsonText($0), as: UTF8.self)
    }
    var entries: [SafetensorsEntry] = []
    for half in ModelHalf.allCases {
      guard let parameters = parameters(half) else { continue }
      try metadata.merge(keptMetadata(of: half)) { $1 }
      entries += parameters.parameters.map {
        SafetensorsEntry(
          $0.name, float16 ? .float16 : .float32, shape: $0.shape, .slice($0.values))
      }
    }
    try writeSafetensors(path, tensors: entries, metadata: metadata)
  }

  /// Refuses an output that would replace a file of these weights.
  ///
  /// - Throws: `usage`
  package func refuse(output path: String) throws(DVAEError) {
    try FileIdentity.refuse(
      output: path, replacing: Set(files.compactMap { FileIdentity($0.path) }))
  }

  /// The training of weights from this package, as JSON; nil for other weights.
  private var training: String? { written(WeightsMetadata.training) }

  /// The licence that the files state, else the note on OpenAI's release if they are OpenAI's.
  ///
  /// A state dict is somebody else's model.
  package var licence: String? {
    let isRelease = files.contains {
      Self.isRelease(module: $0.metadata["class"], model.architecture)
    }
    return written(WeightsMetadata.licence) ?? (isRelease ? Self.licenceNote : nil)
  }

  /// Returns whether a pickled module is OpenAI's release: of its package, and of the released size.
  ///
  /// Those of other sizes were trained by other people.
  package static func isRelease(module: String?, _ architecture: Architecture) -> Bool {
    module?.hasBytePrefix("dall_e.") == true && architecture == .released
  }

  /// Returns the metadata that a conversion of a half keeps.
  func keptMetadata(of half: ModelHalf) throws -> [String: String] {
    WeightsMetadata.kept(of: half, from: try provenance(of: half), licence: licence)
  }

  /// Returns metadata that this package has written.
  ///
  /// A pickled module also has an attribute `training`, with another meaning.
  private func written(_ key: String) -> String? {
    files.filter {
      $0.format == .safetensors
        || $0.metadata[WeightsMetadata.format] == WeightsMetadata.currentFormat
    }.compactMap { $0.metadata[key] }.first
  }
}
