import DVAEFiles

/// The file of a plugin, checked before the system loads it.
///
/// The loader maps the segments that the header of an ELF file lists. If the file ends before they do,
/// such as after an interrupted download, touching them kills the process.
enum PluginFile {
  /// Checks that the file has all bytes that its header speaks of.
  ///
  /// Files that are not ELF files of this machine's kind pass: the loader refuses them by name.
  ///
  /// - Throws: `badData` if the file is truncated, `missing` if it cannot be read
  static func check(_ path: String) throws(DVAEError) {
    let file = try InputFile(path: path)
    let header = try file.read(at: 0, count: 64)
    guard header.count == 64, header.starts(with: start) else { return }
    func half(_ offset: Int) -> Int { Int(number(UInt16.self, in: header, at: offset)) }
    func word(_ offset: Int) -> UInt64 { number(UInt64.self, in: header, at: offset) }
    // The offsets of both tables, and their sizes: the number of entries times the bytes of one.
    let (segments, segmentBytes) = (word(32), half(56) * half(54))
    let (sections, sectionBytes) = (word(40), half(60) * half(58))
    // The table of segments is small; its size is checked before it is read.
    var expected = sum(segments, UInt64(segmentBytes))
    if expected <= UInt64(file.size) {
      expected = max(expected, sum(sections, UInt64(sectionBytes)))
      let table = try file.read(at: Int(segments), count: segmentBytes)
      expected = max(expected, lastByte(ofSegments: table, entry: half(54)))
    }
    guard expected > UInt64(file.size) else { return }
    throw DVAEError(
      .badData, file: path,
      "the file is truncated: expected \(expected) bytes or more, found \(file.size); install the "
        + "plugin again")
  }

  /// The magic number, the class (64 bits) and this machine's byte order.
  private static let start: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1 == 1.littleEndian ? 1 : 2]

  /// Returns the end of the segment in the file that reaches furthest.
  private static func lastByte(ofSegments table: [UInt8], entry: Int) -> UInt64 {
    let loaded: UInt32 = 1
    // An entry has 56 bytes; the loader refuses others.
    guard entry >= 56 else { return 0 }
    return stride(from: 0, through: table.count - entry, by: entry).reduce(0) { end, at in
      guard number(UInt32.self, in: table, at: at) == loaded else { return end }
      let offset = number(UInt64.self, in: table, at: at + 8)
      return max(end, sum(offset, number(UInt64.self, in: table, at: at + 32)))
    }
  }

  /// Returns the sum, or the largest number if it is larger.
  private static func sum(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let (sum, overflow) = a.addingReportingOverflow(b)
    return overflow ? .max : sum
  }

  private static func number<Number: FixedWidthInteger & BitwiseCopyable>(
    _ type: Number.Type, in bytes: [UInt8], at offset: Int
  ) -> Number {
    bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: Number.self) }
  }
}
