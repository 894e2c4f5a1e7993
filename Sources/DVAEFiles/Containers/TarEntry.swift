/// One file in a tar archive: a regular file, a sparse file, or a link to another file of the
/// archive.
package struct TarEntry: Sendable, Hashable {
  /// A contiguous run of stored bytes of a sparse file.
  package struct Piece: Sendable, Hashable {
    /// The position of the run in the contents.
    package var position: Int
    /// The number of bytes.
    package var count: Int

    /// Makes a run.
    package init(position: Int, count: Int) {
      self.position = position
      self.count = count
    }
  }

  /// The path in the archive.
  package let name: String
  /// The position of its first header in bytes, extension headers included.
  package let start: Int
  /// The position of its contents in bytes; for a link, its target's.
  package let offset: Int
  /// The size of its contents in bytes, including holes.
  package let size: Int
  /// The position of the next header in bytes.
  package let end: Int
  /// The stored runs of a sparse file, in order; nil for a file without holes.
  package let pieces: [Piece]?
  /// The reason for missing contents; nil if there are contents.
  package var problem: String?

  /// Makes an entry.
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
