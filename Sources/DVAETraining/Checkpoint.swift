import DVAEModel
import DVAETensors
import DVAEWeights

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The complete state of a run in one safetensors file.
///
/// The tensors are called by role and parameter, `average.encoder.blocks.input.w`; the metadata hold
/// the configuration, the update, the place in the data, and a check sum over all of the tensors.
public enum Checkpoint {
  private static let format = "swift-dvae checkpoint 1"

  /// Writes a checkpoint; a kill at any moment leaves no half of it under this name.
  ///
  /// - Throws: `WeightsFileError` where the file cannot be written.
  public static func save(_ state: TrainingState, to path: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let entries = state.roles.flatMap { role in
      role.set.parameters.map { parameter in
        SafetensorsEntry(
          "\(role.name).\(parameter.name)", .float32, shape: parameter.shape,
          .slice(parameter.values))
      }
    }
    try writeSafetensors(
      path, tensors: entries,
      metadata: [
        "format": format,
        "update": "\(state.update)",
        "configuration": String(decoding: try encoder.encode(state.configuration), as: UTF8.self),
        "position": String(decoding: try encoder.encode(state.position), as: UTF8.self),
        "crc32c": "\(checkSum(state))",
      ])
  }

  /// Reads a checkpoint and checks every byte of it.
  ///
  /// - Throws: `WeightsFileError` or `TrainingError.checkpoint` saying what is wrong.
  public static func load(_ path: String) throws -> TrainingState {
    func bad(_ problem: String) -> TrainingError { .checkpoint(path: path, problem: problem) }
    let file = try WeightsFile.open(path)
    guard file.metadata["format"] == format else {
      throw bad("expected '\(format)', found '\(file.metadata["format"] ?? "no format")'")
    }
    guard let update = file.metadata["update"].flatMap(Int.init), update >= 0,
      let configurationText = file.metadata["configuration"],
      let positionText = file.metadata["position"],
      let position = try? JSONDecoder().decode(DataPosition.self, from: Data(positionText.utf8)),
      let checkSum = file.metadata["crc32c"].flatMap(UInt32.init)
    else { throw bad("the metadata are damaged; use an older checkpoint") }
    let configuration = try TrainingConfiguration(
      json: Data(configurationText.utf8), path: path)
    try configuration.validate()
    let plans = configuration.plans
    let state = TrainingState(
      configuration, update: update, position: position, parameters: ParameterSet(plans),
      firstMoment: ParameterSet(plans), secondMoment: ParameterSet(plans),
      average: ParameterSet(plans))
    for (role, set) in state.roles {
      for parameter in set.parameters {
        let name = "\(role).\(parameter.name)"
        guard let stored = file[name] else { throw bad("lacks the tensor '\(name)'") }
        guard stored.shape == parameter.shape, stored.elementType == .float32 else {
          throw bad(
            "the tensor '\(name)' is \(stored.elementType.rawValue) \(stored.shape), expected "
              + "float32 \(parameter.shape)")
        }
        let target = UnsafeMutableRawBufferPointer(parameter.values.elements)
        try stored.withBytes { target.copyMemory(from: $0) }
      }
    }
    guard Self.checkSum(state) == checkSum else {
      throw bad("its check sum does not fit: bytes have changed since it was written")
    }
    return state
  }

  private static func checkSum(_ state: TrainingState) -> UInt32 {
    var crc = CRC32C()
    for (_, set) in state.roles {
      for parameter in set.parameters {
        crc.update(UnsafeRawBufferPointer(parameter.values.elements))
      }
    }
    return crc.value
  }
}
