/// JSON as it is, but in one line; nil for what is no JSON (RFC 8259).
///
/// Nothing is decoded, so that numbers and escapes stay what they were. A line break can only stand
/// between the parts of JSON, never within a string.
func validJSON(_ bytes: [UInt8]) -> String? {
  var checker = JSONChecker(rest: bytes[...])
  guard checker.value(depth: 0), checker.isAtEnd() else { return nil }
  let line = bytes.map { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") ? 0x20 : $0 }
  return String(validating: line, as: UTF8.self)
}

/// Passes over JSON; Foundation's decoder would let through what others refuse, as `01` and raw
/// control characters.
private struct JSONChecker {
  var rest: ArraySlice<UInt8>

  private static let deepest = 200

  mutating func value(depth: Int) -> Bool {
    guard depth < Self.deepest else { return false }
    skipSpace()
    switch rest.first {
    case UInt8(ascii: "{"):
      return list("}") { $0.string() && $0.take(":") && $0.value(depth: depth + 1) }
    case UInt8(ascii: "["): return list("]") { $0.value(depth: depth + 1) }
    case UInt8(ascii: "\""): return string()
    default: return word("true") || word("false") || word("null") || number()
    }
  }

  mutating func isAtEnd() -> Bool {
    skipSpace()
    return rest.isEmpty
  }

  private mutating func list(_ end: Unicode.Scalar, _ member: (inout Self) -> Bool) -> Bool {
    rest.removeFirst()
    if take(end) { return true }
    repeat {
      skipSpace()
      guard member(&self) else { return false }
    } while take(",")
    return take(end)
  }

  private mutating func string() -> Bool {
    guard take("\"") else { return false }
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "\""): return true
      case UInt8(ascii: "\\"):
        guard let escape = rest.popFirst() else { return false }
        if escape == UInt8(ascii: "u") {
          guard rest.count >= 4, rest.prefix(4).allSatisfy(Self.isHexadecimal) else { return false }
        } else if !"\"\\/bfnrt".utf8.contains(escape) {
          return false
        }
      case 0..<0x20: return false
      default: break
      }
    }
    return false
  }

  private mutating func number() -> Bool {
    _ = word("-")
    if !word("0"), !digits() { return false }
    if word("."), !digits() { return false }
    guard word("e") || word("E") else { return true }
    if !word("+") { _ = word("-") }
    return digits()
  }

  private mutating func digits() -> Bool {
    let count = rest.prefix { (0x30...0x39).contains($0) }.count
    rest = rest.dropFirst(count)
    return count > 0
  }

  private mutating func word(_ text: String) -> Bool {
    guard rest.starts(with: text.utf8) else { return false }
    rest = rest.dropFirst(text.utf8.count)
    return true
  }

  private mutating func take(_ token: Unicode.Scalar) -> Bool {
    skipSpace()
    guard rest.first == UInt8(ascii: token) else { return false }
    rest.removeFirst()
    return true
  }

  private mutating func skipSpace() {
    rest = rest.drop { [0x20, 0x09, 0x0A, 0x0D].contains($0) }
  }

  private static func isHexadecimal(_ byte: UInt8) -> Bool {
    Character(Unicode.Scalar(byte)).isHexDigit
  }
}
