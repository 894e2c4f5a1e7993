/// A regular file for reading at offsets; threads may share it.
package final class InputFile: Sendable {
  /// The path in error messages.
  package let path: String
  /// The number of bytes in the file when it was opened.
  package let size: Int
  private let descriptor: Int32

  /// Opens a regular file.
  ///
  /// - Throws: `missing` if it does not exist or the system refuses.
  package init(path: String) throws(DVAEError) {
    self.path = path
    do throws(SystemError) {
      descriptor = try SystemFile.openToRead(path)
    } catch {
      throw error.isMissing
        ? .missing(path: path) : .unreadable(path: path, reason: error.reason)
    }
    let status = try? SystemFile.status(of: descriptor)
    guard let status, status.kind == .regular else {
      SystemFile.close(descriptor)
      throw .notAFile(
        path: path, found: status?.kind == .folder ? "a folder" : "a device or a pipe")
    }
    size = status.size
  }

  deinit { SystemFile.close(descriptor) }

  /// Returns `count` bytes from an offset on, or fewer at the end of the file.
  package func read(at offset: Int, count: Int) throws(DVAEError) -> [UInt8] {
    do throws(SystemError) {
      let available = offset > size ? 0 : max(0, min(count, size - offset))
      return try SystemFile.read(descriptor, count: available, at: offset)
    } catch {
      throw .unreadable(path: path, reason: error.reason)
    }
  }

  /// Maps the whole file, which is not empty.
  func mapped() throws(DVAEError) -> UnsafeMutableRawBufferPointer {
    do throws(SystemError) {
      return .init(start: try SystemFile.map(descriptor, count: size), count: size)
    } catch {
      throw .unreadable(path: path, reason: error.reason)
    }
  }

  /// Whether the file still has all bytes that it had when it was opened.
  var isIntact: Bool { (try? SystemFile.status(of: descriptor)).map { $0.size >= size } ?? false }

  /// The most bytes that a file of settings can have.
  package static let settingsLimit = 1 << 20

  /// Returns all bytes of a file of at most `limit` bytes.
  ///
  /// - Throws: also `limitExceeded`, before reading.
  package static func contents(of path: String, limit: Int) throws(DVAEError) -> [UInt8] {
    let file = try InputFile(path: path)
    guard file.size <= limit else {
      throw .tooManyBytes(name: path, bytes: file.size, limit: limit)
    }
    return try file.read(at: 0, count: file.size)
  }
}

extension InputFile {
  /// Reads standard input to its end, at most `limit` bytes.
  ///
  /// - Throws: also `tooManyBytes` if there are more.
  package static func standardInput(limit: Int) throws(DVAEError) -> [UInt8] {
    try rest(of: 0, "standard input", limit: limit)
  }

  /// Returns the text of a file that the system makes up (`/proc`, `/sys`), whose size is not known
  /// before it is read; nil if it cannot be read.
  package static func systemText(_ path: String) -> String? {
    guard let descriptor = try? SystemFile.openToRead(path) else { return nil }
    defer { SystemFile.close(descriptor) }
    let bytes = try? rest(of: descriptor, path, limit: 1 << 24)
    return bytes.map { String(decoding: $0, as: UTF8.self) }
  }

  private static func rest(
    of descriptor: Int32, _ name: String, limit: Int
  ) throws(DVAEError) -> [UInt8] {
    var bytes: [UInt8] = []
    do throws(SystemError) {
      while true {
        let piece = try SystemFile.read(descriptor, count: 1 << 16)
        if piece.isEmpty { return bytes }
        bytes += piece
        guard bytes.count <= limit else { break }
      }
    } catch {
      throw .unreadable(path: name, reason: error.reason)
    }
    throw .tooManyBytes(name: name, bytes: bytes.count, limit: limit)
  }
}

extension FileHash {
  /// Returns the SHA-256 of a file's bytes or of a range, as `sha256sum` prints it.
  package static func of(_ path: String, _ range: Range<Int>? = nil) throws(DVAEError) -> String {
    let file = try InputFile(path: path)
    return try of(range ?? 0..<file.size, read: file.read(at:count:))
  }

  /// Returns the SHA-256 of everything that was written to a file.
  package static func of(_ file: OutputFile) throws(DVAEError) -> String {
    try of(0..<file.size, read: file.read(at:count:))
  }

  private static func of(
    _ range: Range<Int>, read: (_ offset: Int, _ count: Int) throws(DVAEError) -> [UInt8]
  ) throws(DVAEError) -> String {
    var hash = FileHash()
    try hash.update(range, read: read)
    return hash.finished()
  }

  /// Adds a range of a file's bytes, in pieces, so that memory does not grow with the file.
  ///
  /// - Parameters:
  ///   - range: the range
  ///   - read: returns bytes from an offset on; fewer at the end of the file
  /// - Returns: the number of bytes that were there
  /// - Throws: what `read` throws
  @discardableResult
  package mutating func update(
    _ range: Range<Int>, read: (_ offset: Int, _ count: Int) throws(DVAEError) -> [UInt8]
  ) throws(DVAEError) -> Int {
    var offset = range.lowerBound
    while offset < range.upperBound {
      let bytes = try read(offset, min(1 << 20, range.upperBound - offset))
      if bytes.isEmpty { break }
      update(bytes)
      offset += bytes.count
    }
    return offset - range.lowerBound
  }
}
