import DVAEFiles
import DVAEModel
import DVAETensors
import DVAETraining
import DVAETransformer
import DVAEWeights
import Foundation

extension Target {
  /// Models, checkpoints and their settings.
  static let models = [
    Target("model", [try modelHeader.get()]) { bytes in
      try model(withHeader(String(decoding: bytes, as: UTF8.self), modelSize.get()))
    },
    Target("checkpoint", [try checkpointSeed()], read: checkpoint),
    Target(
      "configuration",
      [try TrainingConfiguration.tiny.json().map { $0 }] + texts(#"{"preset":"paper","updates":9}"#)
    ) {
      bytes in
      let data = Data(bytes)
      _ = try? TrainingConfiguration(json: data, path: "fuzz").validate()
      try TrainingConfiguration.newRun(preset: nil, updates: nil, json: bytes, path: "fuzz")
        .validate()
    },
    Target("transformer", [try transformerSeed()]) { bytes in
      let card = String(decoding: bytes, as: UTF8.self)
      let file = try WeightsFile.open(transformerFile.get())
      var metadata = file.metadata.byText
      metadata["model"] = card
      let path = folder + "/fuzz.safetensors"
      try writeSafetensors(
        path, tensors: entries(of: file), metadata: metadata)
      _ = try ModelFile(contentsOf: path)
    },
  ]

  /// Returns the tensors of a file, to be written into another one.
  private static func entries(of file: WeightsFile) throws -> [SafetensorsEntry] {
    try file.tensors.map {
      SafetensorsEntry(
        $0.name, $0.elementType, shape: $0.shape, .bytes(try $0.withBytes(Array.init)))
    }
  }

  // MARK: Weights

  /// A state of the smallest possible model.
  private static let state = Result {
    var configuration = TrainingConfiguration.tiny.scaled(toUpdates: 2)
    configuration.architecture = try Architecture(
      hidden: 4, blocksPerGroup: 1, vocabulary: 2, initial: 1)
    return try TrainingState(configuration)
  }

  private static let modelFile = Result {
    let path = folder + "/model.safetensors"
    try state.get().writeWeights(to: path)
    return try contents(path)
  }

  private static let modelHeader = Result {
    let bytes = try modelFile.get()
    return Array(bytes[8..<8 + headerCount(bytes)])
  }

  /// The number of bytes behind the header.
  private static let modelSize = Result {
    let bytes = try modelFile.get()
    return bytes.count - 8 - headerCount(bytes)
  }

  private static func headerCount(_ bytes: [UInt8]) -> Int {
    bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
  }

  private static func model(_ bytes: [UInt8]) throws {
    let files = try WeightsFiles(files: [file(bytes, "fuzz.safetensors")])
    _ = try files.calibration()
    _ = files.licence
    for half in ModelHalf.allCases { _ = try? files.provenance(of: half) }
  }

  // MARK: Checkpoints

  private static let checkpointFile = Result {
    let path = folder + "/checkpoint.safetensors"
    try Checkpoint.save(state.get(), to: path)
    return path
  }

  private static let checkpointKeys = ["update", "configuration", "position", "loss_scale"]

  private static func checkpointSeed() throws -> [UInt8] {
    let metadata = try WeightsFile.open(checkpointFile.get()).metadata
    let scale = #"{"factor":1024,"steps":1,"skipped":0}"#
    return joined(checkpointKeys.map { Array((metadata[$0] ?? scale).utf8) })
  }

  /// Reads a checkpoint with other metadata and the right checksum.
  @Sendable private static func checkpoint(_ bytes: [UInt8]) throws {
    let file = try WeightsFile.open(checkpointFile.get())
    var metadata = file.metadata.byText
    for (key, text) in zip(checkpointKeys, parts(bytes)) where !text.isEmpty {
      metadata[key] = String(decoding: text, as: UTF8.self)
    }
    metadata["metadata_crc32c"] = nil
    let pairs = metadata.sorted { $0.key < $1.key }
    metadata["metadata_crc32c"] =
      "\(CRC32C.of(pairs.flatMap { Array($0.key.utf8) + [0] + Array($0.value.utf8) + [0] }))"
    let path = folder + "/fuzz.safetensors"
    try writeSafetensors(
      path, tensors: entries(of: file), metadata: metadata)
    _ = try Checkpoint.load(path)
  }

  // MARK: The second stage

  private static let transformerFile = Result {
    let shape = TransformerShape(codes: 2, rows: 1, columns: 2, width: 8, heads: 1, layers: 1)
    let transformer = try Transformer(shape)
    let settings = LearningSettings(
      updates: 2, batchSize: 1, learningRate: 0.1, weightDecay: 0, hidden: 0.1, seed: 1)
    let state = LearningState(
      settings, parameters: transformer.initialParameters(frequencies: [1, 1], seed: 1))
    let path = folder + "/transformer.safetensors"
    try ModelFile(transformer, state, tokens: [1, 2], provenance: tokenProvenance).write(to: path)
    return path
  }

  private static func transformerSeed() throws -> [UInt8] {
    Array((try WeightsFile.open(transformerFile.get()).metadata["model"] ?? "").utf8)
  }
}
