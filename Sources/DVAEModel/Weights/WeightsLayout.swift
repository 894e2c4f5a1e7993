import DVAEFiles
import DVAEWeights

/// The layouts in which other packages read weights, each a folder of files.
package enum WeightsLayout: String, Hashable, Sendable, CaseIterable {
  /// OpenAI's package: the state dicts `encoder.pt` and `decoder.pt`.
  case official = "dall_e"
  /// Hugging Face's `FlavaImageCodebook`, only the encoder: `model.safetensors` and `config.json`.
  case flava

  /// The files of these weights.
  fileprivate func files(of weights: WeightsFiles) -> [String] {
    switch self {
    case .official:
      ModelHalf.allCases.filter { weights.parameters($0) != nil }.map { $0.rawValue + ".pt" }
    case .flava: ["model.safetensors"]
    }
  }
}

extension WeightsFiles {
  /// Writes the weights in another package's layout; files of the same names are replaced.
  ///
  /// `NOTICE.txt` gets the licence that the weights state, or the note on OpenAI's if they are its own.
  /// One with another text is neither replaced nor removed.
  ///
  /// A new folder gets its name when all its files are in it.
  ///
  /// - Parameters:
  ///   - folder: created if missing
  ///   - layout: the target layout
  /// - Throws: if the weights lack a part that the layout needs, the folder holds others, or a file
  ///   cannot be written.
  package func write(to folder: String, as layout: WeightsLayout) throws {
    if layout == .flava, parameters(.encoder) == nil {
      throw DVAEError(.missing, file: files[0].path, "no encoder in there")
    }
    let written = layout.files(of: self)
    for name in written { try refuse(output: folder + "/" + name) }
    guard FileSystem.kind(folder) == .missing else {
      try refuseOthers(in: folder, besides: written)
      return try write(in: folder, as: layout)
    }
    let place = try OutputFolder(folder, of: .weights)
    try place.discard()
    try write(in: place.partial, as: layout)
    try place.finish(replacing: false)
  }

  private func write(in folder: String, as layout: WeightsLayout) throws {
    let notice = try Notice(in: folder, licence)
    try FileSystem.makeFolders(folder)
    switch layout {
    case .official:
      for half in ModelHalf.allCases {
        guard let parameters = parameters(half) else { continue }
        try writeTorchStateDict(
          "\(folder)/\(half.rawValue).pt",
          tensors: parameters.parameters.map { ($0.name(in: half), $0.shape, $0.values) },
          metadata: keptMetadata(of: half))
      }
    case .flava:
      let tensors = (parameters(.encoder)?.parameters ?? []).map {
        SafetensorsEntry($0.flavaName(in: .encoder), .float32, shape: $0.shape, .slice($0.values))
      }
      // Hugging Face's reader requires the framework in the metadata.
      try writeSafetensors(
        folder + "/model.safetensors", tensors: tensors,
        metadata: keptMetadata(of: .encoder).merging([WeightsMetadata.format: "pt"]) { $1 })
      try AtomicFile.write(
        jsonText(FlavaConfiguration(model.architecture), .pretty), to: folder + "/config.json")
    }
    try notice.write()
  }

  /// Refuses a folder with other weights, because readers of the folder might take those.
  private func refuseOthers(in folder: String, besides written: [String]) throws(DVAEError) {
    guard FileSystem.kind(folder) == .folder else { return }
    let other = try FileSystem.names(in: folder).first {
      Self.extensions.contains(Path($0).fileExtension) && !written.contains($0)
    }
    guard let other else { return }
    throw DVAEError(
      .cannotCreate, file: (Path(folder) / other).text,
      "holds other weights, which a reader of the folder could take",
      advice: "move them away, or choose another folder")
  }
}

extension OutputFolder.Kind {
  /// A folder of converted weights, which has no mark of its own: a finished one is not replaced as a whole.
  fileprivate static let weights = Self("weights") { _ in
    false
  } hasFile: { _, name in
    ["encoder.pt", "decoder.pt", "model.safetensors", "config.json", Notice.name]
      .contains(Path.finalName(of: name))
  }
}

/// The file with the licence of converted weights.
private struct Notice {
  static let name = "NOTICE.txt"

  private let path: String
  private let text: [UInt8]?
  // A notice that an earlier conversion of OpenAI's weights has left.
  private let isOutdated: Bool

  /// Looks at the file that is there.
  ///
  /// - Throws: `cannotCreate` if it would be replaced and has another text
  init(in folder: String, _ licence: String?) throws(DVAEError) {
    path = folder + "/" + Self.name
    text = licence.map(Self.bytes)
    let openAIs = Self.bytes(WeightsFiles.licenceNote)
    var found: [UInt8]?
    if let size = FileSystem.size(path) {
      let longest = max(text?.count ?? 0, openAIs.count) + 1
      found = try InputFile(path: path).read(at: 0, count: min(size, longest))
    }
    isOutdated = found == openAIs
    guard let text, let found, found != text, !isOutdated else { return }
    throw DVAEError(
      .cannotCreate, file: path, "holds another text than the licence of these weights",
      advice: "move it away, or choose another folder")
  }

  func write() throws(DVAEError) {
    if let text {
      try AtomicFile.write(text, to: path)
    } else if isOutdated {
      try FileSystem.remove(path)
    }
  }

  private static func bytes(_ licence: String) -> [UInt8] { Array((licence + "\n").utf8) }
}

/// The configuration that `transformers` needs for a codebook.
private struct FlavaConfiguration: Encodable {
  var architectures = ["FlavaImageCodebook"]
  var modelType = "flava_image_codebook"
  var numGroups = 4
  var freeze = true
  var inputChannels, numBlocksPerGroup, hiddenSize, vocabSize: Int

  init(_ architecture: Architecture) {
    inputChannels = architecture.inputChannels
    numBlocksPerGroup = architecture.blocksPerGroup
    hiddenSize = architecture.hidden
    vocabSize = architecture.vocabulary
  }

  private enum CodingKeys: String, CodingKey {
    case architectures, freeze
    case modelType = "model_type"
    case numGroups = "num_groups"
    case inputChannels = "input_channels"
    case numBlocksPerGroup = "num_blocks_per_group"
    case hiddenSize = "hidden_size"
    case vocabSize = "vocab_size"
  }
}
