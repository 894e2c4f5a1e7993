/// Reads a file line by line; memory does not grow with the file.
///
/// A byte order mark at its start is skipped.
package struct LineReader {
  private let path: String
  // Returns a last line without a newline if true.
  private let givesRest: Bool
  private let read: (_ offset: Int, _ count: Int) throws -> [UInt8]
  private var buffer: [UInt8] = []
  private var start = 0
  private var offset = 0
  // Whether an error has occurred; it would occur again with every further line.
  private var hasFailed = false
  // Whether the buffer begins inside a line that is too long.
  private var isInsideLine = false
  /// The byte offset of the next line.
  package private(set) var position = 0
  /// Whether the last line that was returned lacks its newline.
  package private(set) var lacksNewline = false

  private static let pieceSize = 1 << 16
  // The longest line that is accepted.
  private let longest: Int
  // The longest line that this package writes.
  private static let longestWritten = 1 << 28

  /// Reads from the start of a file that is still written: a last line without a newline is
  /// incomplete and is not returned.
  package init(_ file: OutputFile) {
    path = file.path
    longest = Self.longestWritten
    givesRest = false
    read = file.read(at:count:)
  }

  /// Reads from any source, whose last line may lack its newline.
  ///
  /// `read` returns the bytes at an offset, or fewer at the end.
  package init(
    _ name: String, longest: Int? = nil,
    read: @escaping (_ offset: Int, _ count: Int) throws -> [UInt8]
  ) {
    path = name
    self.longest = longest ?? Self.longestWritten
    givesRest = true
    self.read = read
  }

  /// Returns the next line without its newline; nil at the end, and after any other error.
  ///
  /// - Throws: `tooManyBytes` for a line that is too long: the next call gives the line after it
  package mutating func next() throws -> ArraySlice<UInt8>? {
    guard !hasFailed else { return nil }
    hasFailed = true
    if isInsideLine { try leaveLine() }
    let isFirst = position == 0
    let line = try advance()
    hasFailed = false
    guard isFirst, let line else { return line }
    return line.dropFirst(ByteOrderMark.count(in: line))
  }

  /// Passes over the rest of a line that is too long.
  private mutating func leaveLine() throws {
    while isInsideLine {
      let newline = buffer[start...].firstIndex(of: UInt8(ascii: "\n"))
      let end = newline.map { $0 + 1 } ?? buffer.count
      position += end - start
      start = end
      isInsideLine = newline == nil && !buffer.isEmpty
      guard isInsideLine else { return }
      buffer = try read(offset, Self.pieceSize)
      start = 0
      offset += buffer.count
    }
  }

  private mutating func advance() throws -> ArraySlice<UInt8>? {
    var searched = start
    while true {
      if let newline = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
        let line = buffer[start..<newline]
        position += line.count + 1
        start = newline + 1
        return line
      }
      buffer.removeFirst(start)
      start = 0
      searched = buffer.count
      guard searched < longest else {
        (isInsideLine, hasFailed) = (true, false)
        throw DVAEError(
          .badData, code: .tooManyBytes, file: path, "a line of more than \(longest) bytes")
      }
      let piece = try read(offset, Self.pieceSize)
      if piece.isEmpty {
        guard givesRest, !buffer.isEmpty else { return nil }
        start = buffer.count
        position += start
        lacksNewline = true
        return buffer[...]
      }
      offset += piece.count
      buffer += piece
    }
  }
}
