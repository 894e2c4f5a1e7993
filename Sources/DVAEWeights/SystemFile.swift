#if canImport(Darwin)
import DVAEFiles
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

// The one place in this module that talks to the operating system: open, map, write, flush, rename.
// Everything above it sees typed errors and whole operations only.

/// A failed system call.
struct SystemError: Error, Sendable {
  let code: Int32

  /// The system's own words, "No space left on device" for instance.
  var reason: String { String(cString: strerror(code)) }
  var isMissing: Bool { code == ENOENT || code == ENOTDIR }
  var isLocked: Bool { code == EWOULDBLOCK || code == EAGAIN }

  static var last: SystemError { SystemError(code: errno) }
}

/// System calls on files, each finished (interrupted calls repeated, short writes continued).
enum SystemFile {
  enum Kind: Sendable { case regular, folder, link, other }

  struct Status: Sendable {
    let kind: Kind
    let size: Int
    /// Device and inode: two paths with the same identity are one file.
    let identity: [UInt64]
  }

  /// Opens for reading, without waiting for the other end of a named pipe.
  static func openToRead(_ path: String) throws(SystemError) -> Int32 {
    try repeating { open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
  }

  /// Opens for reading and writing, creating the file where there is none; it is not truncated.
  static func openToWrite(_ path: String) throws(SystemError) -> Int32 {
    try repeating { open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o666) }
  }

  static func close(_ descriptor: Int32) {
    #if canImport(Darwin)
    _ = Darwin.close(descriptor)
    #elseif canImport(Glibc)
    _ = Glibc.close(descriptor)
    #elseif canImport(Musl)
    _ = Musl.close(descriptor)
    #endif
  }

  static func status(of descriptor: Int32) throws(SystemError) -> Status {
    var found = stat()
    _ = try repeating { fstat(descriptor, &found) }
    return Status(found)
  }

  /// The status of what is at a path; a symbolic link is not followed.
  static func status(at path: String) throws(SystemError) -> Status {
    var found = stat()
    _ = try repeating { lstat(path, &found) }
    return Status(found)
  }

  /// The path with all symbolic links resolved; nil where something on the way is missing.
  static func resolved(_ path: String) -> String? {
    guard let buffer = realpath(path, nil) else { return nil }
    defer { free(buffer) }
    return String(cString: buffer)
  }

  /// Maps a whole file, copy on write: whoever writes to the memory changes nothing on the disk.
  static func map(_ descriptor: Int32, count: Int) throws(SystemError) -> UnsafeMutableRawPointer {
    guard
      let start = mmap(nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE, descriptor, 0),
      start != UnsafeMutableRawPointer(bitPattern: -1)
    else { throw .last }
    return start
  }

  static func unmap(_ start: UnsafeMutableRawPointer, count: Int) { munmap(start, count) }

  /// Takes the file's advisory lock.
  ///
  /// The system drops it when the descriptor closes or its process dies. A file system without
  /// locks is not an error.
  static func lock(_ descriptor: Int32) throws(SystemError) {
    do throws(SystemError) {
      _ = try repeating { flock(descriptor, LOCK_EX | LOCK_NB) }
    } catch  where error.isLocked {
      throw error
    } catch {}
  }

  static func truncate(_ descriptor: Int32) throws(SystemError) {
    _ = try repeating { ftruncate(descriptor, 0) }
  }

  /// Writes all of the bytes at a position of the file.
  static func write(
    _ bytes: UnsafeRawBufferPointer, to descriptor: Int32, at position: Int
  ) throws(SystemError) {
    var done = 0
    while done < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
      let place = off_t(position + done)
      done += try repeating { pwrite(descriptor, rest.baseAddress, rest.count, place) }
    }
  }

  static func flush(_ descriptor: Int32) throws(SystemError) {
    _ = try repeating { fsync(descriptor) }
  }

  /// Makes the names in a folder durable.
  ///
  /// Some file systems refuse it for folders, and then there is nothing more to be done.
  static func flushFolder(_ path: String) {
    guard let descriptor = try? openToRead(path) else { return }
    try? flush(descriptor)
    close(descriptor)
  }

  static func rename(_ old: String, to new: String) throws(SystemError) {
    #if canImport(Darwin)
    _ = try repeating { Darwin.rename(old, new) }
    #elseif canImport(Glibc)
    _ = try repeating { Glibc.rename(old, new) }
    #elseif canImport(Musl)
    _ = try repeating { Musl.rename(old, new) }
    #endif
  }

  static func remove(_ path: String) { unlink(path) }

  private static func repeating<Result: SignedInteger>(
    _ call: () -> Result
  ) throws(SystemError) -> Result {
    while true {
      let result = call()
      if result >= 0 { return result }
      guard errno == EINTR else { throw .last }
    }
  }
}

extension SystemFile.Status {
  fileprivate init(_ found: stat) {
    let kind: SystemFile.Kind =
      switch found.st_mode & S_IFMT {
      case S_IFREG: .regular
      case S_IFDIR: .folder
      case S_IFLNK: .link
      default: .other
      }
    self.init(
      kind: kind, size: Int(found.st_size),
      identity: [UInt64(truncatingIfNeeded: found.st_dev), UInt64(found.st_ino)])
  }
}
