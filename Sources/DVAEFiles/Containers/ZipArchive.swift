/// The directory of a zip archive, including Zip64; `torch.save` has used this container since
/// PyTorch 1.6, with uncompressed entries.
package struct ZipArchive {
  /// The compression of an entry, by zip's number.
  package enum Method: UInt16 {
    case stored = 0
    case deflated = 8
  }

  package struct Entry {
    package let name: String
    package let method: Method
    /// The range of the entry's stored bytes in the file.
    package let range: Range<Int>
    /// The uncompressed size.
    package let size: Int
    /// The CRC-32 of the bytes; PyTorch can be told to write 0 instead.
    package let checksum: UInt32
  }

  /// The entries in the directory's order.
  package private(set) var entries: [Entry] = []
  private let file: MappedFile
  private var positions: [Key: Int] = [:]

  static let maximumEntries = 1 << 18

  package subscript(name: String) -> Entry? { positions[Key(name)].map { entries[$0] } }

  package init(_ file: MappedFile, methods: Set<Method> = [.stored]) throws(DVAEError) {
    self.file = file
    let directory = try Directory.find(in: file)
    guard directory.entries <= Self.maximumEntries else {
      throw .limitExceeded(
        path: file.path, what: "a zip archive of \(directory.entries) entries",
        limit: Self.maximumEntries)
    }
    var cursor = try ByteCursor(
      file, part: "the zip directory", from: directory.offset, count: directory.size)
    for _ in 0..<directory.entries {
      let entry = try Self.entry(&cursor, in: file, methods)
      guard positions.updateValue(entries.count, forKey: Key(entry.name)) == nil else {
        throw .malformed(path: file.path, problem: "the zip entry '\(entry.name)' is there twice")
      }
      entries.append(entry)
    }
    try checkOverlaps()
  }

  /// Entries that share bytes would multiply the work of reading a small file.
  private func checkOverlaps() throws(DVAEError) {
    let ordered = entries.sorted { $0.range.lowerBound < $1.range.lowerBound }
    for (entry, next) in zip(ordered, ordered.dropFirst())
    where entry.range.upperBound > next.range.lowerBound {
      throw .malformed(
        path: file.path, problem: "the zip entries '\(entry.name)' and '\(next.name)' overlap")
    }
  }

  /// Verifies a stored entry's checksum, if it has one.
  package func verify(_ entry: Entry) throws(DVAEError) {
    guard entry.checksum != 0 else { return }
    let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[entry.range])
    try verify(entry, checksum: CRC32.checksum(bytes))
  }

  /// Verifies the checksum of an entry's bytes, if it has one.
  package func verify(_ entry: Entry, checksum: UInt32) throws(DVAEError) {
    guard entry.checksum == 0 || checksum == entry.checksum else {
      throw .malformed(
        path: file.path, problem: "the zip entry '\(entry.name)' does not match its checksum")
    }
  }

  /// Reads one entry of the directory and its local header.
  private static func entry(
    _ cursor: inout ByteCursor, in file: MappedFile, _ methods: Set<Method>
  ) throws(DVAEError) -> Entry {
    guard try cursor.next(UInt32.self) == 0x0201_4B50 else {
      throw .malformed(path: file.path, problem: "the zip directory has a bad entry")
    }
    _ = try cursor.bytes(4)  // versions
    let flags: UInt16 = try cursor.next()
    let method = Method(rawValue: try cursor.next())
    _ = try cursor.bytes(4)  // time and date
    let checksum: UInt32 = try cursor.next()
    var sizes = EntrySizes(
      compressed: try cursor.next(UInt32.self), uncompressed: try cursor.next(UInt32.self))
    let nameLength = Int(try cursor.next(UInt16.self))
    let extraLength = Int(try cursor.next(UInt16.self))
    let commentLength = Int(try cursor.next(UInt16.self))
    _ = try cursor.bytes(8)  // disk and attributes
    sizes.headerOffset = UInt64(try cursor.next(UInt32.self))
    let nameBytes = try cursor.bytes(nameLength)
    let name = String(decoding: nameBytes, as: UTF8.self)
    try sizes.applyZip64(
      ByteCursor(file, part: "the zip directory", from: cursor.offset, count: extraLength))
    _ = try cursor.bytes(extraLength)
    _ = try cursor.bytes(commentLength)

    let advice =
      methods.contains(.deflated)
      ? "unpack the archive and pack it again with any common program"
      : "save the weights again with torch.save, or convert them to safetensors"
    guard flags & 0x2041 == 0 else {
      throw .unsupported(path: file.path, what: "the encrypted zip entry '\(name)'", advice: advice)
    }
    guard let method, methods.contains(method) else {
      throw .unsupported(
        path: file.path, what: "the compressed zip entry '\(name)'", advice: advice)
    }
    let start = try dataStart(sizes.headerOffset, nameBytes, in: file)
    guard let count = Int(exactly: sizes.compressed), count <= file.count - start else {
      throw .truncated(
        path: file.path, part: "the zip entry '\(name)'",
        needed: Int(clamping: sizes.compressed), available: file.count - start)
    }
    guard let size = Int(exactly: sizes.uncompressed), method != .stored || size == count else {
      throw .malformed(
        path: file.path, problem: "the zip entry '\(name)' has an impossible size")
    }
    return Entry(
      name: name, method: method, range: start..<start + count, size: size, checksum: checksum)
  }

  /// Returns the position after an entry's local header, which must name the same entry.
  private static func dataStart(
    _ headerOffset: UInt64, _ name: UnsafeRawBufferPointer, in file: MappedFile
  ) throws(DVAEError) -> Int {
    let part = "a zip entry's header"
    guard let offset = Int(exactly: headerOffset), offset <= file.count else {
      throw .truncated(path: file.path, part: part, needed: 30, available: 0)
    }
    var cursor = try ByteCursor(file, part: part, from: offset, count: file.count - offset)
    let signature: UInt32 = try cursor.next()
    _ = try cursor.bytes(22)
    let nameLength = Int(try cursor.next(UInt16.self))
    let extraLength = Int(try cursor.next(UInt16.self))
    guard signature == 0x0403_4B50, try cursor.bytes(nameLength).elementsEqual(name) else {
      throw .malformed(path: file.path, problem: "the zip directory points beside its entries")
    }
    _ = try cursor.bytes(extraLength)
    return cursor.offset
  }
}

/// The sizes of a zip entry, whose 32-bit fields may refer to the Zip64 extra field.
private struct EntrySizes {
  var compressed: UInt64
  var uncompressed: UInt64
  var headerOffset: UInt64 = 0

  init(compressed: UInt32, uncompressed: UInt32) {
    self.compressed = UInt64(compressed)
    self.uncompressed = UInt64(uncompressed)
  }

  /// Replaces fields of all ones by the Zip64 extra field's, in its fixed order.
  mutating func applyZip64(_ extra: ByteCursor) throws(DVAEError) {
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
}

/// The location of a zip archive's directory, from the record at the file's end.
private struct Directory {
  let entries: Int
  let size: Int
  let offset: Int

  static func find(in file: MappedFile) throws(DVAEError) -> Directory {
    let end = try endRecord(in: file)
    var cursor = try ByteCursor(
      file, part: "the zip end record", from: end, count: file.count - end)
    _ = try cursor.bytes(10)
    let entries = Int(try cursor.next(UInt16.self))
    let size = Int(try cursor.next(UInt32.self))
    let offset = Int(try cursor.next(UInt32.self))
    guard entries == 0xFFFF || size == 0xFFFF_FFFF || offset == 0xFFFF_FFFF, end >= 20 else {
      return Directory(entries: entries, size: size, offset: offset)
    }
    var locator = try ByteCursor(file, part: "the Zip64 locator", from: end - 20, count: 20)
    guard try locator.next(UInt32.self) == 0x0706_4B50 else {
      return Directory(entries: entries, size: size, offset: offset)
    }
    _ = try locator.bytes(4)
    var record = try ByteCursor(
      file, part: "the Zip64 end record", from: try locator.nextSize(), count: 56)
    guard try record.next(UInt32.self) == 0x0606_4B50 else {
      throw .malformed(path: file.path, problem: "the Zip64 locator points to no record")
    }
    _ = try record.bytes(28)
    return Directory(
      entries: try record.nextSize(), size: try record.nextSize(), offset: try record.nextSize())
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
