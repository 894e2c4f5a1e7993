import DVAETestSupport
import DVAEFiles
import DVAEPreparation
import Foundation
import DVAEImages
import Testing

@Suite struct SourceTests {
  let folder = TemporaryFolder()

  /// Returns the rows of a file in short: caption, image, licence; `!reason` for an unusable one.
  private func rows(
    _ name: String, _ text: String, _ change: (inout SourceSettings) -> Void = { _ in }
  ) throws -> [String] {
    try write(Array(text.utf8), to: folder(name))
    return try described([folder(name)], change)
  }

  private func described(
    _ paths: [String], _ change: (inout SourceSettings) -> Void = { _ in }
  ) throws -> [String] {
    try pairs(paths, change).map { row in
      switch row {
      case .pair(let pair): [pair.caption ?? "–", image(pair)].joined(separator: " | ")
      case .unusable(_, let reason, _): "!" + reason
      }
    }
  }

  private func pairs(
    _ paths: [String], _ change: (inout SourceSettings) -> Void = { _ in }
  ) throws -> [SourceRow] {
    var settings = SourceSettings()
    change(&settings)
    var sources = try Sources(paths, settings)
    var rows: [SourceRow] = []
    while let row = try sources.next() { rows.append(row) }
    return rows
  }

  /// Returns the problem of a source none of whose rows can be read.
  private func refusal(of path: String) throws -> String {
    let rows = try pairs([path])
    guard case .unusable(_, "unreadable-source", let detail)? = rows.first, rows.count == 1 else {
      Issue.record("\(rows)")
      return ""
    }
    return detail
  }

  private func image(_ pair: Pair) -> String {
    switch pair.image {
    case .address(let address): address
    case .zipMember(let archive, let member): archive + "#" + member
    case .item(let item): item.name.replacingOccurrences(of: folder.path + "/", with: "")
    }
  }

  /// 82 bytes that decompress to 72 MiB of line ends: more than a thousand times as many, and more
  /// than the limit of every file.
  @Test func bzip2BombsAreRefused() throws {
    let bomb =
      "QlpoOTFBWSZTWStxu3EBX45AAIAQAAggADCATUZCoCWpCoCXMUFZJlNZwHCd1wDis8BAgBBAAAAIIAAwzAUppqikhWwJ"
      + "SQrxdyRThQkJaT6zUA=="
    try write(Array(#require(Data(base64Encoded: bomb))), to: folder("bomb.csv.bz2"))
    let rows = try pairs([folder("bomb.csv.bz2")])
    guard case .unusable(_, let reason, let detail)? = rows.last, rows.count == 1 else {
      Issue.record("\(rows.count) rows")
      return
    }
    #expect(
      reason == "unreadable-source" && detail.contains("the limit is 1000"), "\(detail)")
  }

  @Test func recordsOfTooManyFieldsAreDropped() throws {
    let row = { (fields: Int) in "a cat,a.jpg" + String(repeating: ",", count: fields - 2) + "\n" }
    #expect(try rows("most.csv", row(1 << 14)) == ["a cat | a.jpg"])
    let found = try rows("more.csv", row(1 << 14 + 1) + "a dog,b.jpg\n")
    #expect(found.first == "!malformed-row" && found.count == 2)
  }

  @Test func conceptualCaptionsInEitherOrder() throws {
    let caption = "a \"quoted\" dog , on a mat .\thttp://a.b/c.jpg\r\n"
    let address = "https://a.b/c.jpg\ta cat\n"
    #expect(try rows("cc.tsv", caption) == ["a \"quoted\" dog , on a mat . | http://a.b/c.jpg"])
    #expect(try rows("cc12m.tsv", address + address).count == 2)
    #expect(try rows("cc12m.tsv", address).first == "a cat | https://a.b/c.jpg")
    let header = try rows("h.tsv", "url\tcaption\nhttp://a.b/c.jpg\ta cat\n")
    #expect(header == ["a cat | http://a.b/c.jpg"])
    // A row without one column, and a last line without a line end.
    let short = try rows("s.tsv", "a cat\thttp://a.b/c.jpg\na dog\na bird\thttp://d")
    #expect(short == ["a cat | http://a.b/c.jpg", "!malformed-row", "a bird | http://d"])
  }

  /// Caption and address in every kind of table, in either order, with and without header, plain
  /// and compressed, give the same rows.
  @Test func allFormsGiveTheSameRows() throws {
    let pairs = [
      ("a red car", "http://img.example/1.jpg"), ("a cat , on a mat", "http://img.example/2.jpg"),
    ]
    let expected = pairs.map { "\($0) | \($1)" }
    func table(_ separator: String, _ header: Bool, _ swapped: Bool) -> String {
      ((header ? [("caption", "url")] : []) + pairs).map { caption, address in
        let caption = separator == "," && caption.contains(",") ? "\"\(caption)\"" : caption
        let fields = swapped ? [address, caption] : [caption, address]
        return fields.joined(separator: separator) + "\n"
      }.joined()
    }
    for (name, separator) in [("t.tsv", "\t"), ("t.csv", ","), ("t", "\t")] {
      for header in [false, true] {
        for swapped in [false, true] {
          let text = table(separator, header, swapped)
          #expect(try rows(name, text) == expected)
          #expect(try rows(name, text) { $0.header = header ? .yes : .no } == expected)
        }
      }
    }
    let lines = pairs.map { #"{"url": "\#($1)", "caption": "\#($0)"}"# + "\n" }.joined()
    #expect(try rows("t.jsonl", lines) == expected)
    for kind in ["tsv", "csv", "jsonl"] {
      let path = Fixture.path("prepare/captions.\(kind).bz2")
      #expect(try described([path]) == expected)
    }
  }

  /// The same input as Python's `json` is accepted, by lines or as one list.
  @Test func jsonIsReadAsPythonReadsIt() throws {
    let rows = [
      #"{"url": "a.jpg", "caption": "a cat", "score": NaN, "big": 123456789012345678901234567890}"#,
      #"{"URL": "b.jpg", "TEXT": "a \ud800 dog", "x": [1e400, -Infinity]}"#,
      #"{"caption": "no image"}"#, "[1]",
    ]
    let expected = ["a cat | a.jpg", "a \u{FFFD} dog | b.jpg", "!malformed-row", "!malformed-row"]
    #expect(try self.rows("a.jsonl", rows.joined(separator: "\n")) == expected)
    #expect(
      try self.rows("a.json", "\u{FEFF} [" + rows.joined(separator: ",\n") + "]\n") == expected)
    #expect(try self.rows("empty.json", "[]").isEmpty)
    // The rows before an error count, and the rest is reported.
    let torn = try self.rows("torn.json", "[" + rows[0] + ", {\"url\": ]")
    #expect(torn == ["a cat | a.jpg", "!unreadable-source"])
    guard case .pair(let pair)? = try pairs([folder("a.jsonl")]).first else {
      Issue.record("no pair")
      return
    }
    #expect(pair.metadata["big"] == .digits("123456789012345678901234567890"))
    #expect(
      String(decoding: jsonText(.object(pair.metadata)), as: UTF8.self)
        == #"{"big":123456789012345678901234567890,"score":null}"#)
  }

  /// Like Python's `csv`, quotes within a field are text, also between tabs, and are not closed.
  @Test func quotesAreReadAsPythonReadsThem() throws {
    let text =
      " url , caption \na.jpg,a 12\" pizza\nb.jpg,\"two\nlines\"\nc.jpg,\"\"\"said\"\" he\"\r\n"
    let expected = ["a 12\" pizza | a.jpg", "two\nlines | b.jpg", "\"said\" he | c.jpg"]
    #expect(try rows("a.csv", text) == expected)
    #expect(try rows("a.tsv", text.replacingOccurrences(of: ",", with: "\t")) == expected)
    // An unclosed quote costs one row, not those after it.
    let open = "url,caption\na.jpg,\"open\nb.jpg,two\nd.jpg,four\n"
    #expect(try rows("open.csv", open) == ["!malformed-row", "two | b.jpg", "four | d.jpg"])
    // The same holds if another row closes it, and the fields then do not match.
    let stray = "url,caption\na.jpg,\"open\nb.jpg,two\nc.jpg\",\"three\"\nd.jpg,four\n"
    #expect(
      try rows("stray.csv", stray) == [
        "!malformed-row", "two | b.jpg", "three | c.jpg\"", "four | d.jpg",
      ])
    // The line ends of all systems.
    #expect(
      try rows("mac.csv", "url,caption\ra.jpg,one\rb.jpg,two") == ["one | a.jpg", "two | b.jpg"])
  }

  /// A database may compute endlessly; only plain tables are read.
  @Test(arguments: ["view", "generated"])
  func computedTablesAreRefused(_ name: String) throws {
    let problem = try refusal(of: Fixture.path("prepare/\(name).db"))
    #expect(problem.contains("without views and generated columns"), "\(problem)")
  }

  /// Nine pages, of which some lead sixty times to the same next page: billions of rows, in the table or in
  /// the list of tables.
  @Test(.timeLimit(.minutes(5))) func repeatedPagesEnd() throws {
    let rows = try pairs([Fixture.path("prepare/repeated_rows.db")])
    #expect(rows.count < 100_000)
    #expect(String(describing: rows.last).contains("than 16 for each of its bytes"))
    #expect(try refusal(of: Fixture.path("prepare/repeated_schema.db")).contains("the limit is"))
  }

  @Test func commaSeparatedValues() throws {
    let text = """
      \u{FEFF}id,"text",file_name,license
      1,"a ""big"" dog,
      lying down",d.jpg,CC0
      2,plain, e.jpg,\r
      3,bad"quote,f.jpg,CC0
      4,"x"y,f.jpg,CC0
      5,too,few
      6,"",g.jpg,CC0

      """
    let found = try rows("t.csv", text)
    #expect(
      found == [
        "a \"big\" dog,\nlying down | d.jpg", "plain |  e.jpg", "bad\"quote | f.jpg",
        "xy | f.jpg", "!malformed-row", "– | g.jpg",
      ])
    guard case .pair(let pair)? = try pairs([folder("t.csv")]).first else {
      Issue.record("no pair")
      return
    }
    #expect(pair.licence == "CC0" && pair.metadata == [Key("id"): .string("1")])
    #expect(pair.origin == folder("t.csv") + ":2")
  }

  /// An unclosed quote costs its own line, not the rest of the file.
  @Test func aQuoteThatDoesNotEndLosesOneRow() throws {
    let rows = try rows("t.csv", "caption,url\n\"a dog,http://a\na cat,http://b\na bird,http://c\n")
    #expect(rows == ["!malformed-row", "a cat | http://b", "a bird | http://c"])
  }

  /// Both would take minutes if the time grew with the square of the rows.
  @Test(.timeLimit(.minutes(5))) func manyShortRecordsTakeLittleTime() throws {
    let returns = try rows("r.csv", "caption,url\r" + String(repeating: "a,b\r", count: 200_000))
    #expect(returns.count == 200_000 && Set(returns) == ["a | b"])
    let quotes = try rows("q.csv", "caption,url\n" + String(repeating: "a\",\"\n", count: 50_000))
    #expect(quotes.count == 50_000)
    // A quote that takes all lines first.
    let again = try rows(
      "a.csv", "caption,url\n\"\n" + String(repeating: "a,b\rc,d\n", count: 100_000))
    #expect(again.count == 200_001 && again[0] == "!malformed-row" && again[200_000] == "c | d")
  }

  /// A record of as many fields as the table has begins on each line, and ends thousands of lines later.
  @Test(.timeLimit(.minutes(5))) func quotesThatNeverEndEndTheTable() throws {
    let header = "caption,url" + String(repeating: ",x", count: 16_000) + "\n"
    let lines = String(repeating: "\"\",a\"b,\"\n", count: 20_000)
    let found = try rows("q.csv", header + lines)
    #expect(found.count < 20_000 && found.last == "!unreadable-source")
    #expect(found.dropLast().allSatisfy { $0 == "!malformed-row" })
  }

  @Test func namesThatDifferInCaseAreTakenInOneOrder() throws {
    for _ in 0..<8 {
      let line = #"{"Url":"b","URL":"a","uRL":"c","TEXT":"t","Text":"u"}"#
      #expect(try rows("l.jsonl", line) == ["t | a"])
      #expect(try rows("l.jsonl", #"{"url":"z","# + line.dropFirst()) == ["t | z"])
    }
  }

  @Test func columnsAreNamed() throws {
    let alike = "e\u{301},\u{E9},url\none,two,a.jpg\n"
    #expect(try rows("t.csv", alike) { $0.captionColumn = "\u{E9}" } == ["two | a.jpg"])
    let text = "x\ty\tz\nimage.png\ta dog\tmine\n"
    let named = try rows("t.tsv", text) {
      $0.captionColumn = "y"
      $0.imageColumn = "x"
      $0.images = "/photos"
    }
    #expect(named == ["a dog | /photos/image.png"])
    let numbered = try rows("t.tsv", "mine\ta dog\timage.png\n") {
      $0.header = .no
      $0.captionColumn = "2"
    }
    #expect(numbered == ["a dog | image.png"])
    #expect(throws: DVAEError.self) { try rows("t.tsv", "a\tb\n") }
    for first in ["x\ty\tz\n", "caption\turl\tz\n"] {
      let error = #expect(throws: DVAEError.self) {
        try rows("t.tsv", first + text) { $0.captionColumn = "w" }
      }
      let names = first.dropLast().replacingOccurrences(of: "\t", with: ", ")
      #expect(error?.description.contains(names) == true, "\(error?.description ?? "")")
    }
  }

  /// A table reads nothing outside its own folder or the named one.
  @Test func imagesStayInTheirFolder() throws {
    let inside = ["a.jpg", "./a.jpg", "sub/../a.jpg", "../in/a.jpg", folder("t/in/a.jpg")]
    let outside = ["../a.jpg", "../../../etc/passwd", "/etc/passwd", "..", "sub/../..", "../inn/a"]
    try FileManager.default.createDirectory(
      atPath: folder("t/in"), withIntermediateDirectories: true)
    for images in [nil, folder("t/in")] {
      let name = images == nil ? "t/in/t" : "t"
      let change = { (settings: inout SourceSettings) in settings.images = images }
      let table = (inside + outside).map { "\($0)\ta dog\n" }.joined()
      let expected =
        inside.map { _ in "a dog | t/in/a.jpg" } + outside.map { _ in "!outside-images" }
      #expect(try rows(name + ".tsv", table, change) == expected)
      let lines = (inside + outside).map { #"{"path": "\#($0)", "text": "a dog"}"# + "\n" }
      #expect(try rows(name + ".jsonl", lines.joined(), change) == expected)
    }
    let anywhere = try rows("t.tsv", "/etc/a.jpg\ta dog\n") { $0.images = "/" }
    #expect(anywhere == ["a dog | /etc/a.jpg"])
  }

  @Test func whatIsNotReadIsNamed() throws {
    let gzip: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0]
    let cases: [(String, [UInt8], String)] = [
      ("s.tar.gz", gzip, "gunzip"), ("t.csv.gz", gzip, "gunzip"),
      ("t.tsv", [0xFF, 0xFE, 0x61, 0], "UTF-16"), ("t.csv", [0xFE, 0xFF, 0, 0x61], "UTF-16"),
    ]
    for (name, content, expected) in cases {
      try write(content, to: folder(name))
      let problem = try refusal(of: folder(name))
      #expect(problem.contains(expected) && problem.contains(folder(name)), "\(problem)")
    }
  }

  @Test func jsonLines() throws {
    let text = """
      {"text": "a dog", "path": "d.jpg", "licence": "CC0", "n": 3}
      [1]
      {"url": "http://a.b/c"}
      {"text": "no image"}
      {broken

      """
    let found = try rows("t.jsonl", text)
    #expect(
      found == [
        "a dog | d.jpg", "!malformed-row", "– | http://a.b/c", "!malformed-row", "!malformed-row",
      ])
  }

  /// Both forms of YFCC100M's metadata, with all their encodings.
  @Test func yfcc() throws {
    let fields = [
      "123", "9@N00", "Ann+B", "2005-03-01 12:39:28.0", "1111467388", "SONY",
      "A+%3Cb%3Ered%3C%2Fb%3E+car",
      "1%2B1+%26amp%3B+http%3A%2F%2Fx.y%0Amore%21", "a,b", "", "", "", "", "http://page",
      "http://img/1.jpg",
      "Attribution License", "http://cc/by", "8", "1", "s", "o", "jpg", "0",
    ]
    let old = fields.joined(separator: "\t")
    let new = (["7", "123", "00ff"] + fields.dropFirst()).joined(separator: "\t")
    let video = old.dropLast() + "1"
    let text = [old, new, String(video), "1\t2\t3", old + "\t"].joined(separator: "\n")
    let expected = ["A red car | http://img/1.jpg", "A red car | http://img/1.jpg"]
    let unusable = ["!video", "!malformed-row", "!malformed-row"]
    #expect(try rows("yfcc100m_dataset", text) == expected + unusable)
    let both = try rows("y", text) { $0.caption = .both }
    #expect(both.first == "A red car. 1+1 & more! | http://img/1.jpg")
    let description = try rows("y", text) { $0.caption = .description }
    #expect(description.first == "1+1 & more! | http://img/1.jpg")
    guard case .pair(let pair) = try pairs([folder("y")])[1] else {
      Issue.record("no pair")
      return
    }
    #expect(pair.metadata["photo_id"] == .string("123"))
    #expect(
      pair.metadata["yfcc_line"] == .string("7") && pair.metadata["yfcc_hash"] == .string("00ff"))
    #expect(pair.metadata["user_name"] == .string("Ann B"))
    #expect(pair.licence == "Attribution License" && pair.licenceAddress == "http://cc/by")
  }

  @Test func foldersWithCaptionsBesideTheImages() throws {
    try FileManager.default.createDirectory(
      atPath: folder("f/sub"), withIntermediateDirectories: true)
    for name in ["a.jpg", "b.png", "sub/c.webp", "d.jpg"] {
      try write([1], to: folder("f/" + name))
    }
    // With the byte order mark that some editors write.
    try write([0xEF, 0xBB, 0xBF] + Array("a dog\n".utf8), to: folder("f/a.txt"))
    try write(Array("a cat".utf8), to: folder("f/b.caption"))
    try write(
      Array(#"{"caption": "a bird", "license": "CC0", "n": [1]}"#.utf8), to: folder("f/sub/c.json"))
    let found = try pairs([folder("f")]).map { row -> [String?] in
      guard case .pair(let pair) = row else { return [] }
      return [image(pair), pair.caption, pair.licence]
    }
    #expect(
      found == [
        ["f/a.jpg", "a dog\n", nil], ["f/b.png", "a cat", nil], ["f/d.jpg", nil, nil],
        ["f/sub/c.webp", "a bird", "CC0"],
      ])
  }

  @Test func archives() throws {
    var bytes: [UInt8] = []
    bytes += try TarFormat.file(name: "k1.jpg", [1])
    bytes += try TarFormat.file(name: "k1.txt", Array("a dog".utf8))
    bytes += try TarFormat.file(name: "k2.jpg", [2])
    bytes += try TarFormat.file(name: "k2.json", Array("nonsense".utf8))
    try write(bytes, to: folder("cut.tar"))
    let rows =
      try rows("empty.jsonl", "")
      + pairs([folder("cut.tar")]).map { row in
        switch row {
        case .pair(let pair): pair.caption ?? ""
        case .unusable(_, let reason, _): "!" + reason
        }
      }
    // The end mark is missing, but the rows before count.
    #expect(rows == ["a dog", "!unreadable-caption", "!unreadable-source"])
  }

  @Test func missingSourcesAreErrors() {
    let error = #expect(throws: DVAEError.self) { try pairs([folder("nothing.tsv")]) }
    #expect(error?.kind == .missing)
  }
}
