#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The kind of file at a path; symbolic links are followed.
package enum FileKind: Sendable {
  /// Nothing has this name.
  case missing
  /// A folder.
  case folder
  /// A file, or something that is known only by opening it: a device, a link that leads nowhere, a
  /// path that may not be looked at.
  case file
}

/// Operations on whole files and folders.
package enum FileSystem {
  /// Returns the kind of file at a path.
  package static func kind(_ path: String) -> FileKind {
    do throws(SystemError) {
      return try SystemFile.status(at: path, followingLinks: true).kind == .folder ? .folder : .file
    } catch {
      // Opening it says why.
      return (error.isMissing || error.isOfName) && !exists(path) ? .missing : .file
    }
  }

  /// Returns whether the path exists, even as a dangling link.
  package static func exists(_ path: String) -> Bool { (try? SystemFile.status(at: path)) != nil }

  /// Returns whether the path is a symbolic link.
  package static func isLink(_ path: String) -> Bool {
    (try? SystemFile.status(at: path))?.kind == .link
  }

  /// Returns the path with all symbolic links resolved; unchanged if nothing is there.
  package static func resolved(_ path: String) -> String { SystemFile.resolved(path) ?? path }

  /// Returns the size of a file in bytes; nil if it does not exist.
  package static func size(_ path: String) -> Int? {
    (try? SystemFile.status(at: path, followingLinks: true))?.size
  }

  /// Returns the modification time of a file in seconds since 1970; nil if it does not exist.
  package static func changed(_ path: String) -> Double? {
    (try? SystemFile.status(at: path, followingLinks: true))?.changed
  }

  /// The folder where relative paths begin.
  package static var currentFolder: String { FileManager.default.currentDirectoryPath }

  /// Creates a folder and its parents; existing ones are fine.
  ///
  /// - Returns: the folders that did not exist, each after its parent
  /// - Throws: `cannotCreate`; no new folder is then left behind
  @discardableResult
  package static func makeFolders(_ path: String) throws(DVAEError) -> [String] {
    if path.isEmpty || kind(path) == .folder { return [] }
    func failure(_ error: SystemError) -> DVAEError {
      DVAEError(
        .cannotCreate, code: error.isOfName ? .impossibleName : .other, file: path,
        "cannot make the folder: \(error.reason)")
    }
    // All but the last parts of a longer path could be made, and never be reached by it.
    guard path.utf8.count < SystemFile.longestPath else { throw failure(.nameTooLong) }
    var missing = [path]
    while case let parent = Path(missing[missing.count - 1]).folder.text,
      parent != missing[missing.count - 1], kind(parent) != .folder
    { missing.append(parent) }
    // The folder would be made only to be left again.
    guard !missing.contains(where: { Path($0).name == ".." }) else {
      throw DVAEError(
        .cannotCreate, file: path,
        "cannot make the folder: '..' in its path follows a folder that does not exist")
    }
    var made: [String] = []
    do throws(SystemError) {
      for folder in missing.reversed() {
        do throws(SystemError) {
          try SystemFile.makeFolder(folder)
          made.append(folder)
        } catch {
          // Another process may have created it in the meantime.
          guard kind(folder) == .folder else { throw exists(folder) ? .notAFolder : error }
        }
      }
      return made
    } catch {
      removeEmpty(made)
      throw failure(error)
    }
  }

  /// Refuses the path of a new file at which there is something that a file cannot replace.
  ///
  /// - Throws: `cannotCreate` for a folder, a device or a pipe
  package static func checkReplaceable(_ path: String) throws(DVAEError) {
    switch try? SystemFile.status(at: path).kind {
    case .folder?:
      throw .cannotCreate(code: .impossibleName, path: path, reason: "a folder has this name")
    case .other?: throw .cannotCreate(path: path, reason: "a device or pipe has this name")
    case .regular?, .link?, nil: return
    }
  }

  /// Refuses a path that leaves a folder by symbolic links, so that nothing is written outside of it.
  ///
  /// - Parameters:
  ///   - path: a path that begins with that of the folder
  ///   - folder: the folder, which may be a link itself
  /// - Throws: `cannotCreate`, which names the link
  package static func refuseLinks(to path: String, below folder: String) throws(DVAEError) {
    var place = Path(path)
    while place.text.utf8.count > folder.utf8.count {
      if isLink(place.text) {
        throw DVAEError(
          .cannotCreate, code: .impossibleName, file: place.text,
          "is a symbolic link, and nothing is written through links",
          advice: "move it away, or choose another output")
      }
      place = place.folder
    }
  }

  /// Creates the folder of a file and calls `body`, which writes the file.
  ///
  /// If `body` throws, folders that were made for it and are still empty are removed.
  ///
  /// - Parameters:
  ///   - path: the path of the file
  ///   - output: the folder of a whole output, below which links are refused
  ///   - body: writes the file
  /// - Returns: what `body` returns
  /// - Throws: `cannotCreate`, and what `body` throws
  package static func withFolder<Result, Failure: Error>(
    of path: String, below output: String? = nil, _ body: () throws(Failure) -> Result
  ) throws -> Result {
    let folder = Path(path).folder.text
    if let output { try refuseLinks(to: folder, below: output) }
    let made = try makeFolders(folder)
    do throws(Failure) {
      return try body()
    } catch {
      removeEmpty(made)
      throw error
    }
  }

  /// Removes those folders that are empty, the last one first.
  package static func removeEmpty(_ folders: [String]) {
    for folder in folders.reversed() { try? SystemFile.removeFolder(folder) }
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

  /// Returns whether a folder holds nothing, apart from the files of file managers.
  package static func isEmpty(_ path: String) throws(DVAEError) -> Bool {
    try names(in: path).allSatisfy { isClutter(path + "/" + $0) }
  }

  /// Returns whether a file is one that file managers leave in the folders that they show: view
  /// settings and thumbnails, which they make again.
  package static func isClutter(_ path: String) -> Bool {
    [".DS_Store", "Thumbs.db", "desktop.ini"].contains(Path(path).name)
      && kind(path) == .file && !isLink(path)
  }
}
