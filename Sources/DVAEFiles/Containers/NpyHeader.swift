/// The header of a `.npy` file (NumPy Enhancement Proposal 1): a type, a shape and the order of the
/// elements.
///
/// Its encoded size does not depend on the first dimension, so a writer can stream rows and then
/// set their count (`AtomicFile.overwrite`).
package struct NpyHeader: Hashable, Sendable {
  /// The type of the elements; NumPy has no bfloat16.
  package var elementType: ElementType
  /// The dimensions.
  package var shape: [Int]
  /// Whether the first index varies fastest in the file.
  package var isColumnMajor: Bool

  /// Describes an array.
  package init(_ elementType: ElementType, shape: [Int], isColumnMajor: Bool = false) {
    self.elementType = elementType
    self.shape = shape
    self.isColumnMajor = isColumnMajor
  }

  /// Returns the header's bytes, a multiple of 64, the same as `numpy.save` writes.
  ///
  /// - Throws: `invalidTensor` for a type that NumPy does not have.
  package func encoded() throws(DVAEError) -> [UInt8] {
    guard let type = elementType.npyName else {
      throw .invalidTensor(
        path: ".npy", tensor: "array",
        problem: "is \(elementType.rawValue), a type that NumPy lacks")
    }
    let extents = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
    let order = isColumnMajor ? "True" : "False"
    var text = "{'descr': '\(type)', 'fortran_order': \(order), 'shape': (\(extents)), }"
    // Like NumPy, reserve 21 digits for the dimension that may grow.
    if let growing = isColumnMajor ? shape.last : shape.first {
      text += String(repeating: " ", count: max(0, 21 - "\(growing)".count))
    }
    let prefix = text.utf8.count + 1 + 10 < 65_536 ? 10 : 12
    text += String(repeating: " ", count: 63 - (prefix + text.utf8.count) % 64) + "\n"
    let length = UInt32(text.utf8.count).littleEndianBytes.prefix(prefix - 8)
    let version: [UInt8] = [prefix == 10 ? 1 : 2, 0]
    return Self.magic + version + length + text.utf8
  }

  static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
  private static let maximumLength = 1 << 20

  /// Reads the header at the cursor.
  init(_ cursor: inout ByteCursor) throws(DVAEError) {
    let path = cursor.file.path
    let start = try cursor.bytes(min(8, cursor.remaining))
    guard start.starts(with: Self.magic) else {
      throw DVAEError(
        .badData, code: .malformed, file: path, expected: "a .npy array",
        found: FileContent(UnsafeRawBufferPointer(cursor.file.bytes)).name)
    }
    guard start.count == 8, (1...3).contains(start[6]) else {
      throw .unsupported(
        path: path, what: "this version of .npy", advice: "save the array with numpy.save")
    }
    let length =
      start[6] == 1 ? Int(try cursor.next(UInt16.self)) : Int(try cursor.next(UInt32.self))
    guard length <= Self.maximumLength else {
      throw .limitExceeded(
        path: path, what: "a .npy header of \(length) bytes", limit: Self.maximumLength)
    }
    var parser = NpyHeaderParser(Array(try cursor.bytes(length)))
    guard let fields = parser.parse() else {
      throw parser.isOfRecords
        ? .unsupported(
          path: path, what: "an array of records", advice: "save each field as an array of its own")
        : .malformed(
          path: path, problem: "the .npy header is not the type, order and shape of an array")
    }
    guard let type = ElementType.allCases.first(where: { $0.npyName == fields.type }) else {
      throw .unsupported(
        path: path, what: "the NumPy type '\(fields.type)'",
        advice: "convert the array to a little-endian number type first")
    }
    self.init(type, shape: fields.shape, isColumnMajor: fields.isColumnMajor)
  }
}

/// Parses the Python dictionary literal of a `.npy` header.
private struct NpyHeaderParser {
  /// Whether the array's type is a list of fields.
  private(set) var isOfRecords = false
  private let text: [UInt8]
  private var position = 0

  init(_ text: [UInt8]) { self.text = text }

  mutating func parse() -> (type: String, isColumnMajor: Bool, shape: [Int])? {
    var type: String?
    var isColumnMajor: Bool?
    var shape: [Int]?
    guard skip("{") else { return nil }
    while !skip("}") {
      guard let key = string(), skip(":") else { return nil }
      switch key {
      case "descr" where type == nil:
        isOfRecords = peek("[")
        type = string()
      case "fortran_order" where isColumnMajor == nil: isColumnMajor = boolean()
      case "shape" where shape == nil: shape = extents()
      default: return nil
      }
      guard skip(",") || peek("}") else { return nil }
    }
    skipSpace()
    guard position == text.count, let type, let isColumnMajor, let shape else { return nil }
    return (type, isColumnMajor, shape)
  }

  private mutating func string() -> String? {
    for quote: Unicode.Scalar in ["'", "\""] where skip(quote) {
      guard let length = text[position...].prefix(64).firstIndex(of: UInt8(ascii: quote))
      else { return nil }
      defer { position = length + 1 }
      return String(decoding: text[position..<length], as: UTF8.self)
    }
    return nil
  }

  private mutating func boolean() -> Bool? {
    skipSpace()
    for (word, value) in [("True", true), ("False", false)]
    where text[position...].starts(with: word.utf8) {
      position += word.utf8.count
      return value
    }
    return nil
  }

  private mutating func extents() -> [Int]? {
    guard skip("(") else { return nil }
    var extents: [Int] = []
    while !skip(")") {
      skipSpace()
      let digits = text[position...].prefix(while: \.isDigit)
      guard let extent = Int(String(decoding: digits, as: UTF8.self)),
        extents.count < StoredTensor.maximumRank
      else { return nil }
      position = digits.endIndex
      _ = skip("L")  // Python 2 marked its long integers
      extents.append(extent)
      guard skip(",") || peek(")") else { return nil }
    }
    return extents
  }

  private mutating func peek(_ token: Unicode.Scalar) -> Bool {
    skipSpace()
    return position < text.count && text[position] == UInt8(ascii: token)
  }

  private mutating func skip(_ token: Unicode.Scalar) -> Bool {
    guard peek(token) else { return false }
    position += 1
    return true
  }

  private mutating func skipSpace() {
    while position < text.count, [0x20, 0x0A].contains(text[position]) { position += 1 }
  }
}
