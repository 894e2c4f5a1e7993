/// The checksum of zip archives, eight bytes at a time.
package enum CRC32 {
  /// `tables[256 * n + b]` is the checksum of the byte `b` followed by `n` zeros.
  private static let tables: [UInt32] = {
    var tables: [UInt32] = []
    for byte in 0..<UInt32(256) {
      var value = byte
      for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
      tables.append(value)
    }
    for index in 256..<8 * 256 {
      let before = tables[index - 256]
      tables.append(before >> 8 ^ tables[Int(before & 0xFF)])
    }
    return tables
  }()

  /// The CRC-32 of some bytes.
  package static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    tables.withUnsafeBufferPointer { tables in
      func entry(_ table: Int, _ value: UInt64, _ byte: UInt64) -> UInt32 {
        tables[table * 256 + Int(value >> (8 * byte) & 0xFF)]
      }
      var value = UInt32.max
      let whole = bytes.count / 8 * 8
      for offset in stride(from: 0, to: whole, by: 8) {
        let eight =
          UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
          ^ UInt64(value)
        value = (0..<8).reduce(0) { $0 ^ entry(7 - $1, eight, UInt64($1)) }
      }
      for byte in bytes[whole...] {
        value = value >> 8 ^ tables[Int(UInt8(truncatingIfNeeded: value) ^ byte)]
      }
      return ~value
    }
  }
}
