import DVAEFiles

/// The bytes of a table, read from front to back.
struct ByteSource {
  private let file: InputFile
  // Nil for a file that is not compressed.
  private let decompressor: BZip2Reader?

  /// Opens a file; bzip2 is decompressed.
  init(path: String) throws {
    file = try InputFile(path: path)
    let head = try file.read(at: 0, count: 512)
    decompressor = head.starts(with: BZip2Reader.magic) ? BZip2Reader(file) : nil
    let content = head.withUnsafeBytes { FileContent($0) }
    guard decompressor != nil || Self.mayBeTable(head, content.family) else {
      throw DVAEError(
        .badData, file: path, expected: "a table", found: content.name,
        advice: content.family == .table ? "convert it to CSV or JSON Lines" : nil)
    }
  }

  var name: String { file.path }

  /// Returns up to `count` bytes at an offset, which must be the end of those before it if the file is
  /// compressed; none at the end.
  func read(at offset: Int, count: Int) throws -> [UInt8] {
    try decompressor?.read(count) ?? file.read(at: offset, count: count)
  }

  private static func mayBeTable(_ head: [UInt8], _ family: FileContent.Family) -> Bool {
    switch family {
    case .indirect, .zip, .table, .tensors: return false
    // The name of a column may begin with the signature of an image, and a caption may be markup.
    case .image, .tar, .webPage:
      let first = head.withoutByteOrderMark.first { $0 > UInt8(ascii: " ") }
      return first != UInt8(ascii: "<") && !head.contains(0)
    case .downloadLog, .text, .other: return true
    }
  }

  /// The longest line of a table, in bytes.
  static let longestLine = 1 << 24

  /// Returns the lines, the last of which may lack its newline.
  func lines(universalNewlines: Bool = false) -> LineReader {
    LineReader(
      name, longest: Self.longestLine, universalNewlines: universalNewlines, read: read(at:count:))
  }

  /// Returns all bytes, of which none were read: the mapped file, or a decompressed one in memory.
  ///
  /// - Throws: `tooManyBytes` for a compressed file larger than `limit`
  func mapped(limit: Int) throws -> MappedFile {
    guard decompressor != nil else { return try MappedFile(path: name) }
    var bytes: [UInt8] = []
    while true {
      let piece = try read(at: bytes.count, count: 1 << 20)
      if piece.isEmpty { return try MappedFile(copying: bytes, path: name) }
      bytes += piece
      guard bytes.count <= limit else {
        throw DVAEError.tooManyBytes(name: name, bytes: bytes.count, limit: limit)
      }
    }
  }
}

extension LineReader {
  /// Returns the next line, or the error of one that is too long; nil at the end.
  mutating func nextRow() throws -> Result<ArraySlice<UInt8>, DVAEError>? {
    do {
      return try next().map { .success($0) }
    } catch let error as DVAEError where error.code == .tooManyBytes {
      return .failure(error)
    }
  }
}
