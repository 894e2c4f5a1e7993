/// A file that can be appended to, truncated to a known length, and flushed on demand.
package final class OutputFile {
  /// The path of the file.
  package let path: String
  /// The number of bytes written so far.
  package private(set) var size: Int
  private let descriptor: Int32

  /// Opens a file for appending; creates it if it does not exist.
  ///
  /// - Parameters:
  ///   - path: the file's path; its folder must exist
  ///   - emptied: whether to discard existing content
  ///   - locked: whether to lock the file against other processes while it is open
  ///   - patience: the time to wait for the lock
  /// - Throws: `cannotCreate` if the file system refuses, the path is a symbolic link, or another
  ///   process holds the lock.
  package init(
    _ path: String, emptied: Bool, locked: Bool = false, patience: Duration = .milliseconds(500)
  ) throws(DVAEError) {
    self.path = path
    do throws(SystemError) {
      descriptor =
        try locked
        ? SystemFile.openLocked(path, patience: patience) : SystemFile.openToWrite(path)
    } catch  where error.isLocked {
      throw .inUse(path: path)
    } catch {
      let reason = FileSystem.isLink(path) ? "it is a symbolic link" : error.reason
      throw DVAEError(
        .cannotCreate, code: error.isOfName ? .impossibleName : .other, file: path,
        "cannot write here: \(reason)")
    }
    do throws(SystemError) {
      if emptied { try SystemFile.truncate(descriptor, to: 0) }
      size = try SystemFile.status(of: descriptor).size
    } catch {
      SystemFile.close(descriptor)
      throw .cannotWrite(path: path, reason: error.reason)
    }
  }

  deinit { SystemFile.close(descriptor) }

  /// Returns the error of an unfinished output in the way of a new one.
  ///
  /// - Parameters:
  ///   - path: the output
  ///   - lock: the file that its writer has locked
  /// - Returns: `DVAEError.inUse` if another process is writing it, else `unfinished`
  package static func inTheWay(_ path: String, lock: String) -> DVAEError {
    guard FileSystem.kind(lock) == .file else { return .unfinished(path: path) }
    do throws(SystemError) {
      SystemFile.close(try SystemFile.openLocked(lock, patience: .zero))
      return .unfinished(path: path)
    } catch {
      return error.isLocked ? .inUse(path: path) : .unfinished(path: path)
    }
  }

  /// Appends all bytes.
  package func append(_ bytes: some Collection<UInt8>) throws(DVAEError) {
    try write(bytes, at: size)
    size += bytes.count
  }

  /// Overwrites bytes at an offset.
  package func write(_ bytes: some Collection<UInt8>, at offset: Int) throws(DVAEError) {
    try reporting("written") { () throws(SystemError) in
      try Array(bytes).withRawBytes { (bytes) throws(SystemError) in
        try SystemFile.write(bytes, to: descriptor, at: offset)
      }
    }
  }

  /// Reads up to `count` bytes at an offset; fewer at the end.
  package func read(at offset: Int, count: Int) throws(DVAEError) -> [UInt8] {
    try reporting("read") { () throws(SystemError) in
      try SystemFile.read(descriptor, count: min(count, max(0, size - offset)), at: offset)
    }
  }

  /// Truncates the file to a length.
  package func truncate(to length: Int) throws(DVAEError) {
    try reporting("cut to \(length) bytes") { () throws(SystemError) in
      try SystemFile.truncate(descriptor, to: length)
    }
    size = length
  }

  /// Flushes the bytes to disk.
  package func sync() throws(DVAEError) {
    try reporting("flushed to the disk") { () throws(SystemError) in
      try SystemFile.flush(descriptor)
    }
  }

  private func reporting<Result>(
    _ action: String, _ body: () throws(SystemError) -> Result
  ) throws(DVAEError) -> Result {
    do throws(SystemError) {
      return try body()
    } catch {
      throw DVAEError(.inputOutput, file: path, "cannot be \(action): \(error.reason)")
    }
  }
}
