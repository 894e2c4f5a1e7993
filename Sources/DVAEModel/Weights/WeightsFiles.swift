package import DVAEFiles
package import DVAEWeights

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The models that have names; a folder of the same name is given as `./starter`.
package enum ModelName: String, CaseIterable, Sendable {
  /// The model that comes with the package.
  case starter
  /// OpenAI's release, after its download.
  case openAI = "openai"
  /// Random weights of the released architecture.
  case random
}

/// A model's files, opened and checked; `WeightsLocation` finds them.
package struct WeightsFiles: Sendable {
  /// The extensions of weights in folders, safest and fastest first.
  package static let extensions = ["safetensors", "pkl", "pt", "pth", "bin"]

  /// One file, or the encoder's and the decoder's.
  package let files: [WeightsFile]
  /// Their parameters.
  package let model: ModelWeights
  // Tokens carry the hash of the encoder's file. It takes as long as verifying the checksums, so both
  // are done at the same time, and not again for a file that was verified before.
  private let encoderHash: PendingHash?
  // The encoder's file before it was verified; nil if that was not needed.
  private let encoderState: VerifiedFiles.State?
  private let verified: VerifiedFiles

  /// Opens one file, or an encoder file and a decoder file in either order.
  ///
  /// - Parameters:
  ///   - paths: the files
  ///   - half: the half that is used, whose file alone is verified; nil for all files
  ///   - verified: the files whose checksums need not be verified again for an encoder
  /// - Throws: for files that are missing, damaged or wrong, by name; for more than two files.
  package init(
    files paths: [String], verifying half: ModelHalf? = nil,
    verified: VerifiedFiles = VerifiedFiles()
  ) throws {
    self.verified = verified
    let before = paths.map { VerifiedFiles.State($0) }
    files = try paths.map { try WeightsFile.open($0) }
    // A file that replaced another in the meantime may be either.
    let states = zip(paths, before).map { VerifiedFiles.State($0) == $1 ? $1 : nil }
    switch files.count {
    case 1: model = try ModelWeights(files[0])
    case 2:
      // The files may come in either order.
      let swapped = try ModelWeights(files[0]).encoder == nil
      model = try ModelWeights(encoder: files[swapped ? 1 : 0], decoder: files[swapped ? 0 : 1])
    default:
      throw DVAEError(
        .usage, "expected one weights file, or an encoder's and a decoder's, not \(files.count)")
    }
    let files = files
    let used = try half.map { try [Self.index(of: $0, in: files)].compactMap(\.self) }
    let encoder = half == .encoder ? used?.first : nil
    let known = encoder.flatMap { states[$0] }.flatMap(verified.hash)
    encoderHash = encoder.map {
      known.map(PendingHash.init(known:)) ?? PendingHash(of: files[$0].path)
    }
    encoderState = known == nil ? encoder.flatMap { states[$0] } : nil
    if known == nil {
      for index in used ?? Array(files.indices) { try files[index].verifyChecksums() }
    }
    for half in half.map({ [$0] }) ?? ModelHalf.allCases {
      try parameters(half)?.checkFinite(
        in: files[(try? Self.index(of: half, in: files)) ?? 0].path)
    }
  }

  /// Returns the parameters of the encoder or decoder; nil if no file holds it.
  package func parameters(_ half: ModelHalf) -> ParameterSet? {
    half == .encoder ? model.encoder : model.decoder
  }

  /// Hashes the file of the encoder or decoder; this reads all of it.
  ///
  /// - Throws: if the file cannot be read or no file holds that part.
  package func provenance(of half: ModelHalf) throws -> WeightsProvenance {
    guard parameters(half) != nil, let index = try Self.index(of: half, in: files) else {
      throw DVAEError(.missing, file: files[0].path, "no \(half.rawValue) in there")
    }
    let file = files[index]
    let pending = half == .encoder ? encoderHash : nil
    let sha256 = try pending?.value() ?? FileHash.of(file.path)
    if pending != nil, let encoderState { verified.add(file.path, encoderState, sha256) }
    return WeightsProvenance(
      file: Path(file.path).name, sha256: sha256,
      source: file.metadata[WeightsMetadata.source(half)])
  }

  private static func index(of half: ModelHalf, in files: [WeightsFile]) throws -> Int? {
    guard files.count > 1 else { return files.indices.first }
    return try files.firstIndex { file in
      let weights = try ModelWeights(file)
      return (half == .encoder ? weights.encoder : weights.decoder) != nil
    }
  }
}

extension WeightsFiles {
  /// Returns the int8 calibration that `convert` wrote; nil if there is none.
  ///
  /// - Throws: if the ranges do not fit the encoder.
  package func calibration() throws -> Calibration? {
    for file in files where file.format == .safetensors {
      guard let text = file.metadata[WeightsMetadata.calibration] else { continue }
      let calibration = try? decodedJSON(Calibration.self, text.utf8)
      guard let calibration, calibration.cover(model.architecture) else {
        throw DVAEError(
          .badData, file: file.path,
          "its metadata '\(WeightsMetadata.calibration)' has no range for each layer of the "
            + "encoder; measure them again by converting the weights with photos")
      }
      return calibration
    }
    return nil
  }
}

/// The metadata keys that this package writes into a safetensors file of weights.
package enum WeightsMetadata {
  /// The version of the other keys: `dvae.weights/1`.
  package static let format = "format"
  /// The format of this version.
  package static let currentFormat = "dvae.weights/1"
  /// The beginning of the format of a training run's checkpoints.
  package static let checkpointFormat = "swift-dvae checkpoint"
  /// The architecture as JSON.
  package static let architecture = "architecture"
  /// The training of the weights, as JSON: recipe and number of updates.
  package static let training = "training"
  /// The int8 calibration, as JSON: the ranges of the encoder's activations on photos.
  package static let calibration = "int8.ranges"
  /// The licence of the weights.
  package static let licence = "licence"

  /// Returns the key for the SHA-256 of the file that a part was converted from.
  package static func source(_ half: ModelHalf) -> String {
    "\(half.rawValue).source_sha256"
  }

  /// Returns the metadata that a converted half keeps: the licence, and the hash of the first source.
  package static func kept(
    of half: ModelHalf, from origin: WeightsProvenance, licence: String?
  ) -> [String: String] {
    var metadata = [format: currentFormat, source(half): origin.source ?? origin.sha256]
    metadata[Self.licence] = licence
    return metadata
  }
}
