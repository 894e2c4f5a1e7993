import ImagePipeline
import JobFiles

extension FileHash {
  /// The hash of a file's bytes, read piece by piece: what `sha256sum` prints.
  package static func of(_ path: String) throws -> String {
    let file = try InputFile(path: path)
    var hash = FileHash()
    let piece = 1 << 20
    for offset in stride(from: 0, to: file.size, by: piece) {
      hash.update(try file.read(at: offset, count: piece))
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
