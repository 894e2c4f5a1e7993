import DVAEImages
import DVAEFiles

/// The mark with which some programs begin UTF-8.
enum ByteOrderMark {
  private static let utf8: [UInt8] = [0xEF, 0xBB, 0xBF]

  static func removed(from bytes: [UInt8]) -> [UInt8] {
    bytes.starts(with: utf8) ? Array(bytes.dropFirst(utf8.count)) : bytes
  }
}

/// The bytes of a table, read from front to back.
struct ByteSource {
  let name: String
  let read: (_ count: Int, _ offset: Int) throws -> [UInt8]

  private static let unreadable: [(magic: [UInt8], name: String, remedy: String)] = [
    ([0x1F, 0x8B], "compressed by gzip", "decompress it first (gunzip)"),
    ([0xFF, 0xFE], "UTF-16", "convert it first (iconv -f UTF-16 -t UTF-8)"),
    ([0xFE, 0xFF], "UTF-16", "convert it first (iconv -f UTF-16 -t UTF-8)"),
  ]

  /// Opens a file; one that is compressed by bzip2 gives what it was before.
  init(path: String) throws {
    let file = try InputFile(path: path)
    name = path
    let head = try file.read(at: 0, count: 3)
    if let found = Self.unreadable.first(where: { head.starts(with: $0.magic) }) {
      throw DVAEError(.badData, file: path, "is \(found.name), which is not read: \(found.remedy)")
    }
    if head == BZip2Reader.magic {
      let reader = BZip2Reader(file)
      read = { count, _ in try reader.read(count) }
    } else {
      read = { try file.read(at: $1, count: $0) }
    }
  }

  /// The lines, the last of which may lack its newline.
  func lines() -> LineReader { LineReader(name, read: read) }
}
