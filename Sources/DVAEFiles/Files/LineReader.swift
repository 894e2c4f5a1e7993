/// Reads a file of lines piece by piece, so that its length does not matter.
package struct LineReader {
  private let path: String
  // Whether a last line without a newline counts.
  private let givesRest: Bool
  private let read: (_ count: Int, _ offset: Int) throws -> [UInt8]
  private var buffer: [UInt8] = []
  private var start = 0
  private var offset = 0
  /// Byte offset of the line that `next` gives next.
  package private(set) var position = 0

  private static let pieceSize = 1 << 16
  // A line that is longer is refused.
  private let longest: Int
  // The longest line that this package writes.
  private static let longestWritten = 1 << 28

  /// Reads from the start of a file that is being written: a last line without a newline is torn,
  /// and is not given.
  package init(_ file: OutputFile) {
    path = file.path
    longest = Self.longestWritten
    givesRest = false
    read = { try file.read($0, at: $1) }
  }

  /// Reads whatever gives bytes in order, `read` being asked for a number of them at an offset, or
  /// fewer at the end; the last line may lack its newline.
  package init(
    _ name: String, longest: Int? = nil,
    read: @escaping (_ count: Int, _ offset: Int) throws -> [UInt8]
  ) {
    path = name
    self.longest = longest ?? Self.longestWritten
    givesRest = true
    self.read = read
  }

  /// The next line without its newline; nil at the end.
  package mutating func next() throws -> ArraySlice<UInt8>? {
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
        throw DVAEError(.badData, file: path, "a line of more than \(longest) bytes")
      }
      let piece = try read(Self.pieceSize, offset)
      if piece.isEmpty {
        guard givesRest, !buffer.isEmpty else { return nil }
        start = buffer.count
        position += start
        return buffer[...]
      }
      offset += piece.count
      buffer += piece
    }
  }
}
