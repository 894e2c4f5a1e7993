internal import CDVAEZLib

/// The directory of a zip archive, including Zip64; `torch.save` has used this container since
/// PyTorch 1.6, with uncompressed entries.
package struct ZipArchive: Sendable {
  /// A member of the archive.
  package struct Entry: Sendable {
    package let name: String
    /// Whether the bytes are compressed by deflate; else they are stored as they are.
    package let isDeflated: Bool
    /// The range of the entry's stored bytes in the file.
    package let range: Range<Int>
    /// The uncompressed size.
    package let size: Int
    /// The CRC-32 of the bytes; PyTorch can be told to write 0 instead.
    package let checksum: UInt32
  }

  /// The entries that must be readable.
  package enum Use {
    /// All of them, stored and with distinct names: the tensors of one model.
    case weights
    /// Only those that are asked for; of several with one name, the last one, as in Python's
    /// `zipfile`.
    case members

    fileprivate var advice: String {
      switch self {
      case .weights: "save the weights again with torch.save, or convert them to safetensors"
      case .members: "unpack the archive and pack it again with any common program"
      }
    }
  }

  /// The readable entries in the directory's order.
  package private(set) var entries: [Entry] = []
  private let file: MappedFile
  private var positions: [Key: Result<Int, DVAEError>] = [:]

  static let maximumEntries = 1 << 18

  /// Returns the entry with a name; nil if there is none.
  ///
  /// - Throws: an error if it is not readable
  package func entry(_ name: String) throws(DVAEError) -> Entry? {
    guard let position = positions[Key(name)] else { return nil }
    return entries[try position.get()]
  }

  package init(_ file: MappedFile, for use: Use) throws(DVAEError) {
    self.file = file
    let directory = try Directory.find(in: file)
    guard directory.entries <= Self.maximumEntries else {
      throw .limitExceeded(
        path: file.path, what: "a zip archive of \(directory.entries) entries",
        limit: Self.maximumEntries)
    }
    var cursor = try ByteCursor(
      file, part: "the zip directory", from: directory.offset, count: directory.size)
    var ranges: [(name: String, range: Range<Int>)] = []
    for _ in 0..<directory.entries {
      let record = try DirectoryRecord(&cursor, shift: directory.shift)
      let position: Result<Int, DVAEError>
      do throws(DVAEError) {
        let range = try record.range(in: file)
        ranges.append((record.name, range))
        entries.append(try record.entry(range, in: file, use))
        position = .success(entries.count - 1)
      } catch {
        guard use == .members else { throw error }
        position = .failure(error)
      }
      guard positions.updateValue(position, forKey: Key(record.name)) == nil || use == .members
      else {
        throw .malformed(path: file.path, problem: "the zip entry '\(record.name)' is there twice")
      }
    }
    try checkOverlaps(ranges)
  }

  /// Entries that share bytes would multiply the work of reading a small file.
  private func checkOverlaps(
    _ ranges: [(name: String, range: Range<Int>)]
  ) throws(DVAEError) {
    let ordered = ranges.sorted { $0.range.lowerBound < $1.range.lowerBound }
    for (entry, next) in zip(ordered, ordered.dropFirst())
    where entry.range.upperBound > next.range.lowerBound {
      throw .malformed(
        path: file.path, problem: "the zip entries '\(entry.name)' and '\(next.name)' overlap")
    }
  }

  /// Reads a member and verifies its checksum; nil if there is no such member.
  ///
  /// Other members may be encrypted or damaged.
  ///
  /// - Throws: `limitExceeded` for a member larger than `limit`, before reading any byte
  package func contents(of name: String, limit: Int) throws(DVAEError) -> [UInt8]? {
    guard let entry = try entry(name) else { return nil }
    guard file.isIntact else { throw .changed(path: file.path) }
    guard entry.size <= limit else {
      throw .limitExceeded(
        path: file.path, what: "the zip entry '\(name)' of \(entry.size) bytes", limit: limit)
    }
    let stored = UnsafeRawBufferPointer(rebasing: file.bytes[entry.range])
    let bytes: [UInt8]
    if entry.isDeflated {
      guard let inflated = inflate(stored, isRaw: true, limit: entry.size), inflated.rest == 0,
        inflated.bytes.count == entry.size
      else {
        throw .malformed(
          path: file.path, problem: "the zip entry '\(name)' cannot be decompressed")
      }
      bytes = inflated.bytes
    } else {
      bytes = Array(stored)
    }
    try bytes.withRawBytes { (bytes) throws(DVAEError) in try verify(entry, bytes) }
    return bytes
  }

  /// Verifies a stored entry's checksum, if it has one.
  package func verify(_ entry: Entry) throws(DVAEError) {
    try verify(entry, UnsafeRawBufferPointer(rebasing: file.bytes[entry.range]))
  }

  private func verify(_ entry: Entry, _ bytes: UnsafeRawBufferPointer) throws(DVAEError) {
    guard entry.checksum == 0 || Self.crc32(bytes) == entry.checksum else {
      throw .malformed(
        path: file.path, problem: "the zip entry '\(entry.name)' does not match its checksum")
    }
  }
}

extension ZipArchive {
  /// Returns the CRC-32 of some bytes, polynomial 0x04C11DB7, which gzip has too.
  package static func crc32(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    UInt32(crc32_z(0, bytes.assumingMemoryBound(to: UInt8.self).baseAddress, bytes.count))
  }
}

/// A record of the directory.
private struct DirectoryRecord {
  let name: String
  private let nameBytes: UnsafeRawBufferPointer
  private let isEncrypted: Bool
  private let method: UInt16
  private let checksum: UInt32
  // 32-bit fields, which may refer to the Zip64 extra field.
  private var compressed: UInt64
  private var uncompressed: UInt64
  private var headerOffset: UInt64
  /// The number of bytes that precede the archive in its file.
  private let shift: Int

  init(_ cursor: inout ByteCursor, shift: Int) throws(DVAEError) {
    guard try cursor.next(UInt32.self) == Directory.recordSignature else {
      throw .malformed(path: cursor.file.path, problem: "the zip directory has a bad entry")
    }
    _ = try cursor.bytes(4)  // versions
    isEncrypted = try cursor.next(UInt16.self) & 0x2041 != 0
    method = try cursor.next()
    _ = try cursor.bytes(4)  // time and date
    checksum = try cursor.next()
    compressed = UInt64(try cursor.next(UInt32.self))
    uncompressed = UInt64(try cursor.next(UInt32.self))
    let nameLength = Int(try cursor.next(UInt16.self))
    let extraLength = Int(try cursor.next(UInt16.self))
    let commentLength = Int(try cursor.next(UInt16.self))
    _ = try cursor.bytes(8)  // disk and attributes
    headerOffset = UInt64(try cursor.next(UInt32.self))
    nameBytes = try cursor.bytes(nameLength)
    // Older programs write other encodings.
    name = visibleText(nameBytes)
    self.shift = shift
    try applyZip64(
      ByteCursor(cursor.file, part: "the zip directory", from: cursor.offset, count: extraLength))
    _ = try cursor.bytes(extraLength)
    _ = try cursor.bytes(commentLength)
  }

  /// Replaces fields of all ones by the Zip64 extra field's, in its fixed order.
  private mutating func applyZip64(_ extra: ByteCursor) throws(DVAEError) {
    var extra = extra
    let absent = UInt64(UInt32.max)
    while extra.remaining >= 4 {
      let tag: UInt16 = try extra.next()
      let length = Int(try extra.next(UInt16.self))
      guard tag == 1 else {
        _ = try extra.bytes(length)
        continue
      }
      if uncompressed == absent { uncompressed = try extra.next() }
      if compressed == absent { compressed = try extra.next() }
      if headerOffset == absent { headerOffset = try extra.next() }
      return
    }
  }

  /// Returns the range of the entry's bytes in the file.
  func range(in file: MappedFile) throws(DVAEError) -> Range<Int> {
    let start = try dataStart(in: file)
    guard let count = Int(exactly: compressed), count <= file.count - start else {
      throw .truncated(
        path: file.path, part: "the zip entry '\(name)'",
        needed: Int(clamping: compressed), available: file.count - start)
    }
    return start..<start + count
  }

  /// Returns the entry if it is readable.
  func entry(
    _ range: Range<Int>, in file: MappedFile, _ use: ZipArchive.Use
  ) throws(DVAEError) -> ZipArchive.Entry {
    guard !isEncrypted else {
      throw .unsupported(
        path: file.path, what: "the encrypted zip entry '\(name)'", advice: use.advice)
    }
    // Zip's numbers: 0 for stored, 8 for deflated.
    guard method == 0 || method == 8 && use == .members else {
      throw .unsupported(
        path: file.path, what: "the compressed zip entry '\(name)'", advice: use.advice)
    }
    guard let size = Int(exactly: uncompressed), method != 0 || size == range.count
    else {
      throw .malformed(
        path: file.path, problem: "the zip entry '\(name)' has an impossible size")
    }
    return ZipArchive.Entry(
      name: name, isDeflated: method == 8, range: range, size: size, checksum: checksum)
  }

  /// Returns the position after an entry's local header, which must name the same entry.
  private func dataStart(in file: MappedFile) throws(DVAEError) -> Int {
    let part = "a zip entry's header"
    guard let offset = Int(exactly: headerOffset), offset <= file.count - shift else {
      throw .truncated(path: file.path, part: part, needed: 30, available: 0)
    }
    var cursor = try ByteCursor(
      file, part: part, from: offset + shift, count: file.count - offset - shift)
    let signature: UInt32 = try cursor.next()
    _ = try cursor.bytes(22)
    let nameLength = Int(try cursor.next(UInt16.self))
    let extraLength = Int(try cursor.next(UInt16.self))
    guard signature == 0x0403_4B50, try cursor.bytes(nameLength).elementsEqual(nameBytes) else {
      throw .malformed(path: file.path, problem: "the zip directory points beside its entries")
    }
    _ = try cursor.bytes(extraLength)
    return cursor.offset
  }
}

/// The location of a zip archive's directory, from the record at the file's end.
private struct Directory {
  static let recordSignature: UInt32 = 0x0201_4B50

  private(set) var entries: Int
  private(set) var size: Int
  private(set) var offset: Int
  /// The number of bytes before the archive, such as a program that unpacks it; no offset counts
  /// them.
  private(set) var shift = 0

  static func find(in file: MappedFile) throws(DVAEError) -> Directory {
    let end = try endRecord(in: file)
    var cursor = try ByteCursor(
      file, part: "the zip end record", from: end, count: file.count - end)
    _ = try cursor.bytes(10)
    var directory = Directory(
      entries: Int(try cursor.next(UInt16.self)), size: Int(try cursor.next(UInt32.self)),
      offset: Int(try cursor.next(UInt32.self)))
    let records = try directory.readZip64(in: file, end)
    directory.skipPrefix(in: file, end: records)
    return directory
  }

  /// Reads the record of Zip64 if fields need it; returns the start of all records at the end.
  private mutating func readZip64(in file: MappedFile, _ end: Int) throws(DVAEError) -> Int {
    let isNeeded = entries == 0xFFFF || size == 0xFFFF_FFFF || offset == 0xFFFF_FFFF
    guard end >= 20, Self.signature(at: end - 20, in: file) == 0x0706_4B50 else { return end }
    var locator = try ByteCursor(file, part: "the Zip64 locator", from: end - 20, count: 20)
    _ = try locator.bytes(8)
    let signature: UInt32 = 0x0606_4B50
    var place = try locator.nextSize()
    // If bytes precede the archive, the record is where it would be without further fields.
    if Self.signature(at: place, in: file) != signature { place = end - 76 }
    guard Self.signature(at: place, in: file) == signature else {
      guard isNeeded else { return end }
      throw .malformed(path: file.path, problem: "the Zip64 locator points to no record")
    }
    if isNeeded {
      var record = try ByteCursor(file, part: "the Zip64 end record", from: place, count: 56)
      _ = try record.bytes(32)
      entries = try record.nextSize()
      size = try record.nextSize()
      offset = try record.nextSize()
    }
    return place
  }

  /// Finds the directory right before the records at the end, as Python's `zipfile` does, if it is
  /// not at its offset.
  private mutating func skipPrefix(in file: MappedFile, end: Int) {
    guard entries > 0, size < end, end - size > offset,
      Self.signature(at: end - size, in: file) == Self.recordSignature
    else { return }
    shift = end - size - offset
    offset += shift
  }

  private static func signature(at offset: Int, in file: MappedFile) -> UInt32? {
    ByteView(UnsafeRawBufferPointer(file.bytes), littleEndian: true).number(at: offset, size: 4)
      .map { UInt32($0) }
  }

  /// Searches backwards, because a comment of up to 65,535 bytes may follow the record.
  private static func endRecord(in file: MappedFile) throws(DVAEError) -> Int {
    let lowest = max(0, file.count - 22 - 0xFFFF)
    for start in stride(from: file.count - 22, through: lowest, by: -1) {
      let signature = file.bytes.loadUnaligned(fromByteOffset: start, as: UInt32.self)
      if UInt32(littleEndian: signature) == 0x0605_4B50 { return start }
    }
    throw .malformed(
      path: file.path,
      problem: "a zip archive without the directory that is at its end, so probably cut short")
  }
}
