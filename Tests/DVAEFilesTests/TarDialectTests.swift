import DVAEFiles
import DVAETestSupport
import Testing

/// Rare archives, in which Python's `tarfile` finds the same names and contents.
@Suite struct TarDialectTests {
  /// Returns the names and contents of the files in an archive, `-` for those without, or the error.
  private func files(_ bytes: [UInt8]) throws -> [String] {
    try withFolder { folder in
      try write(bytes, to: folder + "/a.tar")
      let (found, error) = try tarEntries(folder + "/a.tar")
      let reader = try TarReader(path: folder + "/a.tar")
      return try found.map {
        "\($0.name) \($0.problem == nil ? "\(try reader.file.contents(of: $0))" : "-")"
      }
        + (error == nil ? [] : ["!"])
    }
  }

  private func pax(_ kind: String, _ record: String) throws -> [UInt8] {
    // The length counts its own digits, a blank and the line's end.
    let count = record.utf8.count + 3
    return try tarExtension(kind, "\(count < 10 ? count : count + 1) \(record)\n")
  }

  @Test func globalHeadersSetPathsAndSizes() throws {
    let (one, two) = (try tarFile("a.txt", [1, 2, 3]), try tarFile("b.txt", [4, 5]))
    let (size, path) = (try pax("g", "size=1"), try pax("g", "path=global"))
    #expect(try files(size + one + two + tarEnd) == ["a.txt [1]", "b.txt [4]"])
    #expect(try files(one + size + two + tarEnd) == ["a.txt [1, 2, 3]", "b.txt [4]"])
    #expect(try files(size + path + one + tarEnd) == ["global [1]"])
    // The last one counts, and each header of the file itself counts more.
    #expect(try files(size + pax("g", "size=2") + one + tarEnd) == ["a.txt [1, 2]"])
    let own = try pax("x", "path=own") + pax("x", "size=3")
    #expect(try files(path + size + pax("x", "path=own") + one + tarEnd) == ["own [1]"])
    #expect(try files(path + own + one + tarEnd) == ["own [1, 2, 3]"])
    #expect(try files(path + tarExtension("L", "long\0") + one + tarEnd) == ["long [1, 2, 3]"])
    // An extension header takes what is global when it is read.
    #expect(
      try files(path + pax("x", "size=2") + tarExtension("L", "long\0") + one + tarEnd)
        == ["global [1, 2]"])
    // A global size does not move the next header.
    let large =
      try tarHeader("c.txt", kind: "0", [(124, "00000001130")]) + [UInt8](repeating: 7, count: 1024)
    for header in [[], try pax("x", "comment=a")] {
      #expect(try files(size + header + large + two + tarEnd) == ["c.txt [7]", "b.txt [4]"])
    }
    // Git writes the commit so.
    #expect(try files(pax("g", "comment=0123456789abcdef") + one + tarEnd) == ["a.txt [1, 2, 3]"])
    #expect(try files(pax("g", "size=999999") + one + tarEnd) == ["!"])
    #expect(try files(pax("g", "size=-1") + one + tarEnd) == ["!"])
  }

  /// A link leads to a file for which other global headers count.
  @Test func globalHeadersCountForTheTargetsOfLinks() throws {
    let (one, other) = (try tarFile("a.txt", [1, 2, 3]), try tarFile("b.txt", [7, 8, 9]))
    let link = try tarHeader("l.txt", kind: "1", [(157, "a.txt")])
    let (small, large) = (try pax("g", "size=1"), try pax("g", "size=2"))
    #expect(
      try files(small + other + one + large + link + tarEnd)
        == ["b.txt [7]", "a.txt [1]", "l.txt [1]"])
    let symbolic = try tarHeader("l.txt", kind: "2", [(157, "a.txt")])
    #expect(
      try files(small + symbolic + large + other + one + tarEnd)
        == ["l.txt [1, 2]", "b.txt [7, 8]", "a.txt [1, 2]"])
  }

  /// POSIX wants unknown kinds to be files; the rest of a file that began on another volume is none.
  @Test(arguments: [
    ("Z", ["a.txt [5, 6]"]), ("7", ["a.txt [5, 6]"]), ("A", ["a.txt [5, 6]"]), ("M", ["a.txt -"]),
    ("V", []), ("N", []), ("D", []), ("4", ["a.txt -"]),
  ])
  func kindsAreFilesOrNot(_ kind: String, _ expected: [String]) throws {
    let contents = [5, 6] + [UInt8](repeating: 0, count: 510)
    let member = try tarHeader("a.txt", kind: kind, [(124, "00000000002")]) + contents
    let link = try tarHeader("l.txt", kind: "1", [(157, "a.txt")])
    let links =
      expected.isEmpty ? ["l.txt -"] : expected.map { $0.replacing("a.txt", with: "l.txt") }
    #expect(
      try files(member + tarFile("b.txt", [2]) + link + tarEnd) == expected + ["b.txt [2]"] + links)
  }

  @Test(arguments: ["1", "2", "3", "5", "6"]) func otherMembersMayHaveContents(
    _ kind: String
  ) throws {
    let file = try tarFile("a.txt", [1])
    let isLink = kind < "3"
    func member(_ size: String) throws -> [UInt8] {
      try tarHeader("l.txt", kind: kind, [(124, size)] + (isLink ? [(157, "a.txt")] : []))
    }
    let isFolder = kind == "5"
    let expected =
      ["a.txt [1]"] + (isLink ? ["l.txt [1]"] : isFolder ? [] : ["l.txt -"]) + ["b.txt [2]"]
    let next = try tarFile("b.txt", [2])
    let (text, zeros) = ([UInt8](repeating: 7, count: 1024), [UInt8](repeating: 0, count: 1024))
    // 600 bytes without contents, with them, and with contents that look like an end mark.
    for contents in [[], text, zeros] {
      #expect(try files(file + member("00000001130") + contents + next + tarEnd) == expected)
    }
    // Nothing follows, or less than the size says.
    for contents in [[], text] {
      #expect(
        try files(file + member("00000001130") + contents + tarEnd) == expected.dropLast())
    }
    #expect(try files(file + member("00000777777") + next + tarEnd) == expected)
    // The size may stand in an extension header.
    #expect(
      try files(file + pax("x", "size=600") + member("00000000000") + text + next + tarEnd)
        == expected)
    // Neither place has a header.
    #expect(try files(file + member("00000001130") + text + text).last == "!")
  }

  @Test func numbersStandBetweenBlanks() throws {
    for size in [
      "          3 ", "\t\n       3  ", "3           ", "3\t9\0       ", "3 77777777\0 ",
    ] {
      let bytes =
        try tarHeader("a.txt", kind: "0", [(124, size)]) + [1, 2, 3]
        + [UInt8](repeating: 0, count: 509)
      #expect(try files(bytes + tarEnd) == ["a.txt [1, 2, 3]"], "\(size)")
    }
    for size in ["\0\0\0\0\0\0\0\0\0\03\0", "            "] {
      #expect(try files(tarHeader("a.txt", kind: "0", [(124, size)]) + tarEnd) == ["a.txt []"])
    }
    for size in ["3x         \0", "8          \0", "-3         \0"] {
      #expect(try files(tarHeader("a.txt", kind: "0", [(124, size)]) + tarEnd) == ["!"])
    }
  }

  /// Only POSIX headers have a prefix: elsewhere GNU tar stores times, and old writers leave what was in
  /// their memory, which would separate an image from its caption.
  @Test func onlyPOSIXHeadersHaveAPrefix() throws {
    for (magic, name) in [
      ("ustar\000", "folder/a.txt"), ("ustar  \0", "a.txt"), ("\0\0\0\0\0\0\0\0", "a.txt"),
    ] {
      let header = try tarHeader("a.txt", kind: "0", [(257, magic), (345, "folder")])
      #expect(try files(header + tarEnd) == ["\(name) []"])
    }
  }

  /// Before POSIX, a slash at the end of a name meant a folder.
  @Test func slashesAtTheEndOfNames() throws {
    #expect(try files(tarHeader("d.png/", kind: "\0") + tarEnd) == [])
    #expect(try files(pax("x", "path=d.png/") + tarFile("d.png/", [1]) + tarEnd) == ["d.png [1]"])
    #expect(try files(pax("x", "path=") + tarFile("a.txt", [1]) + tarEnd) == [" [1]"])
  }
}
