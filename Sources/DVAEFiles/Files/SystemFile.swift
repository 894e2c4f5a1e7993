#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

// The only file of this package with system calls on files. All other code sees typed errors and
// complete operations.

/// Returns the value of an environment variable.
package func environmentVariable(_ name: String) -> String? {
  getenv(name).map { String(cString: $0) }
}

/// A failed system call.
struct SystemError: Error, Sendable {
  let code: Int32

  /// The error of a path that the system would cut at its NUL byte, and take for another.
  static let nulByte = SystemError(code: 0)

  /// The error of an unfinished output with a second name, under which it may be someone's file.
  static let hardLink = SystemError(code: -1)

  /// The error of a path that is longer than the system's calls accept.
  static let nameTooLong = SystemError(code: ENAMETOOLONG)

  /// The error of a path that leads through a file.
  static let notAFolder = SystemError(code: ENOTDIR)

  /// The system's message, such as "No space left on device".
  var reason: String {
    switch code {
    case 0: "the name holds a NUL byte"
    case -1: "it is a hard link; remove one of its names"
    default: String(cString: strerror(code))
    }
  }
  var isMissing: Bool { code == ENOENT || code == ENOTDIR }
  /// Whether the error is due to the name, so that another name could work.
  var isOfName: Bool { [0, ENAMETOOLONG, ENOTDIR, EISDIR, EILSEQ].contains(code) }
  /// Whether a folder was not renamed because its new name is taken.
  var isTaken: Bool { [ENOTEMPTY, EEXIST, ENOTDIR].contains(code) }
  var isLocked: Bool { code == EWOULDBLOCK || code == EAGAIN }

  static var last: SystemError { SystemError(code: errno) }
}

// Inside `SystemFile`, its own methods hide these calls.
private func systemClose(_ descriptor: Int32) -> Int32 { close(descriptor) }
private func systemRename(_ old: String, _ new: String) -> Int32 { rename(old, new) }

/// System calls on files; interrupted calls are repeated and short writes continued.
enum SystemFile {
  enum Kind: Sendable { case regular, folder, link, other }

  struct Status: Sendable {
    let kind: Kind
    let size: Int
    let identity: FileIdentity
    /// The number of names of a file, its hard links.
    let names: Int
    /// The modification time in seconds since 1970.
    let changed: Double
    /// The time of the last change of content, size, names or rights, which cannot be set.
    let statusChanged: Double
  }

  /// The system's limit of a path's bytes, which includes a NUL byte at its end.
  static let longestPath = Int(PATH_MAX)

  /// Opens for reading; does not block on a named pipe.
  static func openToRead(_ path: String) throws(SystemError) -> Int32 {
    try repeating(path) { open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
  }

  /// Opens for reading and writing; creates the file if it does not exist.
  ///
  /// It is not truncated. A symbolic link is an error, because its target would be overwritten.
  static func openToWrite(_ path: String) throws(SystemError) -> Int32 {
    try repeating(path) { open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o666) }
  }

  static func close(_ descriptor: Int32) { _ = systemClose(descriptor) }

  static func status(of descriptor: Int32) throws(SystemError) -> Status {
    var found = stat()
    _ = try repeating { fstat(descriptor, &found) }
    return Status(found)
  }

  /// Returns the status of a path, optionally following a symbolic link.
  static func status(at path: String, followingLinks: Bool = false) throws(SystemError) -> Status {
    var found = stat()
    _ = try repeating(path) { followingLinks ? stat(path, &found) : lstat(path, &found) }
    return Status(found)
  }

  /// Returns the path with all symbolic links resolved; nil if a component does not exist.
  static func resolved(_ path: String) -> String? {
    guard !path.utf8.contains(0), let buffer = realpath(path, nil) else { return nil }
    defer { free(buffer) }
    return String(cString: buffer)
  }

  /// Maps a whole file copy-on-write: writes to the memory do not change the file.
  ///
  /// No memory is reserved for writes, so that the file may be larger than the memory.
  static func map(_ descriptor: Int32, count: Int) throws(SystemError) -> UnsafeMutableRawPointer {
    guard
      let start = mmap(
        nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, descriptor, 0),
      start != UnsafeMutableRawPointer(bitPattern: -1)
    else { throw .last }
    return start
  }

  static func unmap(_ start: UnsafeMutableRawPointer, count: Int) { munmap(start, count) }

  /// Opens a file for writing and takes its exclusive advisory lock.
  ///
  /// Another process may rename or remove the file between opening and locking, so its identity is
  /// checked after locking. The system releases the lock when the descriptor closes or its process
  /// dies. A file system without locks is not an error. A process that is being spawned briefly
  /// holds its parent's locks, hence the patience.
  static func openLocked(
    _ path: String, patience: Duration
  ) throws(SystemError) -> Int32 {
    let end = ContinuousClock.now + patience
    while true {
      let descriptor = try openToWrite(path)
      do throws(SystemError) {
        try lock(descriptor)
        let opened = try status(of: descriptor)
        guard opened.names <= 1 else { throw .hardLink }
        if let named = try? status(at: path), named.identity == opened.identity {
          return descriptor
        }
      } catch {
        close(descriptor)
        guard error.isLocked, ContinuousClock.now < end else { throw error }
        usleep(10_000)
        continue
      }
      close(descriptor)
    }
  }

  private static func lock(_ descriptor: Int32) throws(SystemError) {
    do throws(SystemError) {
      _ = try repeating { flock(descriptor, LOCK_EX | LOCK_NB) }
    } catch  where error.isLocked {
      throw error
    } catch {}
  }

  static func truncate(_ descriptor: Int32, to size: Int) throws(SystemError) {
    _ = try repeating { ftruncate(descriptor, off_t(size)) }
  }

  /// Writes all bytes at a position of the file.
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

  /// Reads up to `count` bytes from a pipe or a file; none at its end.
  static func read(_ descriptor: Int32, count: Int) throws(SystemError) -> [UInt8] {
    var failure: SystemError?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      // Not `read`: Swift would take that for this method.
      var part = iovec(iov_base: buffer.baseAddress, iov_len: count)
      while true {
        do throws(SystemError) {
          filled = try repeating { readv(descriptor, &part, 1) }
        } catch {
          // A pipe that does not block may be empty for now.
          if error.isLocked, isReadable(descriptor) { continue }
          failure = error
        }
        return
      }
    }
    if let failure { throw failure }
    return bytes
  }

  /// Waits until a descriptor can be read.
  private static func isReadable(_ descriptor: Int32) -> Bool {
    var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return (try? repeating { poll(&request, 1, -1) }) ?? 0 > 0
  }

  /// Reads up to `count` bytes at a position; fewer at the end of the file.
  static func read(
    _ descriptor: Int32, count: Int, at position: Int
  ) throws(SystemError) -> [UInt8] {
    var failure: SystemError?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      while filled < count, let start = buffer.baseAddress {
        do throws(SystemError) {
          let got = try repeating {
            pread(descriptor, start + filled, count - filled, off_t(position + filled))
          }
          if got == 0 { break }
          filled += got
        } catch {
          failure = error
          break
        }
      }
    }
    if let failure { throw failure }
    return bytes
  }

  static func flush(_ descriptor: Int32) throws(SystemError) {
    _ = try repeating { fsync(descriptor) }
  }

  /// Flushes the names in a folder to disk.
  ///
  /// Some file systems do not support this for folders; nothing more can be done then.
  static func flushFolder(_ path: String) {
    guard let descriptor = try? openToRead(path) else { return }
    try? flush(descriptor)
    close(descriptor)
  }

  static func rename(_ old: String, to new: String) throws(SystemError) {
    _ = try repeating(old, new) { systemRename(old, new) }
  }

  static func remove(_ path: String) throws(SystemError) {
    _ = try repeating(path) { unlink(path) }
  }

  /// Sets a file's times to now.
  static func touch(_ path: String) throws(SystemError) {
    _ = try repeating(path) { utimes(path, nil) }
  }

  static func removeFolder(_ path: String) throws(SystemError) {
    _ = try repeating(path) { rmdir(path) }
  }

  static func makeFolder(_ path: String) throws(SystemError) {
    _ = try repeating(path) { mkdir(path, 0o777) }
  }

  /// Returns the names in a folder, without `.` and `..`, in no particular order.
  static func entries(_ path: String) throws(SystemError) -> [FolderEntry] {
    guard !path.utf8.contains(0) else { throw .nulByte }
    guard let folder = opendir(path) else { throw .last }
    defer { closedir(folder) }
    var entries: [FolderEntry] = []
    while let entry = readdir(folder) {
      // Some file systems have longer names than the declared type, so read it in place.
      let (name, isUTF8) = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 1) { name in
          String(validatingCString: name).map { ($0, true) }
            ?? (visibleText(UnsafeRawBufferPointer(start: name, count: strlen(name))), false)
        }
      }
      if name == "." || name == ".." { continue }
      var (isFolder, isRegular) = (false, false)
      switch Int32(entry.pointee.d_type) {
      case Int32(DT_DIR): isFolder = true
      case Int32(DT_REG): isRegular = true
      default:
        // Links, and file systems that do not report the type, need a call of their own.
        if let status = try? status(at: path + "/" + name, followingLinks: true) {
          (isFolder, isRegular) = (status.kind == .folder, status.kind == .regular)
        }
      }
      entries.append(
        FolderEntry(name: name, isUTF8: isUTF8, isFolder: isFolder, isRegular: isRegular))
    }
    return entries
  }

  /// Makes a call that names the paths until no signal interrupts it.
  private static func repeating<Result: SignedInteger>(
    _ paths: String..., call: () -> Result
  ) throws(SystemError) -> Result {
    guard !paths.contains(where: { $0.utf8.contains(0) }) else { throw .nulByte }
    while true {
      let result = call()
      if result >= 0 { return result }
      guard errno == EINTR else { throw .last }
    }
  }
}

/// A name in a folder.
package struct FolderEntry: Sendable {
  /// The name; bytes that are not UTF-8 are shown as `\xFF`, and such a name cannot be opened.
  package let name: String
  /// Whether the name is valid UTF-8.
  package let isUTF8: Bool
  /// Whether it is a folder, or a link to one.
  package let isFolder: Bool
  /// Whether it is a regular file, or a link to one.
  package let isRegular: Bool
}

/// Device and inode: paths with equal identities lead to the same file or folder.
package struct FileIdentity: Hashable, Sendable, CustomStringConvertible {
  /// Both numbers.
  package var description: String { "\(device) \(node)" }

  private let device: UInt64
  private let node: UInt64

  fileprivate init(_ status: stat) {
    device = UInt64(truncatingIfNeeded: status.st_dev)
    node = UInt64(status.st_ino)
  }

  /// The identity of a path's target; nil if it does not exist.
  package init?(_ path: String) {
    guard let status = try? SystemFile.status(at: path, followingLinks: true) else { return nil }
    self = status.identity
  }

  /// Returns whether a folder is the root of a file system, which has no name that could be given to
  /// another.
  package static func isMountPoint(_ folder: String) -> Bool {
    guard let own = FileIdentity(folder), let parent = FileIdentity(folder + "/..") else {
      return false
    }
    return own == parent || own.device != parent.device
  }

  /// Returns the identities of a folder and all its ancestors.
  ///
  /// A file, and a path that does not exist yet, is represented by the folder that it is in.
  package static func above(_ path: String) -> Set<FileIdentity> {
    var folder = path.isEmpty ? "." : path
    while FileSystem.kind(folder) != .folder { folder = Path(folder).folder.text }
    var above: Set<FileIdentity> = []
    while let identity = FileIdentity(folder), above.insert(identity).inserted { folder += "/.." }
    return above
  }

  /// Refuses an output that would replace an input: the original would be lost, even if the user allows
  /// finished outputs to be replaced.
  ///
  /// - Throws: `usage` if the output's path leads to one of the inputs
  package static func refuse(
    output path: String, replacing inputs: Set<FileIdentity>
  ) throws(DVAEError) {
    guard let file = FileIdentity(path), inputs.contains(file) else { return }
    throw DVAEError(
      .usage, file: path, "is an input, which the output would replace: choose another")
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
    #if canImport(Darwin)
    let (time, statusTime) = (found.st_mtimespec, found.st_ctimespec)
    #else
    let (time, statusTime) = (found.st_mtim, found.st_ctim)
    #endif
    func seconds(_ time: timespec) -> Double { Double(time.tv_sec) + Double(time.tv_nsec) / 1e9 }
    self.init(
      kind: kind, size: Int(found.st_size), identity: FileIdentity(found),
      names: Int(found.st_nlink),
      changed: seconds(time), statusChanged: seconds(statusTime))
  }
}
