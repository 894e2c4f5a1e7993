import DVAEFiles
import DVAEImages

/// The folder of a table's images.
///
/// Tables come from others, so files outside the folder are not read. Links within the folder are
/// followed, because its owner made them.
struct ImageFolder {
  private let path: String
  // The absolute path.
  private let whole: String
  private let components: [String]

  /// The requested folder, or else the table's own.
  init(_ settings: SourceSettings, table: String) {
    let given = settings.images ?? Path(table).folder.text
    path = given.isEmpty ? "." : given
    whole = (Path(FileSystem.currentFolder) / path).text
    components = Self.standardized(whole)
  }

  /// Returns the image of a table's text: an address, or a file relative to the folder; nil if it
  /// is outside.
  func image(_ text: String) -> ImageReference? {
    if text.utf8.contains("://".utf8) {
      // Addresses cannot hold blanks, as in Python's urllib; names of files can.
      return .address(trimmed(text))
    }
    let target = Self.standardized((Path(whole) / text).text)
    guard target.count > components.count,
      target.starts(with: components, by: { Path($0) == Path($1) })
    else { return nil }
    // Without `..`, which would lead elsewhere after a link.
    let inside = target.dropFirst(components.count).joined(separator: "/")
    return .item(InputItem(key: text, origin: .file(path: (Path(path) / inside).text)))
  }

  private static func standardized(_ path: String) -> [String] {
    Path(path).components.reduce(into: [String]()) { components, next in
      if next == ".." { _ = components.popLast() } else { components.append(next) }
    }
  }
}

/// Returns a text without the white space at its ends.
func trimmed(_ text: String) -> String {
  let scalars = text.unicodeScalars.drop { $0.properties.isWhitespace }
  return scalars.lastIndex { !$0.properties.isWhitespace }.map { String(scalars[...$0]) } ?? ""
}
