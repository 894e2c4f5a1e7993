import DVAEFiles
import DVAEModel
import DVAETensors
import DVAEWeights

/// The complete state of a run in one safetensors file.
///
/// The tensors are named by role and parameter, `average.encoder.blocks.input.w`. The metadata hold
/// the configuration, the update, the position in the data and two checksums: one over the tensors,
/// one over the metadata.
package enum Checkpoint {
  private static let format = WeightsMetadata.checkpointFormat + " 2"

  /// Keys of the metadata.
  private enum Key {
    static let format = "format"
    static let update = "update"
    static let configuration = "configuration"
    static let position = "position"
    static let lossScale = "loss_scale"
    static let parts = "computed_by"
    static let tensorChecksum = "crc32c"
    static let metadataChecksum = "metadata_crc32c"
  }

  /// Writes a checkpoint atomically: a kill never leaves a partial file under this name.
  ///
  /// - Throws: `DVAEError` if the file cannot be written.
  package static func save(_ state: TrainingState, to path: String) throws {
    let entries = state.roles.flatMap { role in
      role.set.parameters.map { parameter in
        SafetensorsEntry(
          "\(role.name).\(parameter.name)", .float32, shape: parameter.shape,
          .slice(parameter.values))
      }
    }
    var metadata = [
      Key.format: format,
      Key.update: "\(state.update)",
      Key.configuration: String(decoding: try jsonText(state.configuration), as: UTF8.self),
      Key.position: String(decoding: try jsonText(state.position), as: UTF8.self),
      Key.tensorChecksum: "\(checksum(state))",
    ]
    if let scale = state.lossScale {
      metadata[Key.lossScale] = String(decoding: try jsonText(scale), as: UTF8.self)
    }
    if !state.hasUsualParts {
      metadata[Key.parts] = String(decoding: try jsonText(state.parts), as: UTF8.self)
    }
    metadata[Key.metadataChecksum] = "\(checksum(metadata.map { ($0.key, $0.value) }))"
    try writeSafetensors(path, tensors: entries, metadata: metadata)
  }

  /// Reads a checkpoint and verifies every byte.
  ///
  /// Memory for the state is allocated only after the file is known to hold all tensors.
  ///
  /// - Throws: `badData`, which names the damage; `DVAEError.checkpointVersion` for a file of another
  ///   version; `DVAEError` if it cannot be read.
  package static func load(_ path: String) throws -> TrainingState {
    func bad(_ problem: String) -> DVAEError { DVAEError(.badData, file: path, problem) }
    let file = try WeightsFile.open(path)
    let isWhole =
      file.metadata[Key.metadataChecksum]
      == "\(checksum(file.metadata.map { ($0.key.text, $0.value) }))"
    let found = file.metadata[Key.format]
    guard found == format else {
      let problem = "expected '\(format)', found '\(found ?? "no format")'"
      throw isWhole ? .checkpointVersion(path: path, problem: problem) : bad(problem)
    }
    guard isWhole else {
      throw bad("the checksum of its metadata does not fit: they have changed since")
    }
    guard let update = file.metadata[Key.update].flatMap(Int.init),
      let configurationText = file.metadata[Key.configuration],
      let positionText = file.metadata[Key.position],
      let position = try? decodedJSON(DataPosition.self, positionText.utf8),
      let tensorChecksum = file.metadata[Key.tensorChecksum].flatMap(UInt32.init)
    else { throw bad("the metadata are damaged; use an older checkpoint") }
    let configuration: TrainingConfiguration
    do {
      configuration = try TrainingConfiguration(reading: configurationText.utf8, path: path)
      try configuration.validate()
    } catch {
      throw DVAEError.checkpointVersion(
        path: path, problem: "its configuration cannot be used: \(error)")
    }
    guard (0...TrainingConfiguration.mostUpdates).contains(update) else {
      throw bad("update is \(update), expected 0 to \(TrainingConfiguration.mostUpdates)")
    }
    guard position.isPlausible else {
      throw bad("no run can have come to this place in its data: \(positionText)")
    }
    for role in TrainingState.roleNames {
      for (name, shape) in configuration.plans.flatMap(\.parameterShapes) {
        let name = "\(role).\(name)"
        guard let stored = file[name] else { throw bad("lacks the tensor '\(name)'") }
        guard stored.shape == shape, stored.elementType == .float32 else {
          throw bad(
            "the tensor '\(name)' is \(stored.elementType.rawValue) \(stored.shape), expected "
              + "float32 \(shape)")
        }
      }
    }
    var state = TrainingState(zerosFor: configuration, update: update, position: position)
    if let text = file.metadata[Key.lossScale] {
      guard let scale = try? decodedJSON(LossScale.self, text.utf8),
        scale.isPlausible, scale.skipped <= update
      else { throw bad("no run can have come to this loss scale: \(text)") }
      state.lossScale = scale
    }
    if let text = file.metadata[Key.parts] {
      guard let parts = try? decodedJSON([ComputedPart].self, text.utf8),
        TrainingState.arePlausible(parts, before: update)
      else { throw bad("no run can have been computed so: \(text)") }
      state.parts = parts
    }
    for (role, set) in state.roles {
      for parameter in set.parameters {
        let target = UnsafeMutableRawBufferPointer(parameter.values.elements)
        try file["\(role).\(parameter.name)"]?.withBytes { target.copyMemory(from: $0) }
      }
    }
    guard checksum(state) == tensorChecksum else {
      throw bad("the checksum of its tensors does not fit: they have changed since")
    }
    // Later updates only add to the average, so a NaN in it would stay without a word.
    for set in [state.parameters, state.average] { try set.checkFinite(in: path) }
    return state
  }

  private static func checksum(_ state: TrainingState) -> UInt32 {
    var crc = CRC32C()
    for (_, set) in state.roles {
      for parameter in set.parameters {
        crc.update(UnsafeRawBufferPointer(parameter.values.elements))
      }
    }
    return crc.value
  }

  /// Returns the checksum of all other metadata: keys and values in the order of the keys, with a
  /// zero byte after each.
  private static func checksum(_ metadata: [(key: String, value: String)]) -> UInt32 {
    let pairs = metadata.filter { $0.key != Key.metadataChecksum }.sorted { $0.key < $1.key }
    // One expression that joins four arrays takes the type checker seconds.
    var bytes: [UInt8] = []
    for (key, value) in pairs {
      bytes += key.utf8
      bytes.append(0)
      bytes += value.utf8
      bytes.append(0)
    }
    return CRC32C.of(bytes)
  }
}

extension DataPosition {
  /// Whether a run can reach this position; larger numbers would overflow sums.
  fileprivate var isPlausible: Bool {
    [epoch, index, skipped].allSatisfy { (0...1 << 53).contains($0) }
  }
}
