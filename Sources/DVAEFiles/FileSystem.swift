#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

// Every call to the operating system that this module makes is in this folder.

/// What a path leads to.
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
  /// What is at a path, following symbolic links.
  package static func kind(_ path: String) -> FileKind {
    var status = stat()
    guard stat(path, &status) == 0 else { return .missing }
    return status.st_mode & S_IFMT == S_IFDIR ? .folder : .file
  }

  /// Bytes in a file, nil if it is not there.
  package static func size(_ path: String) -> Int? {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    return Int(status.st_size)
  }

  /// Makes a folder and those above it; one that is there already is fine.
  package static func makeFolder(_ path: String) throws(DVAEError) {
    if path.isEmpty || kind(path) == .folder { return }
    let parent = folder(of: path)
    if parent != path { try makeFolder(parent) }
    guard mkdir(path, 0o777) == 0 || errno == EEXIST, kind(path) == .folder else {
      throw DVAEError(.cannotCreate, file: path, "cannot make the folder: \(reason())")
    }
  }

  /// Moves a file or folder onto another name in one step, and makes the move survive a power cut.
  package static func rename(_ old: String, to new: String) throws(DVAEError) {
    #if canImport(Darwin)
    let moved = Darwin.rename(old, new)
    #elseif canImport(Glibc)
    let moved = Glibc.rename(old, new)
    #else
    let moved = Musl.rename(old, new)
    #endif
    guard moved == 0 else {
      throw DVAEError(.cannotCreate, file: new, "cannot put the finished output here: \(reason())")
    }
    syncFolder(folder(of: new))
  }

  /// Removes a file; one that is not there is fine.
  package static func remove(_ path: String) throws(DVAEError) {
    guard unlink(path) == 0 || errno == ENOENT else {
      throw DVAEError(.cannotCreate, file: path, "cannot remove it: \(reason())")
    }
  }

  /// Removes a folder with everything in it; one that is not there is fine.
  package static func removeFolder(_ path: String) throws(DVAEError) {
    for name in try names(in: path) {
      let inner = path + "/" + name
      var status = stat()
      // lstat: a link inside the folder is removed, never followed.
      if lstat(inner, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
        try removeFolder(inner)
      } else {
        try remove(inner)
      }
    }
    guard rmdir(path) == 0 || errno == ENOENT else {
      throw DVAEError(.cannotCreate, file: path, "cannot remove the folder: \(reason())")
    }
  }

  /// The names in a folder, sorted by bytes, without `.` and `..`; none if it is not there.
  package static func names(in path: String) throws(DVAEError) -> [String] {
    guard let listing = opendir(path) else {
      if errno == ENOENT { return [] }
      throw DVAEError(.missing, file: path, "cannot list the folder: \(reason())")
    }
    defer { closedir(listing) }
    var names: [String] = []
    while let entry = readdir(listing) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
  }

  /// Writes the folder's own list of names to the disk, where the system can do that.
  package static func syncFolder(_ path: String) {
    let descriptor = open(path.isEmpty ? "." : path, O_RDONLY)
    guard descriptor >= 0 else { return }
    // Some file systems refuse to sync folders; the names are then as safe as they make them.
    _ = fsync(descriptor)
    close(descriptor)
  }

  /// The folder part of a path: `a/b` of `a/b/c`, empty for a bare name.
  package static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "" }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// The last part of a path: `c` of `a/b/c`.
  package static func name(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return path }
    return String(path[path.index(after: slash)...])
  }

  /// What the system says about the last failure.
  static func reason() -> String { String(cString: strerror(errno)) }
}
