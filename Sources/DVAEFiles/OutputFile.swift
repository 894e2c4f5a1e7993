#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A file that grows at its end, is cut back to a known length, and is flushed on demand.
package final class OutputFile {
  /// Where the file is.
  package let path: String
  /// Bytes written so far.
  package private(set) var size: Int
  private let descriptor: Int32

  /// Opens a file for writing at its end, making it when it is not there.
  ///
  /// - Parameters:
  ///   - path: of the file; its folder must be there
  ///   - emptied: whether to throw away what an existing file holds
  /// - Throws: what the file system refuses
  package init(_ path: String, emptied: Bool) throws(DVAEError) {
    self.path = path
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | (emptied ? O_TRUNC : 0), 0o666)
    guard descriptor >= 0 else {
      throw DVAEError(.cannotCreate, file: path, "cannot write here: \(FileSystem.reason())")
    }
    size = Int(lseek(descriptor, 0, SEEK_END))
  }

  deinit { close(descriptor) }

  /// Takes the file for this process alone, until it ends; false if another one has it.
  ///
  /// A file system without locks is not an error. A process that is being started has the files of
  /// its parent for a moment, and their locks: that moment is waited for, `patience` at most.
  package func lock(patience: Duration = .milliseconds(500)) -> Bool {
    let end = ContinuousClock.now + patience
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK {
      guard ContinuousClock.now < end else { return false }
      usleep(10_000)
    }
    return true
  }

  /// Writes all of the bytes at the end.
  package func append(_ bytes: some Collection<UInt8>) throws(DVAEError) {
    try write(bytes, at: size)
    size += bytes.count
  }

  /// Writes all of the bytes over those at an offset.
  package func write(_ bytes: some Collection<UInt8>, at offset: Int) throws(DVAEError) {
    let copy = ContiguousArray(bytes)
    var done = 0
    while done < copy.count {
      let written = copy.withUnsafeBytes {
        pwrite(
          descriptor, $0.baseAddress?.advanced(by: done), copy.count - done, off_t(offset + done))
      }
      if written < 0 {
        if errno == EINTR { continue }
        throw DVAEError(.inputOutput, file: path, "cannot write: \(FileSystem.reason())")
      }
      done += written
    }
  }

  /// Reads up to `count` bytes at an offset; fewer at the end.
  package func read(_ count: Int, at offset: Int) throws(DVAEError) -> [UInt8] {
    var failed = false
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      while filled < count {
        let got = pread(
          descriptor, buffer.baseAddress?.advanced(by: filled), count - filled,
          off_t(offset + filled))
        if got < 0 && errno == EINTR { continue }
        failed = got < 0
        if got <= 0 { break }
        filled += got
      }
    }
    if failed { throw DVAEError(.inputOutput, file: path, "cannot read: \(FileSystem.reason())") }
    return bytes
  }

  /// Cuts the file back to a length.
  package func truncate(to length: Int) throws(DVAEError) {
    guard ftruncate(descriptor, off_t(length)) == 0 else {
      throw DVAEError(
        .inputOutput, file: path, "cannot cut to \(length) bytes: \(FileSystem.reason())")
    }
    size = length
  }

  /// Returns when the bytes are on the disk.
  package func sync() throws(DVAEError) {
    guard fsync(descriptor) == 0 else {
      throw DVAEError(.inputOutput, file: path, "cannot flush to the disk: \(FileSystem.reason())")
    }
  }
}
