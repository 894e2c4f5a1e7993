import DVAEFiles
import DVAEImages
import DVAEPreparation
import DVAETestSupport
import Testing

/// Texts that are not UTF-8, and files that are no tables.
@Suite struct EncodingTests {
  let folder = TemporaryFolder()

  /// Returns the bytes of a text in Latin-1.
  private func latin1(_ text: String) -> [UInt8] { text.unicodeScalars.map { UInt8($0.value) } }

  /// Returns the caption of each row of a file, or `!reason: detail`.
  private func rows(
    _ name: String, _ bytes: [UInt8], _ change: (inout SourceSettings) -> Void = { _ in }
  ) throws -> [String] {
    try write(bytes, to: folder(name))
    return try rows(folder(name), change).map { caption, _ in caption }
  }

  private func rows(
    _ path: String, _ change: (inout SourceSettings) -> Void = { _ in }
  ) throws -> [(String, [Key: JSONValue])] {
    var settings = SourceSettings()
    change(&settings)
    var sources = try Sources([path], settings)
    var rows: [(String, [Key: JSONValue])] = []
    while let row = try sources.next() {
      switch row {
      case .unusable(_, let reason, let detail): rows.append(("!\(reason): \(detail)", [:]))
      case .pair(let pair): rows.append((pair.caption ?? "–", pair.metadata))
      }
    }
    return rows
  }

  private func isMalformed(_ row: String?) -> Bool {
    row?.hasPrefix("!malformed-row: not UTF-8; convert it") == true
  }

  @Test func rowsOfTablesAreCounted() throws {
    let found = try rows("a.csv", latin1("caption,url\na,1.jpg\ncaf\u{E9},2.jpg\nb,3.jpg\n"))
    #expect(found.count == 3 && found[0] == "a" && isMalformed(found[1]) && found[2] == "b")
    // Without a header, the first row tells the columns.
    let bare = try rows("a.tsv", latin1("caf\u{E9}\t1.jpg\nb\t2.jpg\n"))
    #expect(bare.count == 2 && isMalformed(bare[0]) && bare[1] == "b")
    for (name, lines) in [
      ("a.jsonl", "{A}\n{B}\n"), ("a.jsonl", "{B}\n{A}"), ("a.json", "[{A}, {B}]"),
      ("a.json", "[{B},\n {A}]"),
    ] {
      let text = lines.replacing("{A}", with: #"{"caption": "caf\u{E9}", "url": "1.jpg"}"#)
        .replacing("{B}", with: #"{"n": [NaN, -Infinity], "caption": "b", "url": "2.jpg"}"#)
      let found = try rows(name, latin1(text.replacing("\\u{E9}", with: "\u{E9}")))
      #expect(found.count == 2 && found.count(where: isMalformed) == 1 && found.contains("b"))
    }
  }

  /// Such a row may be an object, so the limit is named.
  @Test func deepRowsNameTheLimit() throws {
    let depth = JSONReader.deepest + 1
    let nested = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    let lines = #"{"caption":"a","url":"1.jpg","x":"# + nested + "}\n" + #"["a"]"#
    let found = try rows("deep.jsonl", Array((lines + "\n").utf8))
    #expect(
      found.count == 2 && found[0].hasSuffix("the limit is \(JSONReader.deepest)"), "\(found)")
    #expect(found[1].hasSuffix("the row is not a JSON object"), "\(found)")
  }

  /// Two names that differ only in such bytes stay two.
  @Test func namesOfColumnsStayDistinct() throws {
    try write(latin1("caption,url,caf\u{E9},caf\u{E8}\na,1.jpg,x,y\n"), to: folder("a.csv"))
    let found = try rows(folder("a.csv"))
    #expect(found.count == 1 && found[0].0 == "a")
    #expect(found[0].1[Key("caf\\xE9")] == .string("x"))
    #expect(found[0].1[Key("caf\\xE8")] == .string("y"))
  }

  /// Names that `String` takes for equal, as from two systems.
  @Test func canonicallyEqualNamesStayDistinct() throws {
    let names = "caption,url,caf\u{E9},cafe\u{301}"
    try write(Array("\(names)\na,1.jpg,x,y\n".utf8), to: folder("a.csv"))
    let members = try rows(folder("a.csv"))[0].1
    #expect(members[Key("caf\u{E9}")] == .string("x"))
    #expect(members[Key("cafe\u{301}")] == .string("y"))
    let chosen = try rows(folder("a.csv")) { $0.captionColumn = "cafe\u{301}" }
    #expect(chosen[0].0 == "y" && chosen[0].1[Key("caf\u{E9}")] == .string("x"))
  }

  @Test func rowsOfYFCCAreCounted() throws {
    let fields = ["7", "x", "x", "x", "x", "x", "caf\u{E9}"] + [String](repeating: "x", count: 15)
    let row = (fields + ["0"]).joined(separator: "\t")
    let plain = row.replacing("caf\u{E9}", with: "b")
    let found = try rows("a.tsv", latin1(row + "\n" + plain + "\n")) { $0.format = .yfcc }
    #expect(found.count == 2 && isMalformed(found[0]) && found[1] == "b")
    var database = try Fixture.bytes("prepare/yfcc100m_dataset.sql")
    let title = try #require(database.firstRange(of: Array("+car+".utf8)))
    database[title.lowerBound + 1] = 0xE9
    let broken = try rows("a.sql", database)
    #expect(broken.count == 3 && isMalformed(broken[0]) && broken[1].hasPrefix("!video"))
  }

  /// A row that is too long costs itself, not those behind it.
  @Test(arguments: [
    ("a.csv", "caption,url\na,1.jpg\n", "L,2.jpg\n", "c,3.jpg\n"),
    ("b.csv", "caption,url\na,1.jpg\n\"b\n", "L\",2.jpg\n", "c,3.jpg\n"),
    ("a.tsv", "", "L\t2.jpg\n", "c\t3.jpg\n"),
    (
      "a.jsonl", #"{"caption":"a","url":"1.jpg"}"# + "\n", #"{"caption":"L","url":"2.jpg"}"# + "\n",
      #"{"caption":"c","url":"3.jpg"}"#
    ),
  ])
  func longRowsAreCounted(_ name: String, _ before: String, _ long: String, _ after: String) throws
  {
    let letters = String(repeating: "l", count: (1 << 24) + (1 << 17))
    let found = try rows(name, Array((before + long.replacing("L", with: letters) + after).utf8))
    let bad = found.filter { $0.hasPrefix("!malformed-row: ") }
    #expect(bad.last == "!malformed-row: a line of more than 16777216 bytes", "\(found.count)")
    #expect(found.last == "c" && found.count == bad.count + (before.isEmpty ? 1 : 2))
  }

  /// Rows that end in carriage returns may be more than the longest line.
  @Test func carriageReturnsEndRows() throws {
    let text = "two\rlines" + String(repeating: "x", count: 1 << 12)
    let rest = String(repeating: "\"\(text)\",a.jpg\r", count: 1 << 13)
    try write(Array(("caption,url\r" + rest).utf8), to: folder("mac.csv"))
    var sources = try Sources([folder("mac.csv")], SourceSettings())
    var number = 0
    while case .pair(let pair)? = try sources.next() {
      #expect(pair.caption == text && pair.origin == folder("mac.csv") + ":\(2 + 2 * number)")
      number += 1
    }
    #expect(number == 1 << 13)
  }

  /// A compressed archive in a folder of images is not one image without a caption.
  @Test(arguments: ["b.tgz", "b.tar.gz", "b.tar.bz2", "b.TAR.ZST"])
  func compressedArchivesAreUnreadable(_ name: String) throws {
    let jpeg = try encodeJPEG(testPicture(1, width: 8, height: 8), quality: 80)
    for (name, bytes) in [("a.jpg", jpeg), (name, [0x1F, 0x8B]), ("c.jpg", jpeg)] {
      try write(bytes, to: folder("in/" + name))
    }
    let found = try rows(folder("in")).map(\.0)
    #expect(
      found == ["–", "!unreadable-source: a compressed archive; decompress it first", "–"])
  }

  @Test func captionsBesideImagesAreCounted() throws {
    let jpeg = try encodeJPEG(testPicture(1, width: 8, height: 8), quality: 80)
    for (name, text) in [("a.txt", "caf\u{E9}"), ("b.json", "{\"caption\": \"caf\u{E9}\"}")] {
      try write(latin1(text), to: folder(name))
      try write(jpeg, to: folder(String(name.prefix(1)) + ".jpg"))
    }
    try write(Array("caf\u{E9}".utf8), to: folder("c.txt"))
    try write(jpeg, to: folder("c.jpg"))
    let found = try rows(folder("")).map(\.0)
    #expect(found.count == 3 && found[2] == "caf\u{E9}")
    #expect(found[0].hasPrefix("!unreadable-caption: .txt is not UTF-8"))
    #expect(found[1].hasPrefix("!unreadable-caption: .json is not UTF-8"))
  }

  @Test(arguments: [
    ("PK\u{3}\u{4}", "a zip archive"), ("PAR1", "a Parquet file; convert it to CSV"),
    ("\u{FF}\u{FF}\u{FF}\u{FF}\u{F8}\u{1}\0\0", "an Arrow file; convert it"),
    ("\u{1F}\u{8B}", "gzip"),
    (" <!DOCTYPE html>", "a web page"), ("GIF89a\0", "a GIF image"),
    ("\u{FF}\u{FE}\0\0c\0\0\0", "UTF-32"), ("\u{FF}\u{FE}c\0", "UTF-16"),
  ])
  func otherFilesAreNoTables(_ bytes: String, _ name: String) throws {
    let found = try rows("a.csv", latin1(bytes + "a,b\n"))
    #expect(found.count == 1 && found[0].hasPrefix("!unreadable-source: "))
    #expect(found[0].contains("expected a table, found " + name))
  }

  /// The first bytes of a table may be those of another format, and a caption may be markup.
  @Test func tablesMayLookLikeOtherFiles() throws {
    #expect(try rows("a.csv", Array("BMI,url,caption\n7,1.jpg,a\n".utf8)) == ["a"])
    #expect(try rows("b.csv", Array("caption,url\n<html>,1.jpg\n".utf8)) == ["<html>"])
  }
}
