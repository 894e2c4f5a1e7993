/// Tokens as a bit stream: token i takes the bits from i·`bits` on, least significant first, and
/// bit j of the stream is bit j mod 8 of byte j / 8.
///
/// With 16 bits this is an array of little-endian uint16. Every image starts at a whole byte, so
/// that it can be read separately.
enum BitPacking {
  /// Returns the size of an image in bytes; nil for impossible numbers.
  static func byteCount(_ tokens: Int, bits: Int) -> Int? {
    let (product, overflow) = tokens.multipliedReportingOverflow(by: bits)
    return overflow || product > .max - 7 ? nil : (product + 7) / 8
  }

  /// Returns the bytes of one image; nil if a token does not fit into `bits`.
  static func pack(_ tokens: [UInt16], bits: Int) -> [UInt8]? {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(tokens.count * 2)
    var (waiting, count): (UInt32, Int) = (0, 0)
    for token in tokens {
      guard UInt32(token) >> UInt32(bits) == 0 else { return nil }
      waiting |= UInt32(token) << UInt32(count)
      count += bits
      while count >= 8 {
        bytes.append(UInt8(truncatingIfNeeded: waiting))
        waiting >>= 8
        count -= 8
      }
    }
    if count > 0 { bytes.append(UInt8(truncatingIfNeeded: waiting)) }
    return bytes
  }

  /// Returns `count` tokens of an image, all of whose bytes must be given.
  static func unpack(_ bytes: [UInt8], count: Int, bits: Int) -> [UInt16] {
    var (waiting, available): (UInt32, Int) = (0, 0)
    var next = bytes.makeIterator()
    let mask = UInt32(1) << UInt32(bits) - 1
    return (0..<count).map { _ in
      while available < bits {
        waiting |= UInt32(next.next() ?? 0) << UInt32(available)
        available += 8
      }
      defer {
        waiting >>= UInt32(bits)
        available -= bits
      }
      return UInt16(truncatingIfNeeded: waiting & mask)
    }
  }
}
