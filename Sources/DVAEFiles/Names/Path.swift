#if canImport(FoundationEssentials)
package import FoundationEssentials
#else
package import Foundation
#endif

/// A path in the file system, compared and cut over its UTF-8 bytes.
///
/// Swift's `String` compares by canonical equivalence and cuts between grapheme clusters: to it, a
/// slash with a combining mark behind it is no slash, and `é` in one code point is `é` in two. To a
/// file system they are different bytes, so `String` must not decide about a file.
package struct Path: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The path as system calls take it.
  package let text: String

  /// Makes a path.
  package init(_ text: String) { self.text = text }

  /// Makes the path that a file URL names, byte for byte; of another URL, one that names no file.
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

  /// The folder that the path lies in: `a/b` of `a/b/c`, `.` of a bare name.
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

  /// The path without slashes at its end; the root stays.
  package var withoutTrailingSlashes: Path {
    var bytes = Array(text.utf8)
    while bytes.count > 1, bytes.last == slash { bytes.removeLast() }
    return Path(String(decoding: bytes, as: UTF8.self))
  }

  /// A path as seen from a folder; an absolute one stays as it is.
  package static func / (folder: Path, path: String) -> Path {
    if Path(path).isAbsolute || folder.text.utf8.elementsEqual(".".utf8) { return Path(path) }
    return Path(folder.endsWithSlash ? folder.text + path : folder.text + "/" + path)
  }

  /// The text.
  package var description: String { text }

  /// Whether two paths have the same bytes.
  package static func == (left: Path, right: Path) -> Bool {
    left.text.utf8.elementsEqual(right.text.utf8)
  }

  /// Whether the bytes of one path come before those of another.
  package static func < (left: Path, right: Path) -> Bool {
    left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
  }

  /// Feeds the bytes.
  package func hash(into hasher: inout Hasher) { text.hashBytes(into: &hasher) }
}

private let slash = UInt8(ascii: "/")
