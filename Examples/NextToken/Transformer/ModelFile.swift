import DVAEFiles
import DVAETensors
package import DVAETokens
import DVAEWeights

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A transformer and its complete training state in one safetensors file.
package struct ModelFile: Sendable {
  /// The metadata of the file.
  private struct Card: Codable {
    var shape: TransformerShape
    var settings: LearningSettings
    var update: Int
    var provenance: Provenance
  }

  /// The model.
  package let transformer: Transformer
  /// Its parameters and training state.
  package let state: LearningState
  /// The token of each code.
  package let tokens: [UInt16]
  /// The provenance of the tokens.
  package let provenance: Provenance

  private static let format = "swift-dvae next-token model 1"

  /// Collects the contents of the file.
  package init(
    _ transformer: Transformer, _ state: LearningState, tokens: [UInt16], provenance: Provenance
  ) {
    self.transformer = transformer
    self.state = state
    self.tokens = tokens
    self.provenance = provenance
  }

  /// Writes the file atomically.
  ///
  /// - Throws: if it cannot be written
  package func write(to path: String) throws {
    var entries = state.arenas.flatMap { name, arena in
      transformer.layout.entries.map {
        SafetensorsEntry("\(name).\($0.name)", .float32, shape: $0.shape, .slice(arena[$0.range]))
      }
    }
    entries.append(
      SafetensorsEntry(
        "codes", .uint16, shape: [tokens.count],
        .bytes(tokens.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] })))
    let card = Card(
      shape: transformer.shape, settings: state.settings, update: state.update,
      provenance: provenance)
    try writeSafetensors(
      path, tensors: entries,
      metadata: [
        "format": Self.format, "model": String(decoding: try jsonText(card), as: UTF8.self),
      ])
  }

  /// Reads the file.
  ///
  /// - Throws: if something in it is missing or wrong
  package init(contentsOf path: String) throws {
    func bad(_ expected: String, _ found: String) -> DVAEError {
      DVAEError(.badData, file: path, expected: expected, found: found)
    }
    let file = try WeightsFile.open(path)
    guard file.metadata["format"] == Self.format else {
      throw bad("'\(Self.format)'", "'\(file.metadata["format"] ?? "no format")'")
    }
    let text = file.metadata["model"] ?? ""
    guard let card = try? JSONDecoder().decode(Card.self, from: Data(text.utf8)) else {
      throw bad("a description of the model", "'\(text)'")
    }
    let transformer = try Transformer(card.shape)
    func stored(_ name: String, _ type: ElementType, _ shape: [Int]) throws -> StoredTensor {
      guard let tensor = file[name], tensor.shape == shape, tensor.elementType == type else {
        let found = file[name].map { "\($0.elementType.rawValue) \($0.shape)" } ?? "none"
        throw bad("\(type.rawValue) \(shape) as '\(name)'", found)
      }
      return tensor
    }
    let tokens = try stored("codes", .uint16, [card.shape.codes]).int64s().map {
      UInt16(truncatingIfNeeded: $0)
    }
    guard card.update >= 0, card.update <= card.settings.updates else {
      throw bad("0 to \(card.settings.updates) updates", "\(card.update)")
    }
    // Memory is allocated only after the file is known to hold all tensors.
    for name in LearningState.arenaNames {
      for entry in transformer.layout.entries {
        _ = try stored("\(name).\(entry.name)", .float32, entry.shape)
      }
    }
    let state = LearningState(card.settings, update: card.update, count: transformer.layout.count)
    for (name, arena) in state.arenas {
      for entry in transformer.layout.entries {
        let target = UnsafeMutableRawBufferPointer(arena[entry.range].elements)
        try stored("\(name).\(entry.name)", .float32, entry.shape)
          .withBytes { target.copyMemory(from: $0) }
      }
    }
    self.init(transformer, state, tokens: tokens, provenance: card.provenance)
  }
}
