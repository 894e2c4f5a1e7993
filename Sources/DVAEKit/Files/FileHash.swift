import Crypto
import ImagePipeline

/// SHA-256 of files and of lists.
package struct FileHash {
  private var hash = SHA256()

  /// Starts with nothing.
  package init() {}

  /// Adds text; its length is hashed too, so that `ab` + `c` is not `a` + `bc`.
  package mutating func add(_ text: String) {
    hash.update(data: Array("\(text.utf8.count):\(text)".utf8))
  }

  /// The hash so far, 64 hexadecimal digits.
  package func finished() -> String { Self.hexadecimal(hash.finalize()) }

  /// The hash of a file's bytes, read piece by piece: what `sha256sum` prints.
  package static func of(_ path: String) throws -> String {
    let file = try InputFile(path: path)
    var hash = SHA256()
    let piece = 1 << 20
    for offset in stride(from: 0, to: file.size, by: piece) {
      hash.update(data: try file.read(at: offset, count: piece))
    }
    return hexadecimal(hash.finalize())
  }

  private static func hexadecimal(_ digest: SHA256.Digest) -> String {
    digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
