import DVAEFiles

/// The cyclic redundancy check of Castagnoli's polynomial, 0x1EDC6F41, reflected: what TensorBoard's
/// records and our checkpoints carry.
///
///     CRC32C.of(Array("123456789".utf8))  // 0xE3069283
struct CRC32C {
  private var state: UInt32 = 0xFFFF_FFFF

  /// The check of all bytes so far.
  var value: UInt32 { ~state }

  /// Takes more bytes, eight at a time.
  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    var crc = state
    Self.tables.withUnsafeBufferPointer { tables in
      var at = 0
      while at + 8 <= bytes.count {
        let next = bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)
        let word = UInt64(littleEndian: next) ^ UInt64(crc)
        crc = 0
        for byte in 0..<8 {
          crc ^= tables[(7 - byte) * 256 + Int(word >> (8 * UInt64(byte)) & 0xFF)]
        }
        at += 8
      }
      while at < bytes.count {
        crc = crc >> 8 ^ tables[Int((crc ^ UInt32(bytes[at])) & 0xFF)]
        at += 1
      }
    }
    state = crc
  }

  /// The check of one array.
  static func of(_ bytes: [UInt8]) -> UInt32 {
    var crc = CRC32C()
    bytes.withUnsafeBytes { crc.update($0) }
    return crc.value
  }

  /// Eight tables: entry b of table k is the check's change by byte b followed by k zero bytes.
  private static let tables: [UInt32] = {
    var tables = [UInt32](repeating: 0, count: 8 * 256)
    for byte in 0..<256 {
      var crc = UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
      tables[byte] = crc
    }
    for index in 256..<tables.count {
      let shorter = tables[index - 256]
      tables[index] = shorter >> 8 ^ tables[Int(shorter & 0xFF)]
    }
    return tables
  }()
}
