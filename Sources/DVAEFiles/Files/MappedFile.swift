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
  /// The mapped file; nil for a buffer in memory.
  private let file: InputFile?

  /// Maps the regular file at a path.
  package init(path: String) throws(DVAEError) {
    let file = try InputFile(path: path)
    guard file.size > 0 else { throw .empty(path: path) }
    bytes = try file.mapped()
    (self.path, self.file) = (path, file)
  }

  /// Copies a buffer, for content that is not from a file.
  package init(copying buffer: [UInt8], path: String) throws(DVAEError) {
    guard !buffer.isEmpty else { throw .empty(path: path) }
    self.path = path
    bytes = .allocate(byteCount: buffer.count, alignment: 64)
    bytes.copyBytes(from: buffer)
    file = nil
  }

  deinit {
    guard file != nil else { return bytes.deallocate() }
    if let start = bytes.baseAddress { SystemFile.unmap(start, count: bytes.count) }
  }

  package var count: Int { bytes.count }

  /// Whether the file still has all bytes that were mapped.
  package var isIntact: Bool { file?.isIntact ?? true }
}
