import ImagePipeline
import JobFiles

/// The bytes of a table, read from front to back.
struct ByteSource {
  let name: String
  let read: (_ count: Int, _ offset: Int) throws -> [UInt8]

  /// Opens a file.
  init(path: String) throws {
    let file = try InputFile(path: path)
    name = path
    read = { try file.read(at: $1, count: $0) }
  }

  /// The lines, the last of which may lack its newline.
  func lines() -> LineReader { LineReader(name, read: read) }
}
