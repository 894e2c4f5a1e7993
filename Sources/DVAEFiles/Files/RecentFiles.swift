import Synchronization

/// The most recently used files, kept open; a job may have more archives than a process may open.
package final class RecentFiles: Sendable {
  private let open = Mutex(RecentlyUsed<Path, InputFile>(capacity: 16))

  /// Starts with no file open.
  package init() {}

  /// Returns an open file.
  ///
  /// - Parameters:
  ///   - path: the file's path
  ///   - size: its size in bytes when it was listed
  /// - Returns: the file, opened if it is not among the most recent
  /// - Throws: also `changed`, if it has another size now
  package func file(_ path: String, size: Int) throws(DVAEError) -> InputFile {
    try open.withLock { (files) throws(DVAEError) in
      if let file = files.value(of: Path(path)) { return file }
      let file = try InputFile(path: path)
      guard file.size == size else {
        throw DVAEError(
          .badData, code: .changed, file: path, expected: "\(size) bytes, as when it was listed",
          found: "\(file.size)")
      }
      files.add(file, Path(path))
      return file
    }
  }
}
