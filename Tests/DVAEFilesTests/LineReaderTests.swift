import DVAEFiles
import Testing

@Suite struct LineReaderTests {
  private func reader(_ text: String, longest: Int = 1 << 28) -> LineReader {
    let bytes = Array(text.utf8)
    return LineReader("lines", longest: longest) { Array(bytes.dropFirst($0).prefix($1)) }
  }

  /// A line that is too long is an error once, also if it is the last.
  @Test(arguments: [1 << 16, (1 << 16) + 1, (1 << 17) - 1, 1 << 18])
  func linesBehindALongOneAreRead(_ surplus: Int) throws {
    let long = String(repeating: "b", count: (1 << 16) + surplus)
    var lines = reader("a\n\(long)\n\ncc\n\(long)", longest: 1 << 16)
    #expect(try lines.next() == Array("a".utf8)[...])
    let error = #expect(throws: DVAEError.self) { _ = try lines.next()?.count }
    #expect(error?.code == .tooManyBytes)
    #expect(try lines.next()?.isEmpty == true && lines.position == 2 + long.utf8.count + 2)
    #expect(try lines.next() == Array("cc".utf8)[...])
    #expect(throws: DVAEError.self) { _ = try lines.next()?.count }
    #expect(try lines.next() == nil && lines.next() == nil)
  }

  /// Python's `csv` takes a carriage return for the end of a line, too.
  @Test func carriageReturnsEndLines() throws {
    func lines(_ text: String, longest: Int = 1 << 28) throws -> [String] {
      let bytes = Array(text.utf8)
      var lines = LineReader("lines", longest: longest, universalNewlines: true) {
        Array(bytes.dropFirst($0).prefix($1))
      }
      var found: [String] = []
      while true {
        do {
          guard let line = try lines.next() else { break }
          found.append(String(decoding: line, as: UTF8.self))
        } catch let error as DVAEError where error.code == .tooManyBytes {
          found.append("!")
        }
      }
      #expect(lines.position == bytes.count)
      return found
    }
    #expect(
      try lines("a\rb\r\nc\n\r\n\n\rd") == ["a\r", "b\r\n", "c\n", "\r\n", "\n", "\r", "d"])
    #expect(try lines("a\r") == ["a\r"])
    // The two bytes of an ending may be read apart.
    for count in [1 << 16, (1 << 17) - 1] {
      for ending in ["\r", "\n", "\r\n"] {
        let line = String(repeating: "b", count: count) + ending
        #expect(try lines(line + "c\r" + line) == [line, "c\r", line])
        #expect(try lines(line + "c\r" + line, longest: 9) == ["!", "c\r", "!"])
      }
    }
  }

  /// Whoever goes on after an error would otherwise meet it for ever.
  @Test func anErrorIsTheEnd() throws {
    struct Failure: Error {}
    var lines = LineReader("lines") { offset, _ in
      if offset > 0 { throw Failure() }
      return Array("a\nb".utf8)
    }
    #expect(try lines.next() == Array("a".utf8)[...])
    #expect(throws: Failure.self) { try lines.next() }
    #expect(try lines.next() == nil)
  }

  @Test func theLastLineNeedsNoNewline() throws {
    var lines = reader("a\n\nb")
    var found: [String] = []
    while let line = try lines.next() { found.append(String(decoding: line, as: UTF8.self)) }
    #expect(found == ["a", "", "b"] && lines.position == 4)
  }

  /// Editors of Windows begin a text with a byte order mark, which belongs to no line.
  @Test func aByteOrderMarkIsSkipped() throws {
    var lines = reader("\u{FEFF}a\n\u{FEFF}b")
    #expect(try lines.next() == Array("a".utf8)[...])
    #expect(lines.position == 5)
    #expect(try lines.next() == Array("\u{FEFF}b".utf8)[...])
    var empty = reader("\u{FEFF}")
    #expect(try empty.next()?.isEmpty == true && empty.next() == nil)
  }
}
