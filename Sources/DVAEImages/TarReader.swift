public import DVAEFiles

/// One regular file in a tar archive.
public struct TarEntry: Sendable, Hashable {
  /// The path stored in the archive.
  public let name: String
  /// Where its first header starts, in bytes; extension headers count as its own.
  public let start: Int
  /// Where its contents start, in bytes.
  public let offset: Int
  /// Bytes of its contents.
  public let size: Int
  /// Where the next header starts, in bytes.
  public var end: Int { offset + TarFormat.padded(size) }
}

/// What the reader and the writer of tar archives share.
enum TarFormat {
  static let block = 512

  /// A size rounded up to whole blocks.
  static func padded(_ size: Int) -> Int { size + (block - size % block) % block }
}

/// Reads the regular files of a tar archive in order: ustar, GNU long names, pax paths and sizes.
///
/// Only headers are read, so memory does not grow with the archive. Folders, links and devices are
/// passed over. Nothing in the archive is trusted: sizes are checked against the file's own.
public struct TarReader: Sendable {
  /// The archive.
  public let file: InputFile
  /// True after the archive's end mark has been met, as at the end of every complete archive.
  public private(set) var isTerminated = false
  /// The end of the last entry returned, in bytes.
  public private(set) var lastEnd = 0
  private var position = 0
  private var isDone = false

  /// Long names and pax records may not be larger than this.
  private static let maximumExtension = 1 << 20

  /// Opens an archive.
  public init(path: String) throws(DVAEError) {
    file = try InputFile(path: path)
  }

  /// The next regular file, or nil at the end.
  ///
  /// - Throws: `DVAEError.badTar` where the archive is damaged or cut off; after that the reader
  ///   is at its end.
  public mutating func next() throws(DVAEError) -> TarEntry? {
    guard !isDone else { return nil }
    isDone = true
    let entry = try advance()
    isDone = entry == nil
    lastEnd = entry?.end ?? lastEnd
    return entry
  }

  /// The contents of an entry of this archive.
  ///
  /// - Throws: `DVAEError.tooManyBytes` where it is larger than `limit`, before any is read.
  public func bytes(
    of entry: TarEntry, limit: Int = DecodingLimits.default.maximumBytes
  ) throws(DVAEError) -> [UInt8] {
    try file.contents(of: entry, limit: limit)
  }

  private mutating func advance() throws(DVAEError) -> TarEntry? {
    let start = position
    var overrides = TarOverrides()
    while let header = try nextHeader() {
      let offset = position
      var size = header.size
      switch header.kind {
      case "L", "x":
        let bytes = try extensionBytes(header)
        if header.kind == "L" {
          overrides.path = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        } else {
          guard overrides.read(pax: bytes) else { throw bad("a pax record is malformed", offset) }
        }
      case "g", "K":
        _ = try extensionBytes(header)
      case "S":
        throw bad("a sparse file, which is not supported", offset - TarFormat.block)
      case "1", "2", "3", "4", "5", "6":
        // Links, devices and folders have no contents, whatever their size says.
        overrides = TarOverrides()
      default:
        size = overrides.size ?? size
        try skip(size, header)
        let name = overrides.path ?? header.name
        // Before POSIX a folder was a file whose name ends so.
        let isFile = "0\07".contains(header.kind) && !Path(name).endsWithSlash
        if isFile {
          return TarEntry(name: name, start: start, offset: offset, size: size)
        }
        overrides = TarOverrides()
      }
    }
    return nil
  }

  /// Reads the header at the position; nil at the end of the archive.
  private mutating func nextHeader() throws(DVAEError) -> TarHeader? {
    let block = try file.read(at: position, count: TarFormat.block)
    guard block.count == TarFormat.block else {
      throw bad("the file ends here, without the end mark of an archive", position)
    }
    if block.allSatisfy({ $0 == 0 }) {
      isTerminated = true
      return nil
    }
    guard let header = TarHeader(block) else {
      throw bad(
        position == 0 ? "this is no tar header" : "a header's checksum or size is wrong", position)
    }
    position += TarFormat.block
    return header
  }

  private mutating func extensionBytes(_ header: TarHeader) throws(DVAEError) -> [UInt8] {
    guard header.size <= Self.maximumExtension else {
      throw bad("an extension header of \(header.size) bytes", position - TarFormat.block)
    }
    let offset = position
    try skip(header.size, header)
    return try file.read(at: offset, count: header.size)
  }

  /// Moves past the contents and their padding, which must be there.
  private mutating func skip(_ size: Int, _ header: TarHeader) throws(DVAEError) {
    // Compared without padding first, which could overflow.
    let left = file.size - position
    guard size <= left && TarFormat.padded(size) <= left else {
      throw bad(
        "\(header.name) has \(size) bytes, the archive ends after \(left)",
        position)
    }
    position += TarFormat.padded(size)
  }

  private func bad(_ reason: String, _ offset: Int) -> DVAEError {
    .badTar(path: file.path, offset: offset, reason: reason)
  }
}

extension InputFile {
  /// The contents of an entry of this tar archive, all of them.
  func contents(of entry: TarEntry, limit: Int) throws(DVAEError) -> [UInt8] {
    guard entry.size <= limit else {
      throw .tooManyBytes(name: "\(path): \(entry.name)", bytes: entry.size, limit: limit)
    }
    let bytes = try read(at: entry.offset, count: entry.size)
    guard bytes.count == entry.size else {
      throw .badTar(path: path, offset: entry.offset, reason: "the file has been cut off")
    }
    return bytes
  }
}

/// The fields of one 512-byte header that matter here.
struct TarHeader {
  let name: String
  let size: Int
  let kind: Character

  /// Fails where the checksum or the size is not sound.
  init?(_ block: [UInt8]) {
    // The checksum counts its own field as spaces; ancient writers summed signed bytes.
    var (unsigned, signed) = (0, 0)
    for (index, byte) in block.enumerated() {
      let byte = (148..<156).contains(index) ? UInt8(ascii: " ") : byte
      unsigned += Int(byte)
      signed += Int(Int8(bitPattern: byte))
    }
    guard let checksum = Self.number(block[148..<156]),
      checksum == unsigned || checksum == signed,
      let size = Self.number(block[124..<136])
    else { return nil }
    var name = Self.text(block[0..<100])
    let prefix = Self.text(block[345..<500])
    // GNU's older format uses the prefix for other things and has another magic.
    if block[257..<263].elementsEqual("ustar\0".utf8) && !prefix.isEmpty {
      name = prefix + "/" + name
    }
    self.name = name
    self.size = size
    kind = Character(Unicode.Scalar(block[156]))
  }

  private static func text(_ field: ArraySlice<UInt8>) -> String {
    String(decoding: field.prefix { $0 != 0 }, as: UTF8.self)
  }

  /// Octal digits among spaces, or GNU's base 256 behind a high bit; never negative.
  private static func number(_ field: ArraySlice<UInt8>) -> Int? {
    if let first = field.first, first & 0x80 != 0 {
      guard first == 0x80 else { return nil }
      let bytes = field.dropFirst().drop { $0 == 0 }
      guard bytes.count <= 7 else { return nil }
      return bytes.reduce(0) { $0 << 8 | Int($1) }
    }
    let digits = field.drop { $0 == UInt8(ascii: " ") }
      .prefix { $0 != 0 && $0 != UInt8(ascii: " ") }
    guard digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "7")).contains($0) }) else {
      return nil
    }
    return digits.reduce(0) { $0 << 3 | Int($1 - UInt8(ascii: "0")) }
  }
}

/// What extension headers say about the entry after them.
struct TarOverrides {
  var path: String?
  var size: Int?

  /// Takes path and size from pax records, "LENGTH KEY=VALUE\n" each; false where they are broken.
  mutating func read(pax bytes: [UInt8]) -> Bool {
    var rest = bytes[...]
    while let first = rest.first, first != 0 {
      guard let space = rest.firstIndex(of: UInt8(ascii: " ")),
        let length = Int(String(decoding: rest[..<space], as: UTF8.self)),
        length > space - rest.startIndex + 1, length <= rest.count
      else { return false }
      let record = rest[(space + 1)..<(rest.startIndex + length)]
      rest = rest.dropFirst(length)
      guard record.last == UInt8(ascii: "\n"), let equals = record.firstIndex(of: UInt8(ascii: "="))
      else { return false }
      let value = String(decoding: record[(equals + 1)...].dropLast(), as: UTF8.self)
      switch String(decoding: record[..<equals], as: UTF8.self) {
      case "path": path = value
      case "size":
        guard let number = Int(value), number >= 0 else { return false }
        size = number
      default: break
      }
    }
    return true
  }
}
