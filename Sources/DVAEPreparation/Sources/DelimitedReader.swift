import DVAEFiles

/// Reads the records of a table like Python's `csv`: fields between commas or tabs; a field that
/// begins with a quote may contain separators, doubled quotes and line breaks; other quotes are
/// text.
///
/// An unclosed quote would swallow the following rows. So if a record of several lines has another
/// number of fields than the first one, or becomes too long, only its first line is lost.
struct DelimitedReader {
  /// The fields of a line, or why it is not a record; the fields are then empty, or have `\xFF` for
  /// bytes that are not UTF-8, if that is the problem.
  typealias Record = (fields: [String], problem: String?)

  private let name: String
  private var lines: LineReader
  private let separator: UInt8
  /// The number of fields in a record; nil until it is known.
  var width: Int?
  private var number = 0
  // Lines in memory, and the number of those that have been taken: the lines of a quoted field that did
  // not end are taken again, one by one.
  private var buffer: [Result<ArraySlice<UInt8>, DVAEError>] = []
  private var taken = 0
  // The bytes of the lines that are taken again.
  private var bytesAgain = 0

  // A longer field has lost its closing quote.
  private static let longestRecord = 1 << 20
  // The largest ratio of the bytes of lines that are taken again to those of all lines, and the bytes
  // that any table may have of them.
  private static let largestRatio = 16
  private static let alwaysAllowed = 1 << 22

  init(_ source: ByteSource, separator: UInt8) {
    name = source.name
    lines = source.lines(universalNewlines: true)
    self.separator = separator
  }

  /// Returns the next record and the number of its first line, from 1; nil at the end.
  ///
  /// Empty lines are skipped.
  mutating func next() throws -> (line: Int, record: Record)? {
    while true {
      // Lines are removed many at a time, because removing moves all others.
      if taken > buffer.count / 2 {
        buffer.removeFirst(taken)
        taken = 0
      }
      guard let next = try nextLine() else { return nil }
      let first = number
      let line: ArraySlice<UInt8>
      do {
        line = try next.get()
      } catch {
        return (first, ([], error.problem))
      }
      if line.allSatisfy({ $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }) { continue }
      return (first, try record(line))
    }
  }

  /// Returns the next line, or the error of one that is too long.
  private mutating func nextLine() throws -> Result<ArraySlice<UInt8>, DVAEError>? {
    if taken == buffer.count {
      guard let line = try lines.nextRow() else { return nil }
      buffer.append(line.map { Array($0)[...] })
    }
    taken += 1
    number += 1
    return buffer[taken - 1]
  }

  private mutating func record(_ line: ArraySlice<UInt8>) throws -> Record {
    var parser = RecordParser(separator: separator)
    parser.feed(line)
    var (count, more) = (line.count, 0)
    while parser.isOpen {
      // A record with more fields than the table has is none; reading on to its end would take as long
      // for each of its lines.
      guard parser.fields.count < width ?? .max else {
        return try lost(
          more, count - line.count,
          "a quoted field of several lines, and more than \(width ?? 0) fields")
      }
      guard count <= Self.longestRecord, let next = try nextLine() else {
        return try lost(more, count - line.count, "a quoted field that does not end")
      }
      more += 1
      guard let next = try? next.get() else {
        return try lost(more, count - line.count, "a quoted field that does not end")
      }
      count += next.count
      parser.feed(next)
    }
    // Python accepts text after the closing quote; over several lines it shows that the quote
    // belongs to another field.
    if more > 0,
      parser.hasTextBehindQuote || parser.fields.count != width ?? parser.fields.count
    {
      return try lost(
        more, count - line.count,
        "a quoted field of several lines, and \(parser.fields.count) fields")
    }
    if parser.fields.count > RecordParser.mostFields {
      return ([], "more than \(RecordParser.mostFields) fields")
    }
    let fields = parser.fields.compactMap { String(validating: $0, as: UTF8.self) }
    return fields.count == parser.fields.count
      ? (fields, nil) : (parser.fields.map { visibleText($0) }, SourceRow.notUTF8)
  }

  /// Loses only the first line; the lines that the quote has swallowed, `more` of `bytes` bytes, are
  /// taken again.
  ///
  /// - Throws: if too many bytes are, because a record that does not end begins on almost every line
  private mutating func lost(
    _ more: Int, _ bytes: Int, _ reason: String
  ) throws(DVAEError) -> Record {
    bytesAgain += bytes
    guard bytesAgain / Self.largestRatio <= max(lines.position, Self.alwaysAllowed) else {
      throw DVAEError(
        .badData, file: "\(name):\(number - more)",
        "too many quoted fields do not end: the table is not quoted as CSV is")
    }
    number -= more
    taken -= more
    return ([], reason)
  }
}

/// Collects the lines of one record.
private struct RecordParser {
  private enum Place { case start, plain, quoted, behindQuote }

  /// The largest number of fields in a record; more are discarded.
  static let mostFields = 1 << 14

  private(set) var fields: [[UInt8]] = []
  /// Whether a quoted field continues on the next line.
  private(set) var isOpen = false
  /// Whether text followed the closing quote of a field.
  private(set) var hasTextBehindQuote = false
  private let separator: UInt8
  private var field: [UInt8] = []
  private var place = Place.start

  init(separator: UInt8) { self.separator = separator }

  /// Adds a line with its ending.
  mutating func feed(_ line: ArraySlice<UInt8>) {
    isOpen = false
    for byte in line {
      switch (place, byte) {
      case (.quoted, UInt8(ascii: "\"")): place = .behindQuote
      case (.quoted, _): field.append(byte)
      case (_, separator): endField()
      case (_, UInt8(ascii: "\r")), (_, UInt8(ascii: "\n")): return endField()
      case (.start, UInt8(ascii: "\"")): place = .quoted
      case (.behindQuote, UInt8(ascii: "\"")):
        field.append(byte)
        place = .quoted
      default:
        if place == .behindQuote { hasTextBehindQuote = true }
        field.append(byte)
        place = .plain
      }
    }
    isOpen = place == .quoted
    if !isOpen { endField() }
  }

  private mutating func endField() {
    if fields.count <= Self.mostFields { fields.append(field) }
    field = []
    place = .start
  }
}
