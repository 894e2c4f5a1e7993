/// The bytes of a file, memory-mapped without a copy; or a buffer in memory.
///
/// The bytes live as long as this object. The mapping is copy-on-write, so the file on disk cannot
/// change through it. If another process truncates the file, touching the missing pages is fatal;
/// readers of whole tensors therefore check `isIntact` first.
package final class MappedFile: @unchecked Sendable {
  // Unchecked: nothing changes after init, and the bytes are only read.

  /// The path in error messages.
  package let path: String
  /// All bytes, at least one.
  package let bytes: UnsafeMutableRawBufferPointer
  /// The open file; nil for a buffer in memory.
  private let descriptor: Int32?

  /// Maps the regular file at a path.
  package init(path: String) throws(DVAEError) {
    let descriptor = try Self.reporting(path) { () throws(SystemError) in
      try SystemFile.openToRead(path)
    }
    do throws(DVAEError) {
      bytes = try Self.map(descriptor, path: path)
    } catch {
      SystemFile.close(descriptor)
      throw error
    }
    self.path = path
    self.descriptor = descriptor
  }

  /// Copies a buffer, for content that is not from a file.
  package init(copying buffer: [UInt8], path: String) throws(DVAEError) {
    guard !buffer.isEmpty else { throw .empty(path: path) }
    self.path = path
    bytes = .allocate(byteCount: buffer.count, alignment: 64)
    bytes.copyBytes(from: buffer)
    descriptor = nil
  }

  deinit {
    guard let descriptor else { return bytes.deallocate() }
    if let start = bytes.baseAddress { SystemFile.unmap(start, count: bytes.count) }
    SystemFile.close(descriptor)
  }

  package var count: Int { bytes.count }

  /// Whether the file still has all bytes that were mapped.
  package var isIntact: Bool {
    guard let descriptor else { return true }
    guard let status = try? SystemFile.status(of: descriptor) else { return false }
    return status.size >= bytes.count
  }

  private static func map(
    _ descriptor: Int32, path: String
  ) throws(DVAEError) -> UnsafeMutableRawBufferPointer {
    let status = try reporting(path) { () throws(SystemError) in
      try SystemFile.status(of: descriptor)
    }
    switch status.kind {
    case .regular: break
    case .folder: throw .notAFile(path: path, found: "a folder")
    case .link, .other: throw .notAFile(path: path, found: "a device or a pipe")
    }
    guard status.size > 0 else { throw .empty(path: path) }
    let start = try reporting(path) { () throws(SystemError) in
      try SystemFile.map(descriptor, count: status.size)
    }
    return UnsafeMutableRawBufferPointer(start: start, count: status.size)
  }

  /// Converts the system's error into one that names the file.
  private static func reporting<Result>(
    _ path: String, _ body: () throws(SystemError) -> Result
  ) throws(DVAEError) -> Result {
    do throws(SystemError) {
      return try body()
    } catch {
      throw error.isMissing
        ? .missing(path: path) : .unreadable(path: path, reason: error.reason)
    }
  }
}
