/// The kind of thing that a path leads to, through symbolic links.
package enum FileKind: Sendable {
  /// Nothing is there.
  case missing
  /// A folder.
  case folder
  /// A file, or something that reads like one.
  case file
}

/// Questions and moves about whole files.
package enum FileSystem {
  /// Returns what a path leads to.
  package static func kind(_ path: String) -> FileKind {
    guard let status = try? SystemFile.status(at: path, followingLinks: true) else {
      return .missing
    }
    return status.kind == .folder ? .folder : .file
  }

  /// Whether something has this name, even a link that leads nowhere.
  package static func exists(_ path: String) -> Bool { (try? SystemFile.status(at: path)) != nil }

  /// Whether the path is a symbolic link itself.
  package static func isLink(_ path: String) -> Bool {
    (try? SystemFile.status(at: path))?.kind == .link
  }

  /// Returns the number of bytes in a file, nil if it is not there.
  package static func size(_ path: String) -> Int? {
    (try? SystemFile.status(at: path, followingLinks: true))?.size
  }

  /// Returns when a file was last changed, in seconds since 1970; nil if it is not there.
  package static func changed(_ path: String) -> Double? {
    (try? SystemFile.status(at: path, followingLinks: true))?.changed
  }

  /// Makes a folder and those above it; one that exists is fine.
  package static func makeFolder(_ path: String) throws(DVAEError) {
    if path.isEmpty || kind(path) == .folder { return }
    let parent = Path(path).folder.text
    if parent != path { try makeFolder(parent) }
    do throws(SystemError) {
      try SystemFile.makeFolder(path)
    } catch {
      // Another process may have made it meanwhile.
      guard kind(path) != .folder else { return }
      throw DVAEError(
        .cannotCreate, code: error.isOfName || exists(path) ? .impossibleName : .other, file: path,
        "cannot make the folder: \(error.reason)")
    }
  }

  /// Moves a file or folder onto another name in one step, and makes the move durable.
  package static func rename(_ old: String, to new: String) throws(DVAEError) {
    do throws(SystemError) {
      try SystemFile.rename(old, to: new)
    } catch {
      throw DVAEError(
        .cannotCreate, file: new, "cannot put the finished output here: \(error.reason)")
    }
    SystemFile.flushFolder(Path(new).folder.text)
  }

  /// Gives a finished folder its name, in the place of an older folder, which is removed after that.
  package static func replaceFolder(_ path: String, with new: String) throws(DVAEError) {
    let old = path + ".replaced"
    if exists(path) {
      // What a kill has left in between.
      try removeFolder(old)
      try rename(path, to: old)
    }
    try rename(new, to: path)
    try removeFolder(old)
  }

  /// Makes the names in a folder durable, where the file system can do that.
  package static func flushFolder(_ path: String) { SystemFile.flushFolder(path) }

  /// Removes a file; one that is not there is fine.
  package static func remove(_ path: String) throws(DVAEError) {
    do throws(SystemError) {
      try SystemFile.remove(path)
    } catch  where !error.isMissing {
      throw DVAEError(.cannotCreate, file: path, "cannot remove it: \(error.reason)")
    } catch {}
  }

  /// Removes a folder with everything in it; one that is not there is fine.
  ///
  /// A symbolic link is refused, and links inside of the folder are removed, never followed.
  package static func removeFolder(_ path: String) throws(DVAEError) {
    guard exists(path) else { return }
    guard !isLink(path) else {
      throw DVAEError(.cannotCreate, file: path, expected: "a folder", found: "a symbolic link")
    }
    for name in try names(in: path) {
      let inner = path + "/" + name
      if (try? SystemFile.status(at: inner))?.kind == .folder {
        try removeFolder(inner)
      } else {
        try remove(inner)
      }
    }
    do throws(SystemError) {
      try SystemFile.removeFolder(path)
    } catch  where !error.isMissing {
      throw DVAEError(.cannotCreate, file: path, "cannot remove the folder: \(error.reason)")
    } catch {}
  }

  /// Returns the entries of a folder in the order of their names' bytes.
  package static func entries(of path: String) throws(DVAEError) -> [FolderEntry] {
    do throws(SystemError) {
      return try SystemFile.entries(path).sorted { Path($0.name) < Path($1.name) }
    } catch {
      throw error.isMissing
        ? .missing(path: path) : .unreadable(path: path, reason: error.reason)
    }
  }

  /// Returns the names in a folder in the order of their bytes; none if it is not there.
  package static func names(in path: String) throws(DVAEError) -> [String] {
    kind(path) == .missing ? [] : try entries(of: path).map(\.name)
  }
}
