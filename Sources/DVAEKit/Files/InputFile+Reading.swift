import DVAEImages
import DVAEFiles

extension FileHash {
  /// The hash of a file's bytes, or of a part of them: what `sha256sum` prints.
  package static func of(_ path: String, _ range: Range<Int>? = nil) throws -> String {
    let file = try InputFile(path: path)
    return try of(range ?? 0..<file.size) { try file.read(at: $0, count: $1) }
  }

  /// The hash of what has been written to a file so far.
  static func of(_ file: OutputFile) throws -> String {
    try of(0..<file.size) { try file.read($1, at: $0) }
  }

  // Piece by piece, whatever the file's length.
  private static func of(
    _ range: Range<Int>, read: (_ offset: Int, _ count: Int) throws -> [UInt8]
  ) throws -> String {
    var hash = FileHash()
    let piece = 1 << 20
    for offset in stride(from: range.lowerBound, to: range.upperBound, by: piece) {
      hash.update(try read(offset, min(piece, range.upperBound - offset)))
    }
    return hash.finished()
  }
}

extension LineReader {
  /// Reads from the start of a finished file, whose last line may lack its newline.
  init(_ file: InputFile) {
    self.init(file.path) { try file.read(at: $1, count: $0) }
  }
}
