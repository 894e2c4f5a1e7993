import DVAEFiles

/// Reads the records of a table like Python's `csv`: fields between commas or tabs; a field that
/// begins with a quote may contain separators, doubled quotes and line breaks; other quotes are
/// text.
///
/// An unclosed quote would swallow the following rows. So if a record of several lines has another
/// number of fields than the first one, or becomes too long, only its first line is lost.
struct DelimitedReader {
  enum Dialect: UInt8 {
    case tab = 0x09
    case comma = 0x2C
  }

  /// A record and the number of its first line, from 1.
  struct Record {
    var line: Int
    var fields: Result<[String], Malformed>
  }

  /// The reason why a line is not a record.
  struct Malformed: Error { var reason: String }

  private var lines: LineReader
  private let dialect: Dialect
  /// The number of fields in a record; nil until it is known.
  var width: Int?
  private var number = 0
  // Lines of a quoted field that did not end: they are read again, one by one.
  private var waiting: ArraySlice<ArraySlice<UInt8>> = []

  // A longer field has lost its closing quote.
  private static let longestRecord = 1 << 20

  init(_ source: ByteSource, _ dialect: Dialect) {
    lines = source.lines()
    self.dialect = dialect
  }

  /// Returns the next record; nil at the end.
  ///
  /// Empty lines are skipped.
  mutating func next() throws -> Record? {
    while let line = try nextLine() {
      let first = number
      if line.isEmpty || line == [UInt8(ascii: "\r")] { continue }
      return Record(line: first, fields: try fields(line))
    }
    return nil
  }

  private mutating func nextLine() throws -> ArraySlice<UInt8>? {
    guard let line = try waiting.popFirst() ?? lines.next().map({ Array($0)[...] }) else {
      return nil
    }
    number += 1
    return number == 1 ? ByteOrderMark.removed(from: Array(line))[...] : line
  }

  private mutating func fields(_ line: ArraySlice<UInt8>) throws -> Result<[String], Malformed> {
    var parser = RecordParser(separator: dialect.rawValue)
    var (rest, count, more) = (parser.feed(line), line.count, [ArraySlice<UInt8>]())
    while parser.isOpen {
      // A record with more fields than the table has is none; reading on to its end would take as long
      // for each of its lines.
      guard parser.fields.count < width ?? .max else {
        return lost(more, "a quoted field of several lines, and more than \(width ?? 0) fields")
      }
      guard count <= Self.longestRecord, let line = try nextLine() else {
        return lost(more, "a quoted field that does not end")
      }
      more.append(line)
      count += line.count + 1
      rest = parser.feed(line)
    }
    // Python accepts text after the closing quote; over several lines it shows that the quote
    // belongs to another field.
    if !more.isEmpty,
      parser.hasTextBehindQuote || parser.fields.count != width ?? parser.fields.count
    {
      return lost(more, "a quoted field of several lines, and \(parser.fields.count) fields")
    }
    if parser.fields.count > RecordParser.mostFields {
      return .failure(Malformed(reason: "more than \(RecordParser.mostFields) fields"))
    }
    if let rest {
      number -= 1
      waiting = [rest] + waiting
    }
    return .success(parser.fields.map { String(decoding: $0, as: UTF8.self) })
  }

  /// Loses only the first line; the lines that the quote has swallowed are read again.
  private mutating func lost(_ more: [ArraySlice<UInt8>], _ reason: String) -> Result<
    [String], Malformed
  > {
    number -= more.count
    waiting = more[...] + waiting
    return .failure(Malformed(reason: reason))
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

  /// Adds a line; the rest after a carriage return is another record, and is returned.
  mutating func feed(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    isOpen = false
    for (index, byte) in zip(line.indices, line) {
      switch (place, byte) {
      case (.quoted, UInt8(ascii: "\"")): place = .behindQuote
      case (.quoted, _): field.append(byte)
      case (_, separator): endField()
      case (_, UInt8(ascii: "\r")):
        endField()
        return index == line.endIndex - 1 ? nil : line[(index + 1)...]
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
    if place == .quoted {
      field.append(UInt8(ascii: "\n"))
      isOpen = true
    } else {
      endField()
    }
    return nil
  }

  private mutating func endField() {
    if fields.count <= Self.mostFields { fields.append(field) }
    field = []
    place = .start
  }
}
