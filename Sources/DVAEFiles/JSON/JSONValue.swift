/// Any JSON value.
package enum JSONValue: Hashable, Sendable {
  /// Nothing.
  case null
  /// True or false.
  case bool(Bool)
  /// An integer.
  case integer(Int)
  /// An integer that only fits into `UInt64`.
  case unsigned(UInt64)
  /// The digits of an integer beyond 64 bits.
  case digits(String)
  /// Any other number.
  case number(Double)
  /// Text.
  case string(String)
  /// A list.
  case array([JSONValue])
  /// Members by name.
  case object([Key: JSONValue])

  /// Parses JSON as Python's `json` does; a leading byte order mark is skipped.
  ///
  /// - Throws: `malformed` with the place of the first error, and `limitExceeded` for deep nesting
  package init(parsing bytes: [UInt8], path: String) throws(DVAEError) {
    do throws(JSONReader.Problem) {
      self = try bytes.withRawBytes { (text) throws(JSONReader.Problem) in
        var reader = JSONReader(
          UnsafeRawBufferPointer(rebasing: text.withoutByteOrderMark), lenient: true)
        let value = try reader.value()
        try reader.end()
        return value
      }
    } catch {
      if error.isLimit {
        throw .limitExceeded(
          path: path, what: "lists and objects nested more deeply at byte \(error.offset)",
          limit: JSONReader.deepest)
      }
      throw DVAEError(
        .badData, code: .malformed, file: path,
        "is not JSON: \(error.description(in: bytes))")
    }
  }

  /// Merges objects key by key and replaces everything else; `unknown` makes the error for an
  /// unknown key.
  package func overlaid(
    by other: JSONValue, at path: String = "", unknown: (String) -> DVAEError
  ) throws(DVAEError) -> JSONValue {
    guard case .object(var members) = self, case .object(let others) = other else { return other }
    for (key, value) in others {
      let name = path + key.text
      guard let member = members[key] else { throw unknown(name) }
      members[key] = try member.overlaid(by: value, at: name + ".", unknown: unknown)
    }
    return .object(members)
  }

  /// Returns the first member that is an object with a key; nil if there is none.
  package func object(with key: String) -> Key? {
    guard case .object(let members) = self else { return nil }
    return members.filter {
      if case .object(let inner) = $0.value { inner[Key(key)] != nil } else { false }
    }.keys.min()
  }

  /// Returns the values below that differ from another's, in order of their paths; a list is one
  /// value.
  package func differences(
    from other: JSONValue
  ) -> [(name: String, value: JSONValue?, other: JSONValue?)] {
    let (own, others) = (leaves(), other.leaves())
    return Set(own.keys).union(others.keys).sorted().compactMap { name in
      let (value, other) = (own[name], others[name])
      return value.map(jsonText) == other.map(jsonText) ? nil : (name.text, value, other)
    }
  }

  private func leaves(at path: String = "") -> [Key: JSONValue] {
    guard case .object(let members) = self else { return [Key(path): self] }
    return members.reduce(into: [:]) { leaves, member in
      let name = path.isEmpty ? member.key.text : path + "." + member.key.text
      leaves.merge(member.value.leaves(at: name)) { first, _ in first }
    }
  }

  /// The value for display; objects only by name.
  package var text: String {
    switch self {
    case .null: "null"
    case .bool(let value): "\(value)"
    case .integer(let value): "\(value)"
    case .unsigned(let value): "\(value)"
    case .digits(let value): value
    case .number(let value): "\(value)"
    case .string(let value): "'\(value)'"
    case .array(let values): "[" + values.map(\.text).joined(separator: ", ") + "]"
    case .object: "an object"
    }
  }
}

extension Collection<UInt8> {
  /// The bytes without the byte order mark with which some programs begin UTF-8.
  package var withoutByteOrderMark: SubSequence {
    dropFirst(starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0)
  }
}
