import DVAETestSupport
import DVAEFiles
import Testing

@Suite struct TarNameTests {
  private static let problem = "its name is not UTF-8"

  private func names(_ bytes: [UInt8]) throws -> [String] {
    try withFolder { folder in
      try write(bytes, to: folder + "/a.tar")
      let (found, error) = try tarEntries(folder + "/a.tar")
      #expect(error == nil)
      return found.map(\.name)
    }
  }

  /// Latin-1 names differ in bytes that are not UTF-8: in the header, in a pax record, in GNU's long
  /// name, and in the target of a link.
  @Test func namesOfOtherEncodingsStayDistinctAndAreReported() throws {
    let text = try tarFile("caf\u{E8}.txt", [7])
    let image = try tarFile("caf\u{E9}.png", [8])
    let forms = try [
      text + image,
      tarExtension("x", "17 path=caf\u{E8}.txt\n") + tarFile("a.txt", [7])
        + tarExtension("x", "21 hdrcharset=BINARY\n17 path=caf\u{E9}.png\n")
        + tarFile("a.png", [8]),
      tarExtension("L", "caf\u{E8}.txt\0") + tarFile("a.txt", [7])
        + tarExtension("L", "caf\u{E9}.png\0") + tarFile("a.png", [8]),
      text + tarHeader("-", kind: "1", [(0, "caf\u{E9}.png"), (157, "caf\u{E8}.txt")]),
    ]
    for bytes in forms {
      try withFolder { folder in
        try write(bytes + tarEnd, to: folder + "/a.tar")
        let (found, error) = try tarEntries(folder + "/a.tar")
        #expect(error == nil && found.map(\.name) == ["caf\\xE8.txt", "caf\\xE9.png"])
        #expect(found.allSatisfy { $0.problem?.contains(Self.problem) == true })
      }
    }
  }

  /// A link by such a name must not lead to a file whose name looks like it.
  @Test func noLinkLeadsToANameThatLooksAlike() throws {
    let bytes =
      try tarFile("caf\\xE9.txt", [7])
      + tarHeader("b.txt", kind: "1", [(157, "caf\u{E9}.txt")])
      + tarFile("z\u{E9}.txt", [8]) + tarHeader("c.txt", kind: "2", [(157, "z\\xE9.txt")]) + tarEnd
    try withFolder { folder in
      try write(bytes, to: folder + "/a.tar")
      let (found, error) = try tarEntries(folder + "/a.tar")
      #expect(
        error == nil && found.map(\.name) == ["caf\\xE9.txt", "b.txt", "z\\xE9.txt", "c.txt"])
      #expect(found[0].problem == nil)
      #expect(found[1].problem?.contains("a link to caf\\xE9.txt: " + Self.problem) == true)
      #expect(found[3].problem?.contains("no other file of the archive") == true)
    }
  }

  /// Names that contradict each other; Python's `tarfile` returns the same ones.
  @Test func theFirstExtensionHeaderCounts() throws {
    let (one, two) = (try tarExtension("L", "one.png\0"), try tarExtension("L", "two.png\0"))
    let pax = try tarExtension("x", "16 path=pax.png\n")
    let size = try tarExtension("x", "10 size=1\n")
    let file = try tarFile("short.png", [5]) + tarEnd
    #expect(try names(one + two + file) == ["one.png"])
    #expect(try names(one + pax + file) == ["one.png"])
    #expect(try names(pax + one + file) == ["pax.png"])
    #expect(try names(size + pax + file) == ["pax.png"])
    #expect(try names(file) == ["short.png"])
  }

  /// Other files under an archive's name are named, however short they are.
  @Test(
    arguments: [
      ([0x1F, 0x8B, 8, 0], "gzip-compressed data"), (Array("<html>".utf8), "a web page"),
      (Array("version https://git-lfs".utf8), "a Git LFS pointer"),
      (Array("a list\nof files".utf8), "text that starts \"a list\""),
      ([0x50, 0x4B, 3, 4] + [UInt8](repeating: 7, count: 1000), "a zip archive"),
    ] as [([UInt8], String)])
  func otherFilesAreNamed(_ bytes: [UInt8], _ name: String) throws {
    try withFolder { folder in
      try write(bytes, to: folder + "/a.tar")
      let (found, error) = try tarEntries(folder + "/a.tar")
      #expect(found.isEmpty && error?.code == .badTar)
      #expect(error?.description.contains("expected a tar archive, found " + name) == true)
    }
  }

  /// `tar -r` appends a newer copy: a symbolic link leads to it, a hard link to the copy before it.
  @Test func linksLeadToTheCopyOfTheirKind() throws {
    for (kind, content) in [("1", UInt8(1)), ("2", 2)] {
      let bytes =
        try tarFile("a.png", [1]) + tarHeader("l.png", kind: kind, [(157, "a.png")])
        + tarFile("a.png", [2]) + tarEnd
      try withFolder { folder in
        try write(bytes, to: folder + "/a.tar")
        let (found, error) = try tarEntries(folder + "/a.tar")
        try #require(error == nil && found.count == 3)
        let reader = try TarReader(path: folder + "/a.tar")
        #expect(try reader.file.contents(of: found[1]) == [content])
      }
    }
  }
}
