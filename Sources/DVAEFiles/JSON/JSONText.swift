#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The formatting of JSON.
///
/// Keys are always sorted, so that equal values give equal bytes.
package enum JSONStyle: Sendable {
  /// No blanks and no line breaks.
  case compact
  /// Indented, for people.
  case pretty
  /// No blanks and no line breaks; keys in snake case, for programs.
  case snakeCase
}

/// Returns a value as JSON.
package func jsonText(
  _ value: some Encodable, _ style: JSONStyle = .compact
) throws(DVAEError) -> [UInt8] {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  switch style {
  case .compact: break
  case .pretty: encoder.outputFormatting.insert(.prettyPrinted)
  case .snakeCase: encoder.keyEncodingStrategy = .convertToSnakeCase
  }
  do {
    return try Array(encoder.encode(value))
  } catch {
    throw DVAEError(.internal, "cannot write \(type(of: value)) as JSON: \(error)")
  }
}

/// Returns a value as JSON without blanks; numbers that JSON cannot express become null.
///
/// `JSONEncoder` would merge keys that `String` takes for equal, and round long integers.
package func jsonText(_ value: JSONValue) -> [UInt8] {
  var text: [UInt8] = []
  func add(_ value: JSONValue) {
    switch value {
    case .null: text += "null".utf8
    case .bool(let value): text += "\(value)".utf8
    case .integer(let value): text += "\(value)".utf8
    case .unsigned(let value): text += "\(value)".utf8
    case .digits(let value): text += value.utf8
    case .number(let value) where !value.isFinite: text += "null".utf8
    // Without the decimal point, readers take it for the integer 0.
    case .number(let value) where value == 0 && value.sign == .minus: text += "-0.0".utf8
    case .number(let value):
      text += "\(value)".utf8
      if text.suffix(2).elementsEqual(".0".utf8) { text.removeLast(2) }
    case .string(let value): text += jsonString(value)
    case .array(let values): list(values, "[", "]", add)
    case .object(let members):
      list(members.sorted { $0.key < $1.key }, "{", "}") { member in
        text += jsonString(member.key.text) + [UInt8(ascii: ":")]
        add(member.value)
      }
    }
  }
  func list<Element>(
    _ elements: [Element], _ start: Unicode.Scalar, _ end: Unicode.Scalar, _ body: (Element) -> Void
  ) {
    text.append(UInt8(ascii: start))
    for (index, element) in elements.enumerated() {
      if index > 0 { text.append(UInt8(ascii: ",")) }
      body(element)
    }
    text.append(UInt8(ascii: end))
  }
  add(value)
  return text
}

/// Returns the value that a JSON text holds.
package func decodedJSON<Value: Decodable>(
  _ type: Value.Type, _ text: some Sequence<UInt8>
) throws(JSONMismatch) -> Value {
  do {
    return try JSONDecoder().decode(type, from: Data(text))
  } catch {
    throw JSONMismatch(error)
  }
}

/// Returns a value as one line of JSON with its newline.
package func jsonLine(_ value: some Encodable) throws(DVAEError) -> [UInt8] {
  try jsonText(value) + [UInt8(ascii: "\n")]
}

/// Returns a text as JSON.
package func jsonString(_ text: String) -> [UInt8] {
  var bytes: [UInt8] = [UInt8(ascii: "\"")]
  for byte in text.utf8 {
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
    case 0x08: bytes += "\\b".utf8
    case 0x09: bytes += "\\t".utf8
    case 0x0A: bytes += "\\n".utf8
    case 0x0C: bytes += "\\f".utf8
    case 0x0D: bytes += "\\r".utf8
    case 0..<0x20: bytes += "\\u00\(hexadecimal([byte]))".utf8
    default: bytes.append(byte)
    }
  }
  bytes.append(UInt8(ascii: "\""))
  return bytes
}
