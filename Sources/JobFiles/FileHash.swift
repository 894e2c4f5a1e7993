import Crypto

/// SHA-256 of files and of lists.
package struct FileHash {
  private var hash = SHA256()

  /// Starts with nothing.
  package init() {}

  /// Adds text; its length is hashed too, so that `ab` + `c` is not `a` + `bc`.
  package mutating func add(_ text: String) {
    hash.update(data: Array("\(text.utf8.count):\(text)".utf8))
  }

  /// Adds bytes as they are.
  package mutating func update(_ bytes: [UInt8]) { hash.update(data: bytes) }

  /// The hash so far, 64 hexadecimal digits.
  package func finished() -> String {
    hash.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
