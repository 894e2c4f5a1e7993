import DVAEFiles

/// Little-endian bytes of a number.
package func littleEndian(_ number: some FixedWidthInteger) -> [UInt8] {
  withUnsafeBytes(of: number.littleEndian, Array.init)
}

/// Builds zip archives of uncompressed entries, including invalid ones.
package struct ZipBuilder {
  package var method: UInt16 = 0
  package var zip64 = false
  package private(set) var bytes: [UInt8] = []
  private var directory: [UInt8] = []
  private var count = 0

  package init(method: UInt16 = 0, zip64: Bool = false) {
    self.method = method
    self.zip64 = zip64
  }

  /// Adds an entry of these bytes; `size` is the stated uncompressed size.
  package mutating func add(
    _ name: String, _ content: [UInt8], checksum: UInt32? = nil, size: Int? = nil
  ) {
    let checksum = checksum ?? content.withUnsafeBytes(ZipArchive.crc32)
    let size = size ?? content.count
    let offset = bytes.count
    let sizes = littleEndian(UInt32(content.count)) + littleEndian(UInt32(size))
    let common =
      littleEndian(UInt16(0)) + littleEndian(method) + littleEndian(UInt32(0))
      + littleEndian(checksum)
    bytes += littleEndian(UInt32(0x0403_4B50)) + littleEndian(UInt16(20)) + common + sizes
    bytes += littleEndian(UInt16(name.utf8.count)) + littleEndian(UInt16(0)) + Array(name.utf8)
    bytes += content
    var extra: [UInt8] = []
    if zip64 {
      extra = littleEndian(UInt16(1)) + littleEndian(UInt16(24))
      for value in [size, content.count, offset] { extra += littleEndian(UInt64(value)) }
    }
    directory += littleEndian(UInt32(0x0201_4B50)) + littleEndian(UInt32(20)) + common
    directory += zip64 ? [UInt8](repeating: 0xFF, count: 8) : sizes
    directory += littleEndian(UInt16(name.utf8.count)) + littleEndian(UInt16(extra.count))
    directory += [UInt8](repeating: 0, count: 10)
    directory += littleEndian(zip64 ? UInt32.max : UInt32(offset)) + Array(name.utf8) + extra
    count += 1
  }

  package func archive() -> [UInt8] {
    var result = bytes + directory
    if zip64 {
      let record = result.count
      result += littleEndian(UInt32(0x0606_4B50)) + littleEndian(UInt64(44))
      result += [UInt8](repeating: 0, count: 12)
      for value in [count, count, directory.count, bytes.count] {
        result += littleEndian(UInt64(value))
      }
      result += littleEndian(UInt32(0x0706_4B50)) + littleEndian(UInt32(0))
      result += littleEndian(UInt64(record)) + littleEndian(UInt32(1))
    }
    result += littleEndian(UInt32(0x0605_4B50)) + littleEndian(UInt32(0))
    result += littleEndian(UInt16(count)) + littleEndian(UInt16(count))
    result += littleEndian(UInt32(directory.count))
    result += littleEndian(zip64 ? UInt32.max : UInt32(bytes.count)) + littleEndian(UInt16(0))
    return result
  }
}
