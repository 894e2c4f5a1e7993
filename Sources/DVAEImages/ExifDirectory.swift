import DVAEFiles

/// The first image file directory of an Exif block, which is a TIFF file; read like Pillow.
enum ExifDirectory {
  /// Returns the orientation; 0 if it is not a number, nil without the tag.
  static func orientation(in block: [UInt8]) -> Int? {
    block.withUnsafeBytes { bytes in
      var bytes = bytes
      // Some writers keep JPEG's prefix in other containers, or have it twice.
      for _ in 0..<2 where bytes.starts(with: prefix) {
        bytes = .init(rebasing: bytes.dropFirst(prefix.count))
      }
      guard bytes.count >= 8, headers.contains(where: { bytes.starts(with: $0) }) else {
        return nil
      }
      return orientation(ByteView(bytes, littleEndian: bytes[0] == UInt8(ascii: "I")))
    }
  }

  static let prefix = Array("Exif\0\0".utf8)

  // The second row is invalid, but some writers confuse the order of bytes. `MM\0+` is BigTIFF by the
  // standard; Pillow reads it as TIFF.
  private static let headers = [
    "MM\0*", "II*\0",
    "MM*\0", "II\0*", "MM\0+",
  ].map { Array($0.utf8) }

  private enum Kind: Int {
    case byte = 1
    case text
    case short, long
    case rational
    case signedByte, undefined, signedShort, signedLong, signedRational
    case float, double
    case directory
    case long8 = 16

    /// The size of a value in bytes.
    var size: Int {
      switch self {
      case .byte, .text, .signedByte, .undefined: 1
      case .short, .signedShort: 2
      case .long, .signedLong, .float, .directory: 4
      case .rational, .signedRational, .double, .long8: 8
      }
    }
  }

  private static func orientation(_ view: ByteView) -> Int? {
    guard let directory = view.number(at: 4, size: 4),
      let entries = view.number(at: directory, size: 2)
    else { return nil }
    var total = 0
    for index in 0..<entries {
      let at = directory + 2 + 12 * index
      guard view.slice(at: at, count: 12) != nil, let tag = view.number(at: at, size: 2),
        let type = view.number(at: at + 2, size: 2), let count = view.number(at: at + 4, size: 4)
      else { return nil }
      guard let kind = Kind(rawValue: type) else { continue }
      let size = count * kind.size
      var place = at + 8
      // More than four bytes are elsewhere, but not more than there are.
      if size > 4 {
        total += size
        guard total <= view.count else { continue }
        place = view.number(at: place, size: 4) ?? 0
        guard view.slice(at: place, count: size) != nil else { return nil }
      }
      // Of several numbers the first one counts.
      if tag == 0x0112, count > 0 { return value(view, at: place, kind) }
    }
    return nil
  }

  private static func value(_ view: ByteView, at place: Int, _ kind: Kind) -> Int {
    func unsigned(_ offset: Int = 0) -> Int {
      view.number(at: place + offset, size: min(4, kind.size)) ?? 0
    }
    func signed(_ offset: Int = 0) -> Int {
      let bits = Int.bitWidth - 8 * min(4, kind.size)
      return (unsigned(offset) << bits) >> bits
    }
    func whole(_ number: Double) -> Int { Int(exactly: number) ?? 0 }
    func quotient(_ number: Int, _ divisor: Int) -> Int {
      divisor != 0 && number % divisor == 0 ? number / divisor : 0
    }
    let wide =
      view.isLittleEndian
      ? UInt64(unsigned(4)) << 32 | UInt64(unsigned())
      : UInt64(unsigned()) << 32 | UInt64(unsigned(4))
    switch kind {
    case .byte, .text, .undefined: return 0
    case .short, .long, .directory: return unsigned()
    case .signedByte, .signedShort, .signedLong: return signed()
    case .rational: return quotient(unsigned(), unsigned(4))
    case .signedRational: return quotient(signed(), signed(4))
    case .float: return whole(Double(Float(bitPattern: UInt32(unsigned()))))
    case .double: return whole(Double(bitPattern: wide))
    case .long8: return Int(exactly: wide) ?? 0
    }
  }
}
