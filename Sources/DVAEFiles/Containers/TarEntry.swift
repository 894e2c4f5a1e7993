/// One file in a tar archive: a regular one, a sparse one, or a link to another file of the archive.
package struct TarEntry: Sendable, Hashable {
  /// A run of bytes that the archive holds of a sparse file.
  package struct Piece: Sendable, Hashable {
    /// Where the run belongs in the contents.
    package var position: Int
    /// The number of bytes.
    package var count: Int

    /// Makes a run.
    package init(position: Int, count: Int) {
      self.position = position
      self.count = count
    }
  }

  /// The path stored in the archive.
  package let name: String
  /// Where its first header starts, in bytes; extension headers count as its own.
  package let start: Int
  /// Where its contents start, in bytes; for a link those of its target.
  package let offset: Int
  /// The number of bytes in its contents, holes included.
  package let size: Int
  /// Where the next header starts, in bytes.
  package let end: Int
  /// What the archive holds of a sparse file, in order; nil for a file without holes.
  package let pieces: [Piece]?
  /// Why there are no contents; nil if there are.
  package let problem: String?

  /// Whether the archive holds the contents in one run: not those of a sparse file, nor of a link that
  /// leads nowhere.
  package var isWhole: Bool { pieces == nil && problem == nil }

  /// Makes an entry of what was found before.
  package init(
    name: String, start: Int, offset: Int, size: Int, end: Int, pieces: [Piece]? = nil,
    problem: String? = nil
  ) {
    self.name = name
    self.start = start
    self.offset = offset
    self.size = size
    self.end = end
    self.pieces = pieces
    self.problem = problem
  }
}

/// The layout that the reader and the writer of tar archives share.
enum TarFormat {
  static let block = 512

  /// A size rounded up to whole blocks.
  static func padded(_ size: Int) -> Int { size + (block - size % block) % block }
}
