import DVAETestSupport
import DVAEFiles
import Testing

@Suite struct TarTests {
  private static let long =
    "set/" + String(repeating: "long", count: 20) + "/"
    + String(repeating: "name", count: 22) + ".txt"

  /// Archives written by Python's tarfile.
  @Test(arguments: ["ustar", "gnu", "pax"])
  func everyFormatIsRead(_ format: String) throws {
    let path = Fixture.path("archives/\(format).tar")
    let reader = try TarReader(path: path)
    let (found, error) = try tarEntries(path)
    #expect(error == nil)
    var expected: [(String, [UInt8])] = [
      ("set/a.txt", Array("first".utf8)),
      ("set/a.jpg", Array(0...255) + Array(0...255)),
      ("set/link.txt", Array("first".utf8)),
      (Self.long, .init(repeating: UInt8(ascii: "x"), count: 513)),
      ("set/" + String(repeating: "n", count: 150) + ".txt", Array("too long for ustar".utf8)),
      ("set/été.empty", []),
    ]
    if format == "ustar" { expected.remove(at: 4) }
    #expect(found.map(\.name) == expected.map(\.0))
    for (entry, file) in zip(found, expected) {
      #expect(try reader.file.contents(of: entry) == file.1)
    }
  }

  /// GNU tar's archives of a file with a hole of 128 kB and a hard link, in all four forms.
  @Test(arguments: ["gnu", "0.0", "0.1", "1.0"])
  func sparseFilesAndHardLinksAreRead(_ form: String) throws {
    let path = Fixture.path("archives/sparse-\(form).tar")
    let (found, error) = try tarEntries(path)
    #expect(error == nil && found.map(\.name) == ["a.txt", "s.bin", "b.txt"])
    let reader = try TarReader(path: path)
    let contents = try found.map { try reader.file.contents(of: $0) }
    let hole = [UInt8](repeating: 0, count: 131_068)
    #expect(contents[1] == Array("head".utf8) + hole + Array("tail".utf8))
    #expect(contents[0] == Array("first".utf8) && contents[2] == contents[0])
    #expect(throws: DVAEError.self) { try reader.file.contents(of: found[1], limit: 1000) }
  }

  /// Two archives in one file, as from `cat a.tar b.tar`; Python needs `ignore_zeros` for it.
  @Test func joinedArchivesAreReadOn() throws {
    try withFolder { folder in
      let (first, second) = (try tarArchive([("a.txt", [1])]), try tarArchive([("b.txt", [2])]))
      let path = folder + "/a.tar"
      let padding = [UInt8](repeating: 0, count: 512 * 7)
      try write(first + padding + second, to: path)
      let (found, error) = try tarEntries(path)
      #expect(found.map(\.name) == ["a.txt", "b.txt"] && error == nil)
      let reader = try TarReader(path: path)
      #expect(try found.map { try reader.file.contents(of: $0) } == [[1], [2]])
      // Bytes that are not an archive are an error, after all that is one.
      try write(first + second + [UInt8](repeating: 7, count: 600), to: path)
      let junk = try tarEntries(path)
      #expect(junk.entries.count == 2)
      #expect(junk.error?.description.contains("what follows the end mark") == true)
      // The second one is truncated.
      try write(first + second.dropLast(1024), to: path)
      #expect(try tarEntries(path).entries.count == 2 && tarEntries(path).error != nil)
    }
  }

  /// Links to later files, through other links, in a circle and out of the archive.
  @Test func linksLeadWithinTheArchive() throws {
    func link(_ name: String, to target: String, kind: String) throws -> [UInt8] {
      try tarHeader(name, kind: kind, [(157, target)])
    }
    let file = Array(try tarArchive([("d/a.txt", [5])]).dropLast(1024))
    let bytes =
      try link("d/soft.txt", to: "a.txt", kind: "2") + file
      + link("hard.txt", to: "./d/a.txt", kind: "1")
      + link("again.txt", to: "hard.txt", kind: "1") + link("up.txt", to: "x/../d/a.txt", kind: "2")
      + link("circle.txt", to: "circle.txt", kind: "2")
      + link("out.txt", to: "../../etc/passwd", kind: "2") + tarEnd
    try withFolder { folder in
      try write(bytes, to: folder + "/a.tar")
      let (found, error) = try tarEntries(folder + "/a.tar")
      #expect(error == nil && found.count == 7)
      let reader = try TarReader(path: folder + "/a.tar")
      for entry in found[..<5] {
        #expect(try reader.file.contents(of: entry) == [5], "\(entry.name)")
      }
      for entry in found[5...] {
        let error = #expect(throws: DVAEError.self) { try reader.file.contents(of: entry) }
        #expect(error?.description.contains("no other file of the archive") == true)
      }
    }
  }

  /// A link may have its target's own name; chains of links are followed up to a limit.
  @Test func chainsOfLinksAreBounded() throws {
    for isSameName in [true, false] {
      func name(_ number: Int) -> String { isSameName ? "a.txt" : "\(number).txt" }
      let links = try (1...20).map { try tarHeader(name($0), kind: "1", [(157, name($0 - 1))]) }
      let file =
        try tarHeader(name(0), kind: "0", [(124, "00000000001")]) + [5]
        + [UInt8](repeating: 0, count: 511)
      try withFolder { folder in
        try write(file + links.joined() + tarEnd, to: folder + "/a.tar")
        let (found, error) = try tarEntries(folder + "/a.tar")
        #expect(error == nil && found.count == 21)
        let reader = try TarReader(path: folder + "/a.tar")
        for entry in found[...16] { #expect(try reader.file.contents(of: entry) == [5]) }
        for entry in found[17...] {
          let error = #expect(throws: DVAEError.self) { try reader.file.contents(of: entry) }
          #expect(error?.description.contains("through more than 16 others") == true)
        }
      }
    }
  }

  /// Each link leads to the headers of its target, which are read again.
  @Test func manyLinksToLongHeadersAreRefused() throws {
    let text = "65000 comment=" + String(repeating: "x", count: 65_000)
    let comment = Array(text.utf8.prefix(64_999)) + [10, 0]
    let padding = [UInt8](repeating: 0, count: 23)
    let target =
      try tarHeader("x", kind: "x", [(124, "00000176750")]) + comment + padding
      + tarHeader("a.txt", kind: "0")
    let link = try tarHeader("b.txt", kind: "1", [(157, "a.txt")])
    try withFolder { folder in
      for (count, isRead) in [(10, true), (100, false)] {
        try write(
          target + [[UInt8]](repeating: link, count: count).joined() + tarEnd, to: folder + "/a.tar"
        )
        let (found, error) = try tarEntries(folder + "/a.tar")
        #expect((error == nil) == isRead && (found.count == count + 1) == isRead)
        #expect(isRead || error?.description.contains("too long headers") == true)
      }
    }
  }

  /// A hole of a few megabytes without any stored byte.
  @Test func holesAreLimitedByTheStoredBytes() throws {
    func sparse(_ size: String) throws -> [UInt8] {
      try tarHeader(
        "s.bin", kind: "S",
        [(257, "ustar  "), (386, size + "\0" + String(repeating: "0", count: 11)), (483, size)])
    }
    try withFolder { folder in
      for (size, isRead) in [("00003720000", true), ("00020000000", false)] {
        try write(sparse(size) + tarEnd, to: folder + "/a.tar")
        let (found, error) = try tarEntries(folder + "/a.tar")
        #expect(error == nil && found.count == 1)
        let reader = try TarReader(path: folder + "/a.tar")
        let entry = try #require(found.first)
        if isRead {
          #expect(try reader.file.contents(of: entry).count == entry.size)
        } else {
          let error = #expect(throws: DVAEError.self) { try reader.file.contents(of: entry) }
          #expect(error?.code == .limitExceeded)
        }
      }
    }
  }

  @Test func everyCutIsNoticed() throws {
    let files: [(String, [UInt8])] = [
      ("a.txt", [1, 2, 3]),
      (String(repeating: "p", count: 200) + ".bin", .init(repeating: 7, count: 700)),
      ("b.txt", []),
    ]
    let bytes = try tarArchive(files)
    try withFolder { folder in
      let path = folder + "/a.tar"
      for count in 0..<bytes.count where [0, 1, 156, 511].contains(count % 512) {
        try write(Array(bytes[..<count]), to: path)
        let (found, error) = try tarEntries(path)
        #expect(found.map(\.name) == files.prefix(found.count).map(\.0))
        // One empty block suffices as an end mark.
        let isComplete = count >= bytes.count - 512
        #expect(isComplete == (error == nil))
        #expect(((try? isTerminated(tar: path)) ?? false) == isComplete)
        if let error { #expect("\(error)".hasPrefix(path + ": not a sound tar archive at byte ")) }
        // The intact part can be continued, and gives the same archive as without interruption.
        let end = found.last?.end ?? 0
        var rest = Array(bytes[..<end])
        for (name, contents) in files[found.count...] {
          rest += try TarFormat.file(name: name, contents)
        }
        rest += TarFormat.end
        #expect((rest == bytes) == true, "continued from \(end), cut at \(count)")
      }
    }
  }

  @Test func corruptionDoesNotCrash() throws {
    try forEachDamagedArchive { path, size in
      for entry in try tarEntries(path).entries {
        #expect(entry.size >= 0 && entry.offset + entry.size <= size)
      }
    }
  }

  @Test func absurdSizesAreRefused() throws {
    // Base 256 with 2⁶², and an extension header of a gigabyte.
    func header(kind: String, size: [UInt8]) -> [UInt8] {
      var block = [UInt8](repeating: 0, count: 512)
      block[0] = UInt8(ascii: "a")
      block.replaceSubrange(124..<124 + size.count, with: size)
      block[156] = Array(kind.utf8)[0]
      block.replaceSubrange(148..<156, with: Array("        ".utf8))
      let sum = block.reduce(0) { $0 + Int($1) }
      block.replaceSubrange(148..<155, with: Array(String(sum + 0o1000000, radix: 8).utf8))
      block[148] = UInt8(ascii: "0")
      block[155] = 0
      return block
    }
    let sizes: [(String, [UInt8])] = [
      ("0", [0x80, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0]),
      ("0", [0x80, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
      ("0", .init(repeating: 0xFF, count: 12)),
      ("0", Array("77777777777\0".utf8)),
      ("0", Array("1z\0".utf8)),
      ("x", Array("10000000000\0".utf8)),
      ("L", Array("10000000000\0".utf8)),
    ]
    try withFolder { folder in
      for (kind, size) in sizes {
        try write(header(kind: kind, size: size), to: folder + "/a.tar")
        let (found, error) = try tarEntries(folder + "/a.tar")
        #expect(found.isEmpty && error != nil, "\(size)")
      }
      try write(header(kind: "0", size: Array("0\0".utf8)), to: folder + "/a.tar")
      #expect(try tarEntries(folder + "/a.tar").entries.count == 1)
      // Pax records with a wrong length.
      for record in ["5 path=abc\n", "99 path=a\n", "x path=a\n", "12 size=-100\n", "10 size=99\n"]
      {
        let text = Array(record.utf8)
        let padded = text + .init(repeating: 0, count: 512 - text.count)
        let bytes =
          header(kind: "x", size: Array((String(text.count, radix: 8) + "\0").utf8)) + padded
          + header(kind: "0", size: Array("0\0".utf8))
        try write(bytes, to: folder + "/a.tar")
        #expect(try tarEntries(folder + "/a.tar").error != nil, "\(record)")
      }
    }
  }

  /// The bytes are fixed; Python's tarfile and GNU tar can read them.
  @Test func writtenBytesAreFixed() throws {
    let bytes = try tarArchive([
      ("a.txt", Array("first".utf8)), (Self.long, .init(repeating: 9, count: 512)),
      (String(repeating: "ü", count: 80) + ".txt", [1]),
    ])
    #expect(bytes.count == 512 * (2 + 2 + 4 + 2))
    #expect(bytes.withUnsafeBytes(ZipArchive.crc32) == 3_186_994_175)
    #expect(bytes[257..<265].elementsEqual("ustar\u{0}00".utf8))
  }

  @Test func impossibleNamesAreErrors() {
    #expect(throws: DVAEError.self) { try TarFormat.file(name: "", []) }
    #expect(throws: DVAEError.self) { try TarFormat.file(name: "a\u{0}b", []) }
  }

  @Test func wrongFilesAreErrors() throws {
    #expect(throws: DVAEError.missing(path: "/nowhere/a.tar")) {
      try TarReader(path: "/nowhere/a.tar")
    }
    let error = #expect(throws: DVAEError.self) { try TarReader(path: Fixture.path("archives")) }
    #expect(error?.kind == .missing)
    #expect(try tarEntries(Fixture.path("images/kodim04.jpg")).error != nil)
  }
}
