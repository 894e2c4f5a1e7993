/// The CRC with Castagnoli's polynomial, 0x1EDC6F41, used by TensorBoard's records and checkpoints.
///
///     CRC32C.of(Array("123456789".utf8))  // 0xE3069283
package struct CRC32C {
  private var state = UInt32.max

  /// Starts with no bytes.
  package init() {}

  /// The CRC of all bytes so far.
  package var value: UInt32 { ~state }

  /// Returns the CRC of one array.
  package static func of(_ bytes: [UInt8]) -> UInt32 {
    var crc = CRC32C()
    bytes.withUnsafeBytes { crc.update($0) }
    return crc.value
  }

  /// Entry b of table k is the effect of byte b followed by k zero bytes.
  private static let tables: [UInt32] = {
    var tables: [UInt32] = []
    for byte in 0..<UInt32(256) {
      var value = byte
      for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1 }
      tables.append(value)
    }
    for index in 256..<8 * 256 {
      let before = tables[index - 256]
      tables.append(before >> 8 ^ tables[Int(before & 0xFF)])
    }
    return tables
  }()

  /// Adds bytes, eight at a time.
  package mutating func update(_ bytes: UnsafeRawBufferPointer) {
    state = Self.tables.withUnsafeBufferPointer { tables in
      func entry(_ table: Int, _ value: UInt64, _ byte: UInt64) -> UInt32 {
        tables[table * 256 + Int(value >> (8 * byte) & 0xFF)]
      }
      var value = state
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
      return value
    }
  }
}
