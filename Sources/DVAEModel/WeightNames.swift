import DVAEFiles

/// The parameter names in files, mapped to the model's: `encoder.` or `decoder.` and the official
/// state-dict name, `encoder.blocks.group_1.block_1.res_path.conv_1.w`.
enum WeightNames {
  /// Hugging Face's port (FLAVA) to the official names, applied in order.
  private static let renamings: [(flava: String, official: String, atEnd: Bool)] = [
    (".group.block_", ".block_", false),
    (".res_path.path.", ".res_path.", false),
    (".weight", ".w", true),
    (".bias", ".b", true),
  ]

  private static func renamed(
    _ name: String, _ old: String, _ new: String, atEnd: Bool
  ) -> String {
    if atEnd { return name.hasSuffix(old) ? name.dropLast(old.count) + new : name }
    return name.replacing(old, with: new)
  }

  /// Returns the official name, with `encoder.` or `decoder.` in front if the file has it.
  static func official(_ name: String) -> String {
    renamings.reduce(name) { renamed($0, $1.flava, $1.official, atEnd: $1.atEnd) }
  }

  /// Returns the name in Hugging Face's port of an official name.
  static func flava(_ name: String) -> String {
    renamings.reversed().reduce(name) { renamed($0, $1.official, $1.flava, atEnd: $1.atEnd) }
  }

  private static let firstLayer = "blocks.input.w"
  private static let halves = [
    "encoder": ModelHalf.encoder, "enc": .encoder, "decoder": .decoder, "dec": .decoder,
  ]

  /// Returns the names with the half directly before the layers: `encoder.module.blocks…` of a half
  /// that was wrapped alone becomes `module.encoder.blocks…`, and `enc.blocks…` `encoder.blocks…`.
  static func ordered(_ names: [String]) -> [String] {
    var fronts: [String: String] = [:]
    for name in names where name.hasByteSuffix("." + firstLayer) {
      var words = name.dropLast(firstLayer.count + 1).split(
        separator: ".", omittingEmptySubsequences: false
      ).map(String.init)
      guard let index = words.lastIndex(where: { halves[$0] != nil }),
        let half = halves[words.remove(at: index)]
      else { continue }
      words.append(half.rawValue)
      fronts[String(name.dropLast(firstLayer.count))] = words.joined(separator: ".") + "."
    }
    return names.map { name in
      guard let layers = name.firstRange(of: "blocks."),
        let front = fronts[String(name[..<layers.lowerBound])]
      else { return name }
      return front + name[layers.lowerBound...]
    }
  }

  /// Returns the prefixes that trainers put before names, such as `module.` (data parallel) and
  /// `ema.`.
  ///
  /// Each prefix of the file once; empty if there is none.
  static func prefixes(of names: [String]) -> Set<Key> {
    var found: Set<Key> = []
    for name in names where name.hasByteSuffix(firstLayer) {
      var bytes = Array(name.utf8.dropLast(firstLayer.utf8.count))
      for half in ModelHalf.allCases {
        let word = Array("\(half.rawValue).".utf8)
        let isWhole =
          bytes.count == word.count || bytes.dropLast(word.count).last == UInt8(ascii: ".")
        if bytes.suffix(word.count).elementsEqual(word), isWhole {
          bytes.removeLast(word.count)
          break
        }
      }
      found.insert(Key(String(decoding: bytes, as: UTF8.self)))
    }
    return found
  }

  /// Returns the part of the model that a name states.
  static func half(of name: String) -> ModelHalf? {
    ModelHalf.allCases.first { name.hasPrefix($0.rawValue + ".") }
  }
}
