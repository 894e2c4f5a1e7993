#if canImport(FoundationEssentials)
package import FoundationEssentials
#else
package import Foundation
#endif

/// A path in the file system, compared and split by its UTF-8 bytes.
///
/// Swift's `String` compares by canonical equivalence and splits between grapheme clusters: it does
/// not see a slash before a combining mark, and it equates the two encodings of `é`. To a file
/// system they are different bytes, so files must not be identified by `String`.
package struct Path: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The path for system calls.
  package let text: String

  /// Makes a path.
  package init(_ text: String) { self.text = text }

  /// Makes the path of a file URL, byte for byte; for another URL, a path that names no file.
  package init(_ url: URL) {
    text = url.withUnsafeFileSystemRepresentation { bytes in
      bytes.map { String(cString: $0) } ?? url.absoluteString
    }
  }

  /// The parts between slashes, without empty ones and `.`.
  package var components: [String] {
    text.utf8.split(separator: slash).map { String(decoding: $0, as: UTF8.self) }
      .filter { !$0.utf8.elementsEqual(".".utf8) }
  }

  /// The last part: `c` of `a/b/c`.
  package var name: String {
    guard let last = text.utf8.lastIndex(of: slash) else { return text }
    return String(decoding: text.utf8[text.utf8.index(after: last)...], as: UTF8.self)
  }

  /// The path's folder: `a/b` of `a/b/c`, `.` of a bare name.
  package var folder: Path {
    guard let last = text.utf8.lastIndex(of: slash) else { return Path(".") }
    guard last != text.utf8.startIndex else { return Path("/") }
    return Path(String(decoding: text.utf8[..<last], as: UTF8.self))
  }

  /// The extension of the last part in lower case, without the dot; empty without one.
  package var fileExtension: String {
    let name = name.utf8
    guard let dot = name.lastIndex(of: UInt8(ascii: ".")), dot > name.startIndex else { return "" }
    return String(decoding: name[name.index(after: dot)...], as: UTF8.self).lowercased()
  }

  /// The path up to the dot of its extension.
  package var withoutExtension: Path {
    let name = name.utf8
    guard let dot = name.lastIndex(of: UInt8(ascii: ".")), dot > name.startIndex,
      name.index(after: dot) < name.endIndex
    else { return self }
    return Path(String(decoding: text.utf8.dropLast(name[dot...].count), as: UTF8.self))
  }

  /// Whether the last part begins with a dot.
  package var isHidden: Bool { name.utf8.first == UInt8(ascii: ".") }

  /// Whether the path begins at the root.
  package var isAbsolute: Bool { text.utf8.first == slash }

  /// Whether the path ends with a slash.
  package var endsWithSlash: Bool { text.utf8.last == slash }

  /// The path without trailing slashes; the root stays.
  package var withoutTrailingSlashes: Path {
    var bytes = Array(text.utf8)
    while bytes.count > 1, bytes.last == slash { bytes.removeLast() }
    return Path(String(decoding: bytes, as: UTF8.self))
  }

  /// Joins a folder and a path; an absolute path stays unchanged.
  package static func / (folder: Path, path: String) -> Path {
    if Path(path).isAbsolute || folder.text.utf8.elementsEqual(".".utf8) { return Path(path) }
    return Path(folder.endsWithSlash ? folder.text + path : folder.text + "/" + path)
  }

  /// The text.
  package var description: String { text }

  /// Returns whether two paths have the same bytes.
  package static func == (left: Path, right: Path) -> Bool {
    left.text.utf8.elementsEqual(right.text.utf8)
  }

  /// Returns whether one path sorts before another by its bytes.
  package static func < (left: Path, right: Path) -> Bool {
    left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
  }

  /// Hashes the bytes.
  package func hash(into hasher: inout Hasher) { text.hashBytes(into: &hasher) }
}

private let slash = UInt8(ascii: "/")

/// Names of what is not finished: it gets its own name when all its bytes are there.
extension Path {
  private static let ending = ".partial"

  /// The path of an output while it is made, which a later run can continue: `NAME.partial`.
  package var unfinished: Path { Path(text + Self.ending) }

  /// The path of a file while it is written at once, which is hidden: `.NAME.partial`.
  package var temporary: Path { folder / ".\(name)\(Self.ending)" }

  /// Whether this is the path of an output while it is made.
  package var isUnfinished: Bool { text.hasByteSuffix(Self.ending) }

  /// Returns the name of the file that is written under a hidden name; other names stay as they are.
  package static func finalName(of name: String) -> String {
    name.withoutBytePrefix(".")?.withoutByteSuffix(ending) ?? name
  }
}
