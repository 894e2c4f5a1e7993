import Synchronization

/// Files that are read again and again, of which only the latest few stay open: a job may have more
/// archives than a process may have files.
package final class RecentFiles: Sendable {
  private let capacity: Int
  private let open = Mutex<[InputFile]>([])

  /// Starts with no file open.
  package init(capacity: Int = 16) { self.capacity = capacity }

  /// Returns the file of a path, opened if it is not among the latest.
  ///
  /// - Parameters:
  ///   - path: of the file
  ///   - size: the bytes that it had when it was first seen
  /// - Returns: the open file
  /// - Throws: also `changed`, where it has another size now
  package func file(_ path: String, size: Int) throws(DVAEError) -> InputFile {
    try open.withLock { (files) throws(DVAEError) in
      if let place = files.lastIndex(where: { Path($0.path) == Path(path) }) {
        let file = files.remove(at: place)
        files.append(file)
        return file
      }
      let file = try InputFile(path: path)
      guard file.size == size else {
        throw DVAEError(
          .badData, code: .changed, file: path, expected: "\(size) bytes, as when it was listed",
          found: "\(file.size)")
      }
      if files.count >= capacity { files.removeFirst() }
      files.append(file)
      return file
    }
  }
}
