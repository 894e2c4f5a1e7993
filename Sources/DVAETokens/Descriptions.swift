import DVAEFiles

/// Returns the bytes of a description that was stored as JSON.
///
/// Python also writes `NaN`, which other readers of JSON refuse. Such an object is stored as a string, and
/// comes back as what it was.
func descriptionBytes(_ stored: [UInt8]) -> [UInt8] {
  guard stored.first == UInt8(ascii: "\""),
    let text = try? decodedJSON(String.self, stored), validJSON(Array(text.utf8)) == nil,
    let value = try? JSONValue(parsing: Array(text.utf8), path: "")
  else { return stored }
  switch value {
  case .object, .array: return Array(text.utf8)
  default: return stored
  }
}

/// Returns JSON unchanged but on one line; nil if it is not JSON (RFC 8259).
///
/// Nothing is decoded, so numbers and escapes keep their form. Line breaks can occur only between
/// the tokens of JSON, never within a string.
func validJSON(_ bytes: [UInt8]) -> String? {
  let isValid: Void? = bytes.withUnsafeBytes { text in
    var reader = JSONReader(text)
    return try? (reader.skipValue(), reader.end()).1
  }
  guard isValid != nil else { return nil }
  let line = bytes.map { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") ? 0x20 : $0 }
  return String(validating: line, as: UTF8.self)
}
