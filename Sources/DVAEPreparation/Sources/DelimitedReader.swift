import DVAEFiles

/// Reads the records of a table as Python's `csv` does: fields between commas or tabs; a field that
/// begins with a quote may hold separators, doubled quotes and line breaks; any other quote is text.
///
/// A quote that is never closed would swallow the rows behind it. So where a record of several lines has
/// another number of fields than the first one, or becomes too long, its first line alone is lost.
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

  /// Why a line is no record.
  struct Malformed: Error { var reason: String }

  private var lines: LineReader
  private let dialect: Dialect
  /// The number of fields of a record; nil where it is not known yet.
  var width: Int?
  private var number = 0
  // Lines of a quoted field that did not end: they are read anew, one by one.
  private var waiting: ArraySlice<[UInt8]> = []

  // A field that is longer has lost its closing quote.
  private static let longestRecord = 1 << 20

  init(_ source: ByteSource, _ dialect: Dialect) {
    lines = source.lines()
    self.dialect = dialect
  }

  /// The next record; nil at the end.
  ///
  /// Empty lines are passed over.
  mutating func next() throws -> Record? {
    while let line = try nextLine() {
      let first = number
      if line.isEmpty || line == [UInt8(ascii: "\r")] { continue }
      return Record(line: first, fields: try fields(line))
    }
    return nil
  }

  private mutating func nextLine() throws -> [UInt8]? {
    guard let line = try waiting.popFirst() ?? lines.next().map({ Array($0) }) else { return nil }
    number += 1
    return number == 1 ? ByteOrderMark.removed(from: line) : line
  }

  private mutating func fields(_ line: [UInt8]) throws -> Result<[String], Malformed> {
    var parser = RecordParser(separator: dialect.rawValue)
    var (rest, count, more) = (parser.feed(line), line.count, [[UInt8]]())
    while parser.isOpen {
      guard count <= Self.longestRecord, let line = try nextLine() else {
        return lost(more, "a quoted field that does not end")
      }
      more.append(line)
      count += line.count + 1
      rest = parser.feed(line)
    }
    // Python would take text behind the closing quote; over several lines it shows that the quote
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
      waiting = [Array(rest)] + waiting
    }
    return .success(parser.fields.map { String(decoding: $0, as: UTF8.self) })
  }

  /// Only the first line is lost; whatever the quote has swallowed is read again.
  private mutating func lost(_ more: [[UInt8]], _ reason: String) -> Result<[String], Malformed> {
    number -= more.count
    waiting = more[...] + waiting
    return .failure(Malformed(reason: reason))
  }
}

/// Takes the lines of one record.
private struct RecordParser {
  private enum Place { case start, plain, quoted, behindQuote }

  /// The most fields of a record; more are not kept.
  static let mostFields = 1 << 14

  private(set) var fields: [[UInt8]] = []
  /// Whether a quoted field goes on in the next line.
  private(set) var isOpen = false
  /// Whether text followed the closing quote of a field.
  private(set) var hasTextBehindQuote = false
  private let separator: UInt8
  private var field: [UInt8] = []
  private var place = Place.start

  init(separator: UInt8) { self.separator = separator }

  /// Takes a line; what follows a carriage return in it is another record, and is returned.
  mutating func feed(_ line: [UInt8]) -> ArraySlice<UInt8>? {
    isOpen = false
    for (index, byte) in line.enumerated() {
      switch (place, byte) {
      case (.quoted, UInt8(ascii: "\"")): place = .behindQuote
      case (.quoted, _): field.append(byte)
      case (_, separator): endField()
      case (_, UInt8(ascii: "\r")):
        endField()
        return index == line.count - 1 ? nil : line[(index + 1)...]
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
