#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The kind of file at a path; symbolic links are followed.
package enum FileKind: Sendable {
  /// The path does not exist.
  case missing
  /// A folder.
  case folder
  /// A file, or something that can be read like one.
  case file
}

/// Operations on whole files and folders.
package enum FileSystem {
  /// Returns the kind of file at a path.
  package static func kind(_ path: String) -> FileKind {
    guard let status = try? SystemFile.status(at: path, followingLinks: true) else {
      return .missing
    }
    return status.kind == .folder ? .folder : .file
  }

  /// Returns whether the path exists, even as a dangling link.
  package static func exists(_ path: String) -> Bool { (try? SystemFile.status(at: path)) != nil }

  /// Returns whether the path is a symbolic link.
  package static func isLink(_ path: String) -> Bool {
    (try? SystemFile.status(at: path))?.kind == .link
  }

  /// Returns the size of a file in bytes; nil if it does not exist.
  package static func size(_ path: String) -> Int? {
    (try? SystemFile.status(at: path, followingLinks: true))?.size
  }

  /// Returns the modification time of a file in seconds since 1970; nil if it does not exist.
  package static func changed(_ path: String) -> Double? {
    (try? SystemFile.status(at: path, followingLinks: true))?.changed
  }

  /// Sets the times of a file to now, if it can be done.
  package static func touch(_ path: String) { try? SystemFile.touch(path) }

  /// The folder where relative paths begin.
  package static var currentFolder: String { FileManager.default.currentDirectoryPath }

  /// Creates a folder and its parents; existing ones are fine.
  package static func makeFolder(_ path: String) throws(DVAEError) {
    if path.isEmpty || kind(path) == .folder { return }
    let parent = Path(path).folder.text
    if parent != path { try makeFolder(parent) }
    do throws(SystemError) {
      try SystemFile.makeFolder(path)
    } catch {
      // Another process may have created it in the meantime.
      guard kind(path) != .folder else { return }
      throw DVAEError(
        .cannotCreate, code: error.isOfName || exists(path) ? .impossibleName : .other, file: path,
        "cannot make the folder: \(error.reason)")
    }
  }

  /// Renames a file or folder atomically and makes the rename durable.
  package static func rename(_ old: String, to new: String) throws(DVAEError) {
    do throws(SystemError) {
      try SystemFile.rename(old, to: new)
    } catch {
      throw DVAEError(
        .cannotCreate, file: new, "cannot put the finished output here: \(error.reason)")
    }
    SystemFile.flushFolder(Path(new).folder.text)
  }

  /// Replaces a folder by a finished one; the old folder is removed last.
  package static func replaceFolder(_ path: String, with new: String) throws(DVAEError) {
    let old = path + ".replaced"
    if exists(path) {
      // Remove the leftovers of a kill.
      try removeFolder(old)
      try rename(path, to: old)
    }
    try rename(new, to: path)
    try removeFolder(old)
  }

  /// Flushes the names in a folder to disk, if the file system supports it.
  package static func flushFolder(_ path: String) { SystemFile.flushFolder(path) }

  /// Removes a file; a missing one is fine.
  package static func remove(_ path: String) throws(DVAEError) {
    do throws(SystemError) {
      try SystemFile.remove(path)
    } catch  where !error.isMissing {
      throw DVAEError(.cannotCreate, file: path, "cannot remove it: \(error.reason)")
    } catch {}
  }

  /// Removes a folder with its contents; a missing one is fine.
  ///
  /// A symbolic link is an error; links inside the folder are removed, never followed.
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

  /// Returns the entries of a folder, sorted by the bytes of their names.
  package static func entries(of path: String) throws(DVAEError) -> [FolderEntry] {
    do throws(SystemError) {
      return try SystemFile.entries(path).sorted { Path($0.name) < Path($1.name) }
    } catch {
      throw error.isMissing
        ? .missing(path: path) : .unreadable(path: path, reason: error.reason)
    }
  }

  /// Returns the names in a folder, sorted by their bytes; none if it does not exist.
  package static func names(in path: String) throws(DVAEError) -> [String] {
    kind(path) == .missing ? [] : try entries(of: path).map(\.name)
  }
}
