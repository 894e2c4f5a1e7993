/// A file that gets its name only when it is complete.
///
/// The bytes go to a temporary name in the same folder; `commit` flushes them to disk, renames the
/// file and flushes the folder. After a kill, either the old file or the new one is there. The
/// temporary name is always the same, so the next attempt reuses the leftovers of a kill; a lock
/// keeps two writers of one file apart. A link of this name is replaced itself; the file that it
/// leads to stays as it is.
package final class AtomicFile {
  /// The final path.
  package let path: String
  /// The number of bytes written so far.
  package private(set) var count = 0

  private let temporary: String
  private var descriptor: Int32?
  private var buffer: [UInt8] = []
  private static let bufferSize = 1 << 18

  /// Starts a file; until `commit` only its temporary file exists.
  ///
  /// - Throws: `cannotCreate` if the folder is missing or not writable, the path is not a file, or
  ///   another process is writing the same file.
  package init(_ path: String) throws(DVAEError) {
    self.path = path
    try FileSystem.checkReplaceable(path)
    let name = Path(path).name
    guard !name.isEmpty else { throw .cannotCreate(path: path, reason: "the path names no file") }
    temporary = Path(path).temporary.text
    do throws(SystemError) {
      let descriptor = try SystemFile.openLocked(temporary, patience: .milliseconds(500))
      do throws(SystemError) {
        try SystemFile.truncate(descriptor, to: 0)
      } catch {
        SystemFile.close(descriptor)
        throw error
      }
      self.descriptor = descriptor
    } catch  where error.isLocked {
      throw .inUse(path: path)
    } catch  where error.isOfName {
      throw .cannotCreate(code: .impossibleName, path: path, reason: error.reason)
    } catch  where error.isMissing {
      throw .cannotCreate(path: path, reason: "its folder does not exist; create it first")
    } catch {
      throw .cannotCreate(path: path, reason: error.reason)
    }
    buffer.reserveCapacity(Self.bufferSize)
  }

  deinit { discard() }

  /// Checks that a file can be begun; neither it nor a folder is left behind.
  ///
  /// A job that takes long calls this first, so that it does not end with a file that cannot be written.
  ///
  /// - Throws: as for a file that is begun
  package static func check(_ path: String) throws(DVAEError) {
    let made = try FileSystem.makeFolders(Path(path).folder.text)
    defer { FileSystem.removeEmpty(made) }
    try AtomicFile(path).discard()
  }

  /// Writes a whole file.
  ///
  /// - Throws: `cannotCreate` or `cannotWrite`; the previous file is then unchanged.
  package static func write(_ bytes: [UInt8], to path: String) throws(DVAEError) {
    let file = try AtomicFile(path)
    try file.write(bytes)
    try file.commit()
  }

  /// Appends bytes.
  ///
  /// - Throws: `cannotWrite`, for example if the disk is full.
  package func write(_ bytes: UnsafeRawBufferPointer) throws(DVAEError) {
    guard descriptor != nil else { throw closed }
    if buffer.count + bytes.count > Self.bufferSize { try flush() }
    if bytes.count < Self.bufferSize {
      buffer.append(contentsOf: bytes)
    } else {
      try write(bytes, at: count)
    }
    count += bytes.count
  }

  /// Appends bytes.
  ///
  /// - Throws: `cannotWrite`, for example if the disk is full.
  package func write(_ bytes: [UInt8]) throws(DVAEError) {
    try bytes.withRawBytes { (buffer) throws(DVAEError) in try write(buffer) }
  }

  /// Appends text as UTF-8.
  ///
  /// - Throws: `cannotWrite`, for example if the disk is full.
  package func write(_ text: String) throws(DVAEError) { try write(Array(text.utf8)) }

  /// Overwrites bytes that are already written, such as a header's count.
  ///
  /// - Throws: `cannotWrite`, also if the range reaches beyond the bytes written so far.
  package func overwrite(at position: Int, with bytes: [UInt8]) throws(DVAEError) {
    guard position >= 0, position <= count - bytes.count else {
      throw .cannotWrite(path: path, reason: "no bytes at \(position) to overwrite")
    }
    try flush()
    try bytes.withRawBytes { (buffer) throws(DVAEError) in
      try write(buffer, at: position)
    }
  }

  /// Makes the file durable and renames it to its final path.
  ///
  /// After this, nothing more can be written.
  ///
  /// - Throws: `cannotWrite`; the previous file is then unchanged.
  package func commit() throws(DVAEError) {
    try sync()
    guard let descriptor else { throw closed }
    do throws(SystemError) {
      try SystemFile.rename(temporary, to: path)
    } catch {
      discard()
      // Since the file was begun, a folder may have taken its name.
      if error.isOfName {
        throw .cannotCreate(code: .impossibleName, path: path, reason: error.reason)
      }
      throw .cannotWrite(path: path, reason: error.reason)
    }
    self.descriptor = nil
    SystemFile.close(descriptor)
    SystemFile.flushFolder(Path(path).folder.text)
  }

  /// Makes the bytes so far durable under the temporary name, so that `commit` only renames the file.
  ///
  /// - Throws: `cannotWrite`, for example if the disk is full
  package func sync() throws(DVAEError) {
    try flush()
    guard let descriptor else { throw closed }
    do throws(SystemError) {
      try SystemFile.flush(descriptor)
    } catch {
      throw .cannotWrite(path: path, reason: error.reason)
    }
  }

  /// Removes the temporary file; this also happens without a `commit`.
  package func discard() {
    guard let descriptor else { return }
    self.descriptor = nil
    // Remove before the descriptor releases the lock, or it could be another writer's file.
    try? SystemFile.remove(temporary)
    SystemFile.close(descriptor)
  }

  private func flush() throws(DVAEError) {
    guard !buffer.isEmpty else { return }
    try buffer.withRawBytes { (bytes) throws(DVAEError) in
      try write(bytes, at: count - buffer.count)
    }
    buffer.removeAll(keepingCapacity: true)
  }

  private func write(
    _ bytes: UnsafeRawBufferPointer, at position: Int
  ) throws(DVAEError) {
    guard let descriptor else { throw closed }
    do throws(SystemError) {
      try SystemFile.write(bytes, to: descriptor, at: position)
    } catch {
      throw .cannotWrite(path: path, reason: error.reason)
    }
  }

  private var closed: DVAEError {
    .cannotWrite(path: path, reason: "it is complete or given up already")
  }
}
