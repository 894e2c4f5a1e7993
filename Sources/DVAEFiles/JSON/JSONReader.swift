/// Reads JSON (RFC 8259) from front to back in time linear in its length.
///
/// Nesting is bounded, numbers are exact, and only strings are copied. The lenient form also
/// accepts the extensions of Python's `json`: `NaN`, `Infinity` and `-Infinity`, numbers beyond the
/// range of a Double, and unpaired surrogates, which become U+FFFD.
package struct JSONReader {
  /// A syntax error and its place.
  package struct Problem: Error {
    /// The unexpected text.
    package let found: String
    /// The byte offset of the text.
    package let offset: Int
    /// Whether a limit was exceeded; the text may be correct.
    package var isLimit = false

    /// Describes the problem and its place in the text.
    package func description(in text: some Sequence<UInt8>) -> String {
      let line = 1 + text.prefix(offset).count { $0 == UInt8(ascii: "\n") }
      return "\(found) at byte \(offset)" + (line > 1 ? ", in line \(line)" : "")
    }
  }

  /// The deepest nesting of lists and objects.
  package static let deepest = 200

  private let text: UnsafeRawBufferPointer
  private let isLenient: Bool
  private var position = 0
  private var depth = 0

  /// Reads text that must outlive the reader.
  ///
  /// - Parameters:
  ///   - text: the text
  ///   - lenient: whether the extensions of Python's `json` are accepted
  package init(_ text: UnsafeRawBufferPointer, lenient: Bool = false) {
    self.text = text
    isLenient = lenient
  }

  // MARK: Values

  /// Reads any value.
  package mutating func value() throws(Problem) -> JSONValue {
    skipSpace()
    guard position < text.count else { throw problem("an end in place of a value") }
    switch text[position] {
    case UInt8(ascii: "{"):
      var members: [Key: JSONValue] = [:]
      try object { (reader, name) throws(Problem) in members[name] = try reader.value() }
      return .object(members)
    case UInt8(ascii: "["):
      var values: [JSONValue] = []
      try array { (reader) throws(Problem) in values.append(try reader.value()) }
      return .array(values)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t") where take("true"): return .bool(true)
    case UInt8(ascii: "f") where take("false"): return .bool(false)
    case UInt8(ascii: "n") where take("null"): return .null
    default: return try number()
    }
  }

  /// Skips any value.
  package mutating func skipValue() throws(Problem) {
    skipSpace()
    guard position < text.count else { throw problem("an end in place of a value") }
    switch text[position] {
    case UInt8(ascii: "{"):
      try expect("{")
      try list("}") { (reader) throws(Problem) in
        try reader.skipString()
        try reader.expect(":")
        try reader.skipValue()
      }
    case UInt8(ascii: "["): try array { (reader) throws(Problem) in try reader.skipValue() }
    case UInt8(ascii: "\""): try skipString()
    case UInt8(ascii: "t") where take("true"): break
    case UInt8(ascii: "f") where take("false"): break
    case UInt8(ascii: "n") where take("null"): break
    default: if takeSpecialNumber() == nil { _ = try numeral() }
    }
  }

  /// Skips any value and returns its bytes unchanged.
  package mutating func rawValue() throws(Problem) -> [UInt8] {
    skipSpace()
    let start = position
    try skipValue()
    return Array(text[start..<position])
  }

  /// Calls `member` at the value of each key of an object.
  package mutating func object(
    _ member: (inout JSONReader, String) throws(Problem) -> Void
  ) throws(Problem) {
    try expect("{")
    try list("}") { (reader) throws(Problem) in
      let name = try reader.string()
      try reader.expect(":")
      try member(&reader, name)
    }
  }

  /// Calls `element` at each value of a list.
  package mutating func array(
    _ element: (inout JSONReader) throws(Problem) -> Void
  ) throws(Problem) {
    try expect("[")
    try list("]", element)
  }

  /// Advances to the next element of a list that is read in pieces; false at its end.
  package mutating func nextElement(isFirst: Bool) throws(Problem) -> Bool {
    if isFirst {
      try expect("[")
      return !skip("]")
    }
    if try skipComma(before: "]") { return true }
    try expect("]")
    return false
  }

  /// Checks that only blanks follow.
  package mutating func end() throws(Problem) {
    skipSpace()
    guard position == text.count else { throw problem("more behind the value") }
  }

  /// Reads a string.
  package mutating func string() throws(Problem) -> String {
    try expect("\"")
    let start = position
    while position < text.count, text[position] >= 0x20, text[position] != UInt8(ascii: "\\"),
      text[position] != UInt8(ascii: "\"")
    {
      position += 1
    }
    var bytes = Array(text[start..<position])
    while position < text.count {
      let byte = text[position]
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let string = String(validating: bytes, as: UTF8.self) else {
          throw problem("a string that is not UTF-8")
        }
        return string
      case UInt8(ascii: "\\"): bytes.append(contentsOf: try escape())
      case 0..<0x20: throw problem("a control character in a string")
      default: bytes.append(byte)
      }
    }
    throw problem("a string without an end")
  }

  /// Reads a non-negative integer.
  package mutating func size() throws(Problem) -> Int {
    guard case .integer(let size) = try number(), size >= 0 else {
      throw problem("no non-negative integer of 64 bits")
    }
    return size
  }

  // MARK: Parts

  private mutating func list(
    _ end: Unicode.Scalar, _ element: (inout JSONReader) throws(Problem) -> Void
  ) throws(Problem) {
    guard depth < Self.deepest else {
      var problem = problem("nesting deeper than \(Self.deepest)")
      problem.isLimit = true
      throw problem
    }
    depth += 1
    if !skip(end) {
      repeat { try element(&self) } while try skipComma(before: end)
      try expect(end)
    }
    depth -= 1
  }

  private mutating func skipString() throws(Problem) {
    try expect("\"")
    while position < text.count {
      let byte = text[position]
      position += 1
      switch byte {
      case UInt8(ascii: "\""): return
      case UInt8(ascii: "\\"):
        guard position < text.count else { break }
        if text[position] == UInt8(ascii: "u") {
          position += 1
          _ = try codeUnit()
        } else if "\"\\/bfnrt".utf8.contains(text[position]) {
          position += 1
        } else {
          throw problem("an unknown escape in a string")
        }
      case 0..<0x20: throw problem("a control character in a string")
      default: break
      }
    }
    throw problem("a string without an end")
  }

  /// Reads the escape sequence after a backslash; returns UTF-8.
  private mutating func escape() throws(Problem) -> [UInt8] {
    guard position < text.count else { throw problem("a string without an end") }
    let byte = text[position]
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
    case UInt8(ascii: "b"): return [0x08]
    case UInt8(ascii: "f"): return [0x0C]
    case UInt8(ascii: "n"): return [0x0A]
    case UInt8(ascii: "r"): return [0x0D]
    case UInt8(ascii: "t"): return [0x09]
    case UInt8(ascii: "u"):
      var code = try codeUnit()
      if (0xD800..<0xDC00).contains(code), position + 1 < text.count,
        text[position] == UInt8(ascii: "\\"), text[position + 1] == UInt8(ascii: "u")
      {
        let start = position
        position += 2
        let low = try codeUnit()
        if (0xDC00..<0xE000).contains(low) {
          code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
        } else {
          position = start
        }
      }
      guard let scalar = Unicode.Scalar(code) else {
        guard isLenient else { throw problem("half a surrogate pair") }
        return [0xEF, 0xBF, 0xBD]
      }
      return Array(String(Character(scalar)).utf8)
    default: throw problem("an unknown escape in a string")
    }
  }

  private mutating func codeUnit() throws(Problem) -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard position < text.count, let digit = text[position].hexadecimalValue else {
        throw problem("an unknown escape in a string")
      }
      code = code << 4 | UInt32(digit)
      position += 1
    }
    return code
  }

  // MARK: Numbers

  /// Reads a number exactly: an integer if possible, else the nearest Double.
  private mutating func number() throws(Problem) -> JSONValue {
    skipSpace()
    if let special = takeSpecialNumber() { return .number(special) }
    let (range, isInteger) = try numeral()
    let digits = String(decoding: text[range], as: UTF8.self)
    if isInteger {
      if let integer = Int(digits) { return .integer(integer) }
      if let unsigned = UInt64(digits) { return .unsigned(unsigned) }
      return .digits(digits)
    }
    guard let number = Double(digits), number.isFinite || isLenient else {
      throw problem("a number that is too large")
    }
    return .number(number)
  }

  /// Takes a number that only the lenient form knows; nil if there is none.
  private mutating func takeSpecialNumber() -> Double? {
    guard isLenient else { return nil }
    if take("NaN") { return .nan }
    if take("Infinity") { return .infinity }
    return take("-Infinity") ? -.infinity : nil
  }

  /// Returns the range of a number, and whether it is an integer without an exponent.
  private mutating func numeral() throws(Problem) -> (range: Range<Int>, isInteger: Bool) {
    let start = position
    _ = take("-")
    if !take("0"), !skipDigits() {
      position = start
      throw problem("no value")
    }
    var isInteger = true
    if take(".") {
      isInteger = false
      guard skipDigits() else { throw problem("a point without digits behind it") }
    }
    if take("e") || take("E") {
      isInteger = false
      if !take("+") { _ = take("-") }
      guard skipDigits() else { throw problem("an exponent without digits") }
    }
    return (start..<position, isInteger)
  }

  private mutating func skipDigits() -> Bool {
    let start = position
    while position < text.count, text[position].isDigit { position += 1 }
    return position > start
  }

  // MARK: Tokens

  private mutating func skipSpace() {
    while position < text.count {
      switch text[position] {
      case 0x20, 0x09, 0x0A, 0x0D: position += 1
      default: return
      }
    }
  }

  /// Skips a word that must stand here.
  private mutating func take(_ word: StaticString) -> Bool {
    let count = word.utf8CodeUnitCount
    guard count <= text.count - position else { return false }
    for index in 0..<count where text[position + index] != word.utf8Start[index] { return false }
    position += count
    return true
  }

  private mutating func skip(_ token: Unicode.Scalar) -> Bool {
    skipSpace()
    guard position < text.count, text[position] == UInt8(ascii: token) else { return false }
    position += 1
    return true
  }

  private mutating func skipComma(before end: Unicode.Scalar) throws(Problem) -> Bool {
    guard skip(",") else { return false }
    let comma = position - 1
    guard !skip(end) else {
      position = comma
      throw problem("a comma before '\(end)'")
    }
    return true
  }

  private mutating func expect(_ token: Unicode.Scalar) throws(Problem) {
    guard skip(token) else { throw problem("no '\(token)'") }
  }

  /// Makes the error for this place.
  package func problem(_ found: String) -> Problem { Problem(found: found, offset: position) }
}
