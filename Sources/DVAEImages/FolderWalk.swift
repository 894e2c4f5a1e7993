import DVAEFiles

/// Walks a folder depth first, in the order of the paths' bytes; it holds the listings of one
/// branch only.
struct FolderWalk: Sendable {
  /// An image or an archive of them below the folder.
  struct Found {
    var path: String
    var key: String
  }

  private struct Level {
    var path: String
    var key: String
    var identity: FolderIdentity?
    /// In order; a folder's name ends with a slash, which also sorts it right.
    var names: [String]
    /// The next name: an index, since the names would be copied were they taken away.
    var position = 0
    /// Names without extension that several images share.
    var shared: Set<String>
    /// Names that stand for some that are not UTF-8.
    var repaired: Set<String>

    func key(of name: String) -> String { key.isEmpty ? name : key + "/" + name }
  }

  private var levels: [Level] = []
  private var entering: (path: String, key: String)?

  init(_ path: String, key: String) {
    entering = (path, key)
  }

  /// The next image or archive, or nil at the end.
  ///
  /// An error is a folder that cannot be listed, or a name that is not UTF-8; the walk goes on after
  /// it.
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
      if level.repaired.contains(name) {
        throw .unreadable(
          path: Path.join(level.path, name), reason: "its name is not UTF-8; rename it")
      }
      if name.hasSuffix("/") {
        let folder = String(name.dropLast())
        entering = (Path.join(level.path, folder), level.key(of: folder))
        continue
      }
      let stem = Path.withoutExtension(name)
      return Found(
        path: Path.join(level.path, name),
        key: level.key(of: level.shared.contains(stem) ? name : stem))
    }
  }

  private mutating func enter(_ path: String, key: String) throws(DVAEError) {
    let identity = FolderIdentity(path)
    // A link that leads back up would be followed for ever.
    if identity != nil && levels.contains(where: { $0.identity == identity }) { return }
    var names: [String] = []
    var seen: Set<String> = []
    var (shared, repaired): (Set<String>, Set<String>) = ([], [])
    for (name, isFolder, isUTF8) in try folderContents(path) where !name.hasPrefix(".") {
      let isImage = !isFolder && Path.hasImageExtension(name)
      guard isFolder || isImage || Path.isArchive(name) else { continue }
      let listed = isFolder ? name + "/" : name
      names.append(listed)
      if !isUTF8 { repaired.insert(listed) }
      guard isImage else { continue }
      let stem = Path.withoutExtension(name)
      if !seen.insert(stem).inserted { shared.insert(stem) }
    }
    names.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    levels.append(
      Level(
        path: path, key: key, identity: identity, names: names, shared: shared, repaired: repaired))
  }
}
