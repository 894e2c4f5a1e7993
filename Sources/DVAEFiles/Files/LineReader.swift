/// Reads a file line by line; memory does not grow with the file.
///
/// A byte order mark at its start is skipped.
package struct LineReader {
  private let path: String
  // Returns a last line without a newline if true.
  private let givesRest: Bool
  private let hasUniversalNewlines: Bool
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

  /// Reads from the start of a file that is still written: a last line without a newline is
  /// incomplete and is not returned.
  package init(_ file: OutputFile) {
    self.init(file.path, givesRest: false, read: file.read(at:count:))
  }

  /// Reads from the start of a finished file, whose last line may lack its newline.
  package init(_ file: InputFile) { self.init(file.path, read: file.read(at:count:)) }

  /// Reads from any source.
  ///
  /// - Parameters:
  ///   - name: the source in error messages
  ///   - longest: the longest line in bytes that is accepted; this package writes none that is longer by
  ///     default
  ///   - universalNewlines: whether a carriage return ends a line too, alone or before a newline; each line
  ///     then keeps its ending, as in Python's `csv`
  ///   - givesRest: whether a last line without a newline is returned
  ///   - read: returns the bytes at an offset, or fewer at the end
  package init(
    _ name: String, longest: Int = 1 << 28, universalNewlines: Bool = false,
    givesRest: Bool = true, read: @escaping (_ offset: Int, _ count: Int) throws -> [UInt8]
  ) {
    path = name
    self.longest = longest
    self.givesRest = givesRest
    hasUniversalNewlines = universalNewlines
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
    return isFirst ? line?.withoutByteOrderMark : line
  }

  /// Passes over the rest of a line that is too long.
  private mutating func leaveLine() throws {
    while isInsideLine {
      let end = lineEnd(from: start)
      let next = end ?? buffer.count - (isSplit ? 1 : 0)
      position += next - start
      start = next
      isInsideLine = end == nil
      guard try isInsideLine && !fill() else { continue }
      position += buffer.count
      (buffer, isInsideLine) = ([], false)
    }
  }

  private mutating func advance() throws -> ArraySlice<UInt8>? {
    var searched = start
    while true {
      if let end = lineEnd(from: searched) {
        let line = buffer[start..<(hasUniversalNewlines ? end : end - 1)]
        position += end - start
        start = end
        return line
      }
      let searchedCount = buffer.count - start
      guard searchedCount < longest else {
        (isInsideLine, hasFailed) = (true, false)
        throw DVAEError(
          .badData, code: .tooManyBytes, file: path, "a line of more than \(longest) bytes")
      }
      guard try fill() else {
        guard givesRest, start < buffer.count else { return nil }
        let line = buffer[start...]
        start = buffer.count
        position += line.count
        lacksNewline = true
        return line
      }
      searched = max(0, searchedCount - 1)
    }
  }

  /// Returns the end of the line in the buffer with its ending, which is found from `index` on; nil if it is
  /// not there yet.
  private func lineEnd(from index: Int) -> Int? {
    let newline = UInt8(ascii: "\n")
    guard hasUniversalNewlines else {
      return buffer[index...].firstIndex(of: newline).map { $0 + 1 }
    }
    let first = buffer[index...].firstIndex { $0 == newline || $0 == UInt8(ascii: "\r") }
    guard let first, first + 1 < buffer.count || buffer[first] == newline else { return nil }
    return buffer[first] != newline && buffer[first + 1] == newline ? first + 2 : first + 1
  }

  // Whether a newline may follow the carriage return at the end of the buffer.
  private var isSplit: Bool { hasUniversalNewlines && buffer.last == UInt8(ascii: "\r") }

  /// Adds the next bytes to those of the buffer that are not yet taken; false at the end.
  private mutating func fill() throws -> Bool {
    buffer.removeFirst(start)
    start = 0
    let piece = try read(offset, Self.pieceSize)
    offset += piece.count
    buffer += piece
    return !piece.isEmpty
  }
}
