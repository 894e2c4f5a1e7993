import DVAEFiles
import DVAEImages

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The folder that a table's images are in.
///
/// Tables are written by others, so what one names outside of the folder is not read. Links within
/// the folder are followed: they are its owner's.
struct ImageFolder {
  private let path: String
  // Seen from the root of the file system.
  private let whole: String
  private let components: [String]

  /// The folder that was asked for, else the table's own.
  init(_ settings: SourceSettings, table: String) {
    let given = settings.images ?? Path(table).folder.text
    path = given.isEmpty ? "." : given
    whole = (Path(FileManager.default.currentDirectoryPath) / path).text
    components = Self.standardized(whole)
  }

  /// What a text of the table refers to: an address, or a file as seen from the folder; nil for one
  /// outside of it.
  func image(_ text: String) -> ImageReference? {
    if text.contains("://") { return .address(text) }
    let target = Self.standardized((Path(whole) / text).text)
    guard target.count > components.count,
      target.starts(with: components, by: { Path($0) == Path($1) })
    else { return nil }
    // Without any `..`, which would lead elsewhere behind a link.
    let inside = target.dropFirst(components.count).joined(separator: "/")
    return .item(InputItem(key: text, origin: .file(path: (Path(path) / inside).text)))
  }

  private static func standardized(_ path: String) -> [String] {
    Path(path).components.reduce(into: [String]()) { components, next in
      if next == ".." { _ = components.popLast() } else { components.append(next) }
    }
  }
}
