/// A name inside a file or a job (a sample's key, a tensor's name, a member of an archive),
/// compared by its UTF-8 bytes; see `Path` for the reason.
package struct Key: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The name.
  package let text: String

  /// Makes a key from a name, unchanged.
  package init(_ text: String) { self.text = text }

  /// Makes a key that is a relative path and cannot escape its folder; empty if nothing is left.
  ///
  /// NUL bytes are removed first, because they could hide a `..` from the check.
  package init(insideFolder name: String) {
    let bytes = name.utf8.filter { $0 != 0 }
    let parts = bytes.split(separator: UInt8(ascii: "/")).filter {
      !$0.elementsEqual(".".utf8) && !$0.elementsEqual("..".utf8)
    }
    text = String(decoding: Array(parts.joined(separator: [UInt8(ascii: "/")])), as: UTF8.self)
  }

  /// Makes a key from path components that cannot escape its folder; empty if nothing is left.
  package init(insideFolder components: some Sequence<String>) {
    self.init(insideFolder: components.joined(separator: "/"))
  }

  /// The name.
  package var description: String { text }

  /// Returns whether two keys have the same bytes.
  package static func == (left: Key, right: Key) -> Bool {
    left.text.utf8.elementsEqual(right.text.utf8)
  }

  /// Returns whether one key sorts before another by its bytes.
  package static func < (left: Key, right: Key) -> Bool {
    left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
  }

  /// Hashes the bytes.
  package func hash(into hasher: inout Hasher) { text.hashBytes(into: &hasher) }
}

extension Dictionary where Key == DVAEFiles.Key {
  /// The value of a name.
  package subscript(name: String) -> Value? {
    get { self[Key(name)] }
    set { self[Key(name)] = newValue }
  }

  /// The values by text; of names that `String` takes for equal, only one is left.
  package var byText: [String: Value] {
    [String: Value](map { ($0.key.text, $0.value) }) { first, _ in first }
  }
}

extension String {
  func hashBytes(into hasher: inout Hasher) {
    var text = self
    text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
  }

  /// Returns whether the text begins with the bytes of another.
  package func hasBytePrefix(_ prefix: String) -> Bool { utf8.starts(with: prefix.utf8) }

  /// Returns whether the text ends with the bytes of another.
  package func hasByteSuffix(_ suffix: String) -> Bool {
    utf8.suffix(suffix.utf8.count).elementsEqual(suffix.utf8)
  }

  /// Returns the text without the bytes of another at its start; nil if it does not begin with them.
  package func withoutBytePrefix(_ prefix: String) -> String? {
    hasBytePrefix(prefix)
      ? String(decoding: utf8.dropFirst(prefix.utf8.count), as: UTF8.self) : nil
  }

  /// Returns the text without the bytes of another at its end; nil if it does not end with them.
  package func withoutByteSuffix(_ suffix: String) -> String? {
    hasByteSuffix(suffix)
      ? String(decoding: utf8.dropLast(suffix.utf8.count), as: UTF8.self) : nil
  }
}
