import ImagePipeline
import JobFiles

/// The bytes of a table, read from front to back.
struct ByteSource {
  let name: String
  let read: (_ count: Int, _ offset: Int) throws -> [UInt8]

  /// Opens a file; one that is compressed by bzip2 gives what it was before.
  init(path: String) throws {
    let file = try InputFile(path: path)
    name = path
    if try file.read(at: 0, count: 3) == BZip2Reader.magic {
      let reader = BZip2Reader(file)
      read = { count, _ in try reader.read(count) }
    } else {
      read = { try file.read(at: $1, count: $0) }
    }
  }

  /// The lines, the last of which may lack its newline.
  func lines() -> LineReader { LineReader(name, read: read) }
}
