import DVAEFiles
import DVAEPreparation
import DVAETestSupport
import Foundation
import Testing

/// Settings that do not fit the sources are refused before anything is written.
@Suite struct SourceSettingsTests {
  let folder = TemporaryFolder()

  private func check(
    _ name: String, _ text: String, _ change: (inout SourceSettings) -> Void
  ) throws {
    try write(Array(text.utf8), to: folder(name))
    try check([folder(name)], change)
  }

  private func check(_ paths: [String], _ change: (inout SourceSettings) -> Void) throws {
    var settings = SourceSettings()
    change(&settings)
    try Sources(paths, settings).check()
  }

  private static let lines = """
    {"url": "a.jpg", "n": 1}
    [1]
    {"url": "b.jpg", "Words": "a dog", "rights": "CC0"}

    """

  @Test func requestedMembersAreInSomeRow() throws {
    for name in ["Words", "words", "WORDS", "url", "n"] {
      try check("t.jsonl", Self.lines) { $0.captionColumn = name }
    }
    for change: (inout SourceSettings) -> Void in [
      { $0.captionColumn = "word" }, { $0.imageColumn = "word" }, { $0.licenceColumn = "word" },
    ] {
      let error = #expect(throws: DVAEError.self) { try check("t.jsonl", Self.lines, change) }
      #expect(error?.kind == .usage && error?.file == folder("t.jsonl"))
      #expect(
        error?.problem == "no 'word' is in its first 2 rows, which have Words, n, rights, url")
    }
    // A list, and nothing to compare with.
    let list = "[" + Self.lines.split(separator: "\n").joined(separator: ",\n") + "]"
    try check("t.json", list) { $0.licenceColumn = "rights" }
    #expect(throws: DVAEError.self) { try check("t.json", list) { $0.licenceColumn = "word" } }
    try check("t.json", "[]") { $0.licenceColumn = "word" }
    try check("t.jsonl", "1\n2\n") { $0.licenceColumn = "word" }
  }

  /// The requested text of an image is a member of its JSON or a file beside it.
  @Test func requestedTextsOfImagesAreTaken() throws {
    for (name, text) in [
      ("a.txt", "short"), ("a.caption", "other"), ("a.json", #"{"Long": "long", "txt": "inner"}"#),
      ("b.txt", "alone"),
    ] {
      try write(Array(text.utf8), to: folder("in/" + name))
    }
    for name in ["in/a.jpg", "in/b.jpg"] {
      try write(bytes(Fixture.imageFiles[0]), to: folder(name))
    }
    func captions(_ wanted: String?) throws -> [String?] {
      try check([folder("in")]) { $0.captionColumn = wanted }
      var settings = SourceSettings()
      settings.captionColumn = wanted
      var sources = try Sources([folder("in")], settings)
      var found: [String?] = []
      while case .pair(let pair)? = try sources.next() { found.append(pair.caption) }
      return found
    }
    #expect(try captions(nil) == ["short", "alone"])
    #expect(try captions("long") == ["long", nil])
    for name in ["caption", "Caption"] { #expect(try captions(name) == ["other", nil]) }
    // A member comes before a file.
    #expect(try captions("txt") == ["inner", "alone"])
    for change: (inout SourceSettings) -> Void in [
      { $0.captionColumn = "word" }, { $0.licenceColumn = "word" },
    ] {
      // Licences are not in files of their own.
      #expect(throws: DVAEError.self) { try check([folder("in")]) { $0.licenceColumn = "caption" } }
      let error = #expect(throws: DVAEError.self) { try check([folder("in")], change) }
      #expect(error?.kind == .usage && error?.file == folder("in"))
      #expect(
        error?.problem
          == "no 'word' is in its first 2 images, which have Long, caption, txt")
    }
    let error = #expect(throws: DVAEError.self) {
      try check([folder("in/a.jpg"), Fixture.images]) { $0.captionColumn = "Long" }
    }
    #expect(error?.file == Fixture.images && error?.problem.contains("no descriptions") == true)
  }

  /// A list of captions gives its first text and stays whole; what is no text is a caption only if it is a
  /// number, and a mistake only if it was requested.
  @Test func captionsOfOtherTypes() throws {
    let values = [
      #""a""#, "7", #"["", "b", "c"]"#, "[]", #"{"en": "d"}"#, "true", "null", "NaN", "1e400",
      #"7, "title": "e""#,
    ]
    let lines = values.map { #"{"url": "a.jpg", "text": \#($0)}"# }.joined(separator: "\n")
    func captions(_ wanted: String?) throws -> [String?] {
      try check("t.jsonl", lines) { $0.captionColumn = wanted }
      var settings = SourceSettings()
      settings.captionColumn = wanted
      var sources = try Sources([folder("t.jsonl")], settings)
      var found: [String?] = []
      while let row = try sources.next() {
        switch row {
        case .pair(let pair):
          found.append(pair.caption)
          let isKept = pair.metadata["text"] != nil
          #expect(isKept == (pair.caption.map { ["b", "e"].contains($0) } ?? true))
        case .unusable(_, let reason, let detail): found.append("!\(reason): \(detail)")
        }
      }
      return found
    }
    #expect(try captions(nil) == ["a", "7", "b", nil, nil, nil, nil, nil, nil, "e"])
    func wrong(_ values: String...) -> [String?] {
      values.map { "!malformed-row: its 'text' is \($0), expected text" }
    }
    #expect(
      try captions("text") == ["a", "7", "b"] + wrong("[]", "an object", "true") + [nil]
        + wrong("nan", "inf") + ["7"])
  }

  /// Tables of several origins name the image in one of several columns.
  @Test func theFirstColumnWithAnImageCounts() throws {
    func images(_ name: String, _ text: String) throws -> [String?] {
      try write(Array(text.utf8), to: folder(name))
      var sources = try Sources([folder(name)], SourceSettings())
      var found: [String?] = []
      while let row = try sources.next() {
        guard case .pair(let pair) = row, case .address(let address) = pair.image else {
          found.append(nil)
          continue
        }
        found.append(address)
      }
      return found
    }
    let table = "caption,image,url\na,,http://a\nb,http://b,http://c\nc,http://d,\nd,,\n"
    #expect(try images("t.csv", table) == ["http://a", "http://c", "http://d", nil])
    let lines =
      #"{"url": "", "image": "http://a"}"# + "\n" + #"{"url": null, "file": "http://b"}"#
      + "\n" + #"{"url": ""}"#
    #expect(try images("t.jsonl", lines) == ["http://a", "http://b", nil])
  }

  @Test func requestedColumnsExist() throws {
    let table = "caption\turl\trights\na dog\thttp://a/b\tCC0\n"
    try check("t.tsv", table) { $0.licenceColumn = "rights" }
    let error = #expect(throws: DVAEError.self) {
      try check("t.tsv", table) { $0.licenceColumn = "right" }
    }
    #expect(error?.problem.contains("no 'right', its columns are caption, url, rights") == true)
  }

  @Test(arguments: [
    ("t.csv", "image;caption\na.jpg;a dog\n"), ("t.tsv", "image,caption\na.jpg,a dog\n"),
  ])
  func otherSeparatorsAreNamed(_ name: String, _ text: String) throws {
    for isNamed in [false, true] {
      let error = #expect(throws: DVAEError.self) {
        try check(name, text) {
          if isNamed { ($0.captionColumn, $0.imageColumn) = ("caption", "image") }
        }
      }
      #expect(
        error?.problem.contains("separated by \(name == "t.csv" ? "commas" : "tabs")") == true)
      #expect(error?.problem.contains(text.prefix(13)) == true, "\(error?.problem ?? "")")
    }
  }

  @Test func settingsOfOtherFormatsAreRefused() throws {
    try write(Array("7\t999\tff\n".utf8), to: folder("list.tsv"))
    for change: (inout SourceSettings) -> Void in [
      { $0.images = "/nope" }, { $0.imageColumn = "x" }, { $0.header = .yes },
      { $0.caption = .both }, { $0.subset = folder("list.tsv") },
    ] {
      let error = #expect(throws: DVAEError.self) { try check([Fixture.images], change) }
      #expect(error?.kind == .usage, "\(error?.description ?? "")")
    }
    #expect(throws: DVAEError.self) { try check("t.jsonl", Self.lines) { $0.header = .no } }
    // Damage is told of first.
    try write(bytes(Fixture.imageFiles[0]), to: folder("t.csv"))
    try check([folder("t.csv")]) { $0.subset = folder("list.tsv") }
    // One of several sources has it.
    try write(Array(Self.lines.utf8), to: folder("t.jsonl"))
    try check([Fixture.images, folder("t.jsonl")]) { $0.images = "/nope" }
  }

  @Test func wantedColumnsThatAreNotThereAreNamed() throws {
    for (name, problem) in [("capt", "there is no 'capt', its columns"), ("2", "numbers are for")] {
      for isImage in [false, true] {
        let error = #expect(throws: DVAEError.self) {
          try check("t.csv", "caption,image\na dog,a.jpg\n") {
            if isImage { $0.imageColumn = name } else { $0.captionColumn = name }
          }
        }
        #expect(error?.kind == .usage && error?.problem.contains(problem) == true)
      }
    }
  }

  /// A source that cannot be opened is counted beside others; alone it is the user's mistake.
  @Test func sourcesThatCannotBeOpenedAreCounted() throws {
    try write(Array(Self.lines.utf8), to: folder("t.jsonl"))
    try FileSystem.makeFolders(folder("f.tsv/inner"))
    try FileManager.default.createSymbolicLink(
      atPath: folder("broken.tsv"), withDestinationPath: folder("nothing"))
    #expect(mkfifo(folder("pipe.tsv"), 0o600) == 0)
    for name in ["broken.tsv", "pipe.tsv"] {
      try check([folder(name), folder("t.jsonl")]) { _ in }
      let error = #expect(throws: DVAEError.self) { try check([folder(name)]) { _ in } }
      #expect(error?.kind == .missing && error?.file == folder(name))
      var sources = try Sources([folder(name), folder("t.jsonl")], SourceSettings())
      guard case .unusable(_, let reason, _)? = try sources.next() else {
        Issue.record("\(name) is not counted")
        continue
      }
      #expect(reason == "unreadable-source")
      guard case .pair? = try sources.next() else {
        Issue.record("the other source is not read")
        continue
      }
    }
    let error = #expect(throws: DVAEError.self) {
      try check([folder("f.tsv")]) { $0.format = .tsv }
    }
    #expect(error?.problem == "expected a file, found a folder")
  }

  /// The first of several lines may be a list, which is no pair; the others are.
  @Test(arguments: ["[]", "[1, 2]", #"[{"url": "x.jpg"}]"#])
  func aRowMayBeAList(_ first: String) throws {
    func reasons(_ text: String) throws -> [String?] {
      try write(Array(text.utf8), to: folder("t.jsonl"))
      var sources = try Sources([folder("t.jsonl")], SourceSettings())
      var found: [String?] = []
      while let row = try sources.next() {
        if case .unusable(_, let reason, _) = row {
          found.append(reason)
        } else {
          found.append(nil)
        }
      }
      return found
    }
    #expect(try reasons(first + "\n" + Self.lines) == ["malformed-row", nil, "malformed-row", nil])
    #expect(try reasons("\n" + first + "\n \n").allSatisfy { $0 == nil || $0 == "malformed-row" })
    #expect(
      try reasons(first + "\n" + #"{"url": ""# + String(repeating: "a", count: 1 << 20) + #""}"#)
        == ["malformed-row", nil])
    #expect(
      try reasons("[\n" + #"{"url": "a.jpg"},"# + "\n" + #"{"url": "b.jpg"}]"#) == [nil, nil])
  }
}
