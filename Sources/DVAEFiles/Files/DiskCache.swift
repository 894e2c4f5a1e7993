/// Files of results that can be computed again, in a folder below the user's cache folder.
///
/// A file holds the SHA-256 of its content and the content. A damaged file counts as missing, and a
/// cache that cannot be written only costs time.
package struct DiskCache: Sendable {
  /// The folder of the files.
  package let folder: String
  /// The number of files to keep; the least recently used are removed.
  package let capacity: Int

  /// Opens a cache in a folder.
  package init(_ folder: String, capacity: Int) {
    (self.folder, self.capacity) = (folder, capacity)
  }

  /// Returns the content that was stored under a name, if it is there and intact, and the file has at
  /// most `limit` bytes.
  package func read(_ name: String, limit: Int) -> [UInt8]? {
    guard let stored = try? InputFile.contents(of: path(name), limit: limit) else { return nil }
    let content = Array(stored.dropFirst(64))
    guard Array(stored.prefix(64)) == Array(FileHash.of(content).utf8) else { return nil }
    try? SystemFile.touch(path(name))
    return content
  }

  /// Stores a content under a name.
  package func write(_ content: [UInt8], _ name: String) {
    _ = try? FileSystem.makeFolders(folder)
    try? AtomicFile.write(Array(FileHash.of(content).utf8) + content, to: path(name))
    removeOldest()
  }

  private func path(_ name: String) -> String { folder + "/" + name }

  private func removeOldest() {
    let files = ((try? FileSystem.names(in: folder)) ?? []).map { folder + "/" + $0 }
    guard files.count > capacity else { return }
    let times = files.map { (path: $0, time: FileSystem.changed($0) ?? 0) }
    for file in times.sorted(by: { $0.time < $1.time }).prefix(files.count - capacity) {
      try? FileSystem.remove(file.path)
    }
  }
}
