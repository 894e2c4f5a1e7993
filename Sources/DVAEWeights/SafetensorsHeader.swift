import DVAEFiles

/// Parses the JSON of a safetensors header, which has exactly two levels.
///
/// A general JSON parser would let the later of two equal keys win and forget the order; here both
/// matter. There is no recursion, so no nesting can exhaust the stack.
struct SafetensorsHeader {
  struct Entry {
    let name: String
    let type: String
    let shape: [Int]
    let begin: Int
    let end: Int
  }

  private(set) var entries: [Entry] = []
  private(set) var metadata: [String: String] = [:]

  private let text: UnsafeRawBufferPointer
  private let path: String
  private var position = 0

  init(_ text: UnsafeRawBufferPointer, path: String) {
    self.text = text
    self.path = path
  }

  mutating func parse() throws(DVAEError) {
    var names: Set<Key> = []
    var hasMetadata = false
    try object { (parser, name) throws(DVAEError) in
      if name == "__metadata__" {
        guard !hasMetadata else { throw parser.problem("a second __metadata__") }
        hasMetadata = true
        return try parser.parseMetadata()
      }
      guard names.insert(Key(name)).inserted else {
        throw .duplicateTensor(path: parser.path, tensor: name)
      }
      guard names.count <= SafetensorsReader.maximumTensors else {
        throw .limitExceeded(
          path: parser.path, what: "more tensors than any weights have",
          limit: SafetensorsReader.maximumTensors)
      }
      parser.entries.append(try parser.entry(name))
    }
    skipSpace()
    guard position == text.count else { throw problem("bytes after the closing brace") }
  }

  private mutating func parseMetadata() throws(DVAEError) {
    try object { (parser, key) throws(DVAEError) in
      let value = try parser.string()
      guard parser.metadata.updateValue(value, forKey: key) == nil else {
        throw parser.problem("the metadata '\(key)' twice")
      }
    }
  }

  private mutating func entry(_ name: String) throws(DVAEError) -> Entry {
    var type: String?
    var shape: [Int]?
    var offsets: [Int]?
    try object { (parser, key) throws(DVAEError) in
      switch key {
      case "dtype" where type == nil: type = try parser.string()
      case "shape" where shape == nil: shape = try parser.sizes(limit: StoredTensor.maximumRank)
      case "data_offsets" where offsets == nil: offsets = try parser.sizes(limit: 2)
      default: throw parser.problem("an unexpected '\(key)' in tensor '\(name)'")
      }
    }
    guard let type, let shape, let offsets, offsets.count == 2 else {
      throw problem("tensor '\(name)' without its dtype, shape or two data_offsets")
    }
    return Entry(name: name, type: type, shape: shape, begin: offsets[0], end: offsets[1])
  }

  // MARK: JSON

  /// Calls `member` at the value of each key.
  private mutating func object(
    _ member: (inout Self, String) throws(DVAEError) -> Void
  ) throws(DVAEError) {
    try expect("{")
    if skip("}") { return }
    repeat {
      let key = try string()
      try expect(":")
      try member(&self, key)
    } while skip(",")
    try expect("}")
  }

  /// An array of non-negative integers.
  private mutating func sizes(limit: Int) throws(DVAEError) -> [Int] {
    var sizes: [Int] = []
    try expect("[")
    if skip("]") { return sizes }
    repeat {
      guard sizes.count < limit else { throw problem("more than \(limit) numbers in an array") }
      sizes.append(try size())
    } while skip(",")
    try expect("]")
    return sizes
  }

  private mutating func size() throws(DVAEError) -> Int {
    skipSpace()
    let start = position
    var size = 0
    while position < text.count, (0x30...0x39).contains(text[position]) {
      let (tens, tooLarge) = size.multipliedReportingOverflow(by: 10)
      let (next, overflow) = tens.addingReportingOverflow(Int(text[position] - 0x30))
      guard !tooLarge, !overflow else { throw problem("a number beyond 64 bits") }
      size = next
      position += 1
    }
    guard position > start else { throw problem("no non-negative integer") }
    return size
  }

  private mutating func string() throws(DVAEError) -> String {
    try expect("\"")
    var bytes: [UInt8] = []
    while position < text.count {
      let byte = text[position]
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let string = String(validating: bytes, as: UTF8.self) else {
          throw problem("a string that is not UTF-8")
        }
        return string
      case UInt8(ascii: "\\"): bytes += try escape()
      case 0..<0x20: throw problem("a control character in a string")
      default: bytes.append(byte)
      }
    }
    throw problem("a string without an end")
  }

  /// What follows a backslash, as UTF-8.
  private mutating func escape() throws(DVAEError) -> [UInt8] {
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
        position += 2
        let low = try codeUnit()
        guard (0xDC00..<0xE000).contains(low) else { throw problem("half a surrogate pair") }
        code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(code) else { throw problem("half a surrogate pair") }
      return Array(UTF8.encode(scalar).map(Array.init) ?? [])
    default: throw problem("an unknown escape in a string")
    }
  }

  private mutating func codeUnit() throws(DVAEError) -> UInt32 {
    let digits = text[position..<min(position + 4, text.count)]
    guard digits.count == 4, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
      let code = UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
    else { throw problem("an unknown escape in a string") }
    position += 4
    return code
  }

  private mutating func skipSpace() {
    while position < text.count, [0x20, 0x09, 0x0A, 0x0D].contains(text[position]) { position += 1 }
  }

  private mutating func skip(_ token: Unicode.Scalar) -> Bool {
    skipSpace()
    guard position < text.count, text[position] == UInt8(ascii: token) else { return false }
    position += 1
    return true
  }

  private mutating func expect(_ token: Unicode.Scalar) throws(DVAEError) {
    guard skip(token) else { throw problem("no '\(token)'") }
  }

  private func problem(_ found: String) -> DVAEError {
    .malformed(path: path, problem: "the safetensors header has \(found) at byte \(8 + position)")
  }
}
