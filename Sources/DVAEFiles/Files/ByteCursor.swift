/// Untrusted bytes: every access checks its bounds.
package struct ByteView {
  private let bytes: UnsafeRawBufferPointer
  /// The order of bytes in numbers.
  package let isLittleEndian: Bool

  /// Makes a view of bytes that must outlive it.
  package init(_ bytes: UnsafeRawBufferPointer, littleEndian: Bool = false) {
    self.bytes = bytes
    isLittleEndian = littleEndian
  }

  /// The number of bytes.
  package var count: Int { bytes.count }

  /// Reads an unsigned number of `size` (at most 4) bytes at an offset; nil beyond the end.
  package func number(at offset: Int, size: Int) -> Int? {
    guard let field = slice(at: offset, count: size) else { return nil }
    var value = 0
    for index in 0..<size {
      value = value << 8 | Int(field[isLittleEndian ? size - 1 - index : index])
    }
    return value
  }

  /// Returns `count` bytes at an offset; nil if they are not all there.
  package func slice(at offset: Int, count: Int) -> UnsafeRawBufferPointer? {
    guard offset >= 0 && count >= 0 && offset <= bytes.count && count <= bytes.count - offset
    else { return nil }
    return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count])
  }

  /// Returns whether the bytes at an offset equal `text`.
  package func matches(_ text: StaticString, at offset: Int) -> Bool {
    guard let field = slice(at: offset, count: text.utf8CodeUnitCount) else { return false }
    return field.elementsEqual(
      UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }
}

/// Reads a part of a mapped file from front to back; every read checks its bounds.
package struct ByteCursor {
  package let file: MappedFile
  /// The name of the part in error messages: "the zip directory".
  package let part: String
  /// The position of the next byte in the file.
  package private(set) var offset: Int
  /// The position after the last byte.
  package let end: Int

  /// Makes a cursor over a part of the file.
  ///
  /// - Throws: `truncated` if the file does not contain the part.
  package init(
    _ file: MappedFile, part: String, from offset: Int = 0, count: Int
  ) throws(DVAEError) {
    guard ByteView(UnsafeRawBufferPointer(file.bytes)).slice(at: offset, count: count) != nil else {
      throw .truncated(
        path: file.path, part: part, needed: count, available: max(0, file.count - max(0, offset)))
    }
    self.file = file
    self.part = part
    self.offset = offset
    end = offset + count
  }

  package var remaining: Int { end - offset }

  /// Returns the next `count` bytes, valid as long as the file lives.
  package mutating func bytes(_ count: Int) throws(DVAEError) -> UnsafeRawBufferPointer {
    guard count >= 0, count <= remaining else {
      throw .truncated(path: file.path, part: part, needed: count, available: remaining)
    }
    defer { offset += count }
    return UnsafeRawBufferPointer(rebasing: file.bytes[offset..<offset + count])
  }

  /// Reads the next unsigned or signed number, little-endian.
  package mutating func next<Number: FixedWidthInteger & BitwiseCopyable>(
    _ type: Number.Type = Number.self
  ) throws(DVAEError) -> Number {
    Number(littleEndian: try bytes(MemoryLayout<Number>.size).loadUnaligned(as: Number.self))
  }

  /// Reads the next 64-bit number as a size or position.
  package mutating func nextSize() throws(DVAEError) -> Int {
    let number: UInt64 = try next()
    guard let size = Int(exactly: number) else {
      throw .malformed(path: file.path, problem: "\(part) speaks of \(number) bytes")
    }
    return size
  }

  /// Reads the bytes up to the next line feed, which is skipped.
  package mutating func line() throws(DVAEError) -> UnsafeRawBufferPointer {
    let rest = UnsafeRawBufferPointer(rebasing: file.bytes[offset..<end])
    guard let length = rest.prefix(1 << 16).firstIndex(of: UInt8(ascii: "\n")) else {
      throw .malformed(path: file.path, problem: "\(part) has a line without an end")
    }
    let found = try bytes(length)
    _ = try bytes(1)
    return found
  }
}

extension FixedWidthInteger {
  /// The bytes of the number in a file, the lowest first.
  package var littleEndianBytes: [UInt8] { withUnsafeBytes(of: littleEndian, Array.init) }
}

extension Array where Element: BitwiseCopyable {
  /// `withUnsafeBytes` with typed errors.
  package func withRawBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try withUnsafeBufferPointer { (elements) throws(Failure) in
      try body(UnsafeRawBufferPointer(elements))
    }
  }
}
