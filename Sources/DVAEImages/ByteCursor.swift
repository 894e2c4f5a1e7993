/// Reads numbers out of bytes that are not trusted: every access tells when it would leave them.
struct ByteCursor {
  private let bytes: UnsafeRawBufferPointer
  let littleEndian: Bool

  init(_ bytes: UnsafeRawBufferPointer, littleEndian: Bool = false) {
    self.bytes = bytes
    self.littleEndian = littleEndian
  }

  var count: Int { bytes.count }

  /// The unsigned number of `size` (at most 4) bytes at an offset; nil beyond the end.
  func number(at offset: Int, size: Int) -> Int? {
    guard let field = slice(at: offset, count: size) else { return nil }
    var value = 0
    for index in 0..<size {
      value = value << 8 | Int(field[littleEndian ? size - 1 - index : index])
    }
    return value
  }

  /// `count` bytes at an offset; nil where they are not all there.
  func slice(at offset: Int, count: Int) -> UnsafeRawBufferPointer? {
    guard offset >= 0 && count >= 0 && offset <= bytes.count && count <= bytes.count - offset
    else { return nil }
    return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
  }

  /// True where the bytes at an offset are those of `text`.
  func matches(_ text: StaticString, at offset: Int) -> Bool {
    guard let field = slice(at: offset, count: text.utf8CodeUnitCount) else { return false }
    return field.elementsEqual(
      UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }
}
