import DVAEFiles

/// Reads the records of a table: tab-separated lines without quoting, or comma-separated values by
/// RFC 4180, in which a quoted field may hold commas, doubled quotes and line breaks.
struct DelimitedReader {
  enum Dialect { case tab, comma }

  /// A record and the number of its first line, from 1.
  struct Record {
    var line: Int
    var fields: Result<[String], Malformed>
  }

  /// Why a line is no record.
  struct Malformed: Error { var reason: String }

  private var lines: LineReader
  private let dialect: Dialect
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
      switch dialect {
      case .tab: return Record(line: first, fields: .success(Self.tabFields(line)))
      case .comma: return Record(line: first, fields: try commaFields(line))
      }
    }
    return nil
  }

  private mutating func nextLine() throws -> [UInt8]? {
    guard let line = try waiting.popFirst() ?? lines.next().map({ Array($0) }) else { return nil }
    number += 1
    return number == 1 ? ByteOrderMark.removed(from: line) : line
  }

  private static func tabFields(_ line: [UInt8]) -> [String] {
    let line = line.last == UInt8(ascii: "\r") ? line.dropLast() : line[...]
    return line.split(separator: UInt8(ascii: "\t"), omittingEmptySubsequences: false)
      .map { String(decoding: $0, as: UTF8.self) }
  }

  private mutating func commaFields(_ line: [UInt8]) throws -> Result<[String], Malformed> {
    var parser = CommaParser()
    var (status, count, more) = (parser.feed(line), line.count, [[UInt8]]())
    while case .open = status {
      guard count <= Self.longestRecord, let line = try nextLine() else {
        // Only the first line is lost; whatever the quote has swallowed is read again.
        number -= more.count
        waiting = more[...] + waiting
        return .failure(Malformed(reason: "a quoted field that does not end"))
      }
      more.append(line)
      count += line.count
      status = parser.feed(line)
    }
    if case .malformed(let reason) = status {
      number -= more.count
      waiting = more[...] + waiting
      return .failure(Malformed(reason: reason))
    }
    return .success(parser.fields.map { String(decoding: $0, as: UTF8.self) })
  }
}

/// Takes the lines of one comma-separated record.
private struct CommaParser {
  enum Status {
    case complete
    /// Within a quoted field.
    case open
    case malformed(String)
  }

  private enum Place { case start, plain, quoted, behindQuote }

  private(set) var fields: [[UInt8]] = []
  private var field: [UInt8] = []
  private var place = Place.start

  mutating func feed(_ line: [UInt8]) -> Status {
    for (index, byte) in line.enumerated() {
      let isLineEnd = byte == UInt8(ascii: "\r") && index == line.count - 1
      switch (place, byte) {
      case (.quoted, UInt8(ascii: "\"")): place = .behindQuote
      case (.quoted, _): field.append(byte)
      case (_, UInt8(ascii: ",")): endField()
      case (_, _) where isLineEnd: break
      case (.start, UInt8(ascii: "\"")): place = .quoted
      case (.behindQuote, UInt8(ascii: "\"")):
        field.append(byte)
        place = .quoted
      case (.behindQuote, _): return .malformed("text behind a closing quote")
      case (.plain, UInt8(ascii: "\"")): return .malformed("a quote within an unquoted field")
      default:
        field.append(byte)
        place = .plain
      }
    }
    if place == .quoted {
      field.append(UInt8(ascii: "\n"))
      return .open
    }
    endField()
    return .complete
  }

  private mutating func endField() {
    fields.append(field)
    field = []
    place = .start
  }
}
