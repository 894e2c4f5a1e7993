/// Any JSON value.
package enum JSONValue: Hashable, Codable, Sendable {
  /// Nothing.
  case null
  /// True or false.
  case bool(Bool)
  /// A whole number.
  case integer(Int)
  /// A whole number that no `Int` holds.
  case unsigned(UInt64)
  /// Any other number.
  case number(Double)
  /// Text.
  case string(String)
  /// A list.
  case array([JSONValue])
  /// Members by name.
  case object([String: JSONValue])

  /// Reads whatever stands there.
  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    // Every wrong guess costs an error with its text: the common kinds come first.
    if let value = try? container.decode(String.self) {
      self = .string(value)
    } else if container.decodeNil() {
      self = .null
    } else if let value = try? container.decode([String: JSONValue].self) {
      self = .object(value)
    } else if let value = try? container.decode(Int.self) {
      self = .integer(value)
    } else if let value = try? container.decode(UInt64.self) {
      self = .unsigned(value)
    } else if let value = try? container.decode(Double.self) {
      self = .number(value)
    } else if let value = try? container.decode(Bool.self) {
      self = .bool(value)
    } else {
      self = .array(try container.decode([JSONValue].self))
    }
  }

  /// Writes the value as it is.
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .null: try container.encodeNil()
    case .bool(let value): try container.encode(value)
    case .integer(let value): try container.encode(value)
    case .unsigned(let value): try container.encode(value)
    case .number(let value): try container.encode(value)
    case .string(let value): try container.encode(value)
    case .array(let value): try container.encode(value)
    case .object(let value): try container.encode(value)
    }
  }

  /// Objects are merged key by key, everything else is replaced; `unknown` makes the error for a
  /// key that is not here.
  package func overlaid(
    by other: JSONValue, at path: String = "", unknown: (String) -> any Error
  ) throws -> JSONValue {
    guard case .object(var members) = self, case .object(let others) = other else { return other }
    for (key, value) in others {
      guard let member = members[key] else { throw unknown(path + key) }
      members[key] = try member.overlaid(by: value, at: path + key + ".", unknown: unknown)
    }
    return .object(members)
  }

  /// The text of every value below, by its path; a list is one value.
  package func leaves(at path: String = "") -> [String: String] {
    guard case .object(let members) = self else { return [path: text] }
    return members.reduce(into: [:]) { leaves, member in
      let name = path.isEmpty ? member.key : path + "." + member.key
      leaves.merge(member.value.leaves(at: name)) { first, _ in first }
    }
  }

  /// The value for people; an object is only named.
  package var text: String {
    switch self {
    case .null: "null"
    case .bool(let value): "\(value)"
    case .integer(let value): "\(value)"
    case .unsigned(let value): "\(value)"
    case .number(let value): "\(value)"
    case .string(let value): "'\(value)'"
    case .array(let values): "[" + values.map(\.text).joined(separator: ", ") + "]"
    case .object: "an object"
    }
  }
}
