package import DVAEFiles

/// Walks a folder depth first, in the order of the paths' bytes, and enters each real folder once;
/// only the listings of one branch are in memory.
///
/// Images of unsupported formats are found too, so that they can be reported.
package struct FolderWalk: Sendable {
  /// An image or an archive below the folder.
  typealias Found = (path: String, key: String)

  private struct Level {
    var path: String
    var key: String
    /// Sorted names; a folder's name ends with a slash, which also puts it in the right order.
    var names: [String]
    /// The index of the next name; removing names would copy the array.
    var position = 0
    /// Names without extension that several images share.
    var shared: Set<Path>
    /// Names in which invalid UTF-8 was replaced.
    var repaired: Set<Path>

    func key(of name: String) -> String { key.isEmpty ? name : key + "/" + name }
  }

  private var levels: [Level] = []
  // The folders entered so far; folders that link to each other have infinitely many paths.
  private var visited: Set<FileIdentity> = []
  private var entering: (path: String, key: String)?

  init(_ path: String, key: String) {
    entering = (path, key)
  }

  /// Returns the next image or archive, or nil at the end.
  ///
  /// An error means a folder that cannot be listed or a name that is not UTF-8; the walk continues
  /// after it.
  mutating func next() throws(DVAEError) -> Found? {
    while true {
      if let (path, key) = entering {
        entering = nil
        try enter(path, key: key)
      }
      guard let level = levels.last else { return nil }
      guard level.position < level.names.count else {
        levels.removeLast()
        continue
      }
      levels[levels.count - 1].position += 1
      let name = level.names[level.position]
      if level.repaired.contains(Path(name)) {
        throw .unreadable(
          path: (Path(level.path) / name).text, reason: "its name is not UTF-8; rename it")
      }
      if Path(name).endsWithSlash {
        let folder = String(name.unicodeScalars.dropLast())
        entering = ((Path(level.path) / folder).text, level.key(of: folder))
        continue
      }
      let stem = Path(name).withoutExtension
      return (
        path: (Path(level.path) / name).text,
        key: level.key(
          of: Path(name).hasImageExtension && !level.shared.contains(stem) ? stem.text : name)
      )
    }
  }

  /// Whether a name is hidden, or that of a folder which a system fills by itself.
  package static func isPassedOver(_ entry: FolderEntry) -> Bool {
    Path(entry.name).isHidden || (entry.isFolder && isSystemFolder(Path(entry.name)))
  }

  /// Whether a folder holds what its owner did not put there: thumbnails, recycle bins and snapshots
  /// of network drives and Windows, and the resource forks of macOS's archives.
  static func isSystemFolder(_ name: Path) -> Bool { systemFolders.contains(name) }

  private static let systemFolders = Set(
    [
      "@eaDir", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot", "$RECYCLE.BIN",
      "System Volume Information", "__MACOSX",
    ].map { Path($0) })

  /// Returns whether a file begins as an image does though its name does not say so, or cannot be read, which
  /// will be reported.
  package static func isUnnamedImage(_ entry: FolderEntry, in folder: String) -> Bool {
    guard entry.isRegular else { return false }
    do throws(DVAEError) {
      return try ImageFormat.ofUnnamed(entry.name) { count throws(DVAEError) in
        try InputFile(path: (Path(folder) / entry.name).text).read(at: 0, count: count)
      } != nil
    } catch {
      return true
    }
  }

  private mutating func enter(_ path: String, key: String) throws(DVAEError) {
    let identity = FileIdentity(path)
    if let identity, !visited.insert(identity).inserted { return }
    var names: [String] = []
    var seen: Set<Path> = []
    var (shared, repaired): (Set<Path>, Set<Path>) = ([], [])
    for entry in try FileSystem.entries(of: path) where !Self.isPassedOver(entry) {
      let (name, isFolder) = (entry.name, entry.isFolder)
      let isImage =
        !isFolder
        && (Path(name).hasImageExtension || Self.isUnnamedImage(entry, in: path))
      guard isFolder || isImage || Path(name).isArchive || Path(name).hasOtherImageExtension
      else { continue }
      let listed = isFolder ? name + "/" : name
      names.append(listed)
      if !entry.isUTF8 { repaired.insert(Path(listed)) }
      guard isImage else { continue }
      let stem = Path(name).hasImageExtension ? Path(name).withoutExtension : Path(name)
      if !seen.insert(stem).inserted { shared.insert(stem) }
    }
    names.sort { Path($0) < Path($1) }
    levels.append(
      Level(
        path: path, key: key, names: names, shared: shared, repaired: repaired))
  }
}
