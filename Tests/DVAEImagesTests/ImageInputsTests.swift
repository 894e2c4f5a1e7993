import DVAETestSupport
import DVAEFiles
import Foundation
import DVAEImages
import Testing

func items(_ arguments: [String]) throws -> [InputItem] {
  var inputs = try ImageInputs(arguments)
  var result: [InputItem] = []
  while let item = try inputs.next() { result.append(item) }
  return result
}

@Suite struct ImageInputsTests {
  private func makeFolder(_ names: [String], in folder: String) throws {
    let png = try Fixture.bytes("codecs/png_rgb8.png")
    for name in names { try write(png, to: folder + "/" + name) }
  }

  @Test func foldersAreWalkedInOrder() throws {
    try withFolder { folder in
      let names = [
        "b.PNG", "a.jpg", "a.png", "a/z.webp", "a/a.jpeg", "a-b.jpg", "notes.txt", ".hidden.jpg",
        ".git/x.jpg", "B.jpg", "ü.jpg",
      ]
      try makeFolder(names, in: folder)
      // Links back up, to a folder under a second name, and to nowhere.
      let manager = FileManager.default
      try manager.createSymbolicLink(atPath: folder + "/a/up", withDestinationPath: folder)
      try manager.createSymbolicLink(atPath: folder + "/a/B", withDestinationPath: folder + "/a")
      try makeFolder(
        [
          "@eaDir/b.jpg/SYNOPHOTO_THUMB_M.jpg", "#recycle/c.jpg", "$RECYCLE.BIN/c.jpg",
          "__MACOSX/d.jpg", "x.gif",
          "a.bmp", "c.ppm", "more.tar.gz", "list.csv.gz",
        ], in: folder)
      try manager.createSymbolicLink(atPath: folder + "/gone.jpg", withDestinationPath: "/nowhere")
      let found = try items([folder])
      #expect(
        found.map(\.key) == [
          "B", "a-b", "a.bmp", "a.jpg", "a.png", "a/a", "a/z", "b", "c.ppm", "gone",
          "more.tar.gz", "x.gif", "ü",
        ])
      #expect(found[5].name == folder + "/a/a.jpeg")
      #expect(try found[0].decode().width == 17)
      #expect(throws: DVAEError.missing(path: folder + "/gone.jpg")) { try found[9].decode() }
      #expect(try items([folder + "/"]).map(\.key) == found.map(\.key))
    }
  }

  @Test func keysStartAtTheCommonFolder() throws {
    try withFolder { folder in
      try makeFolder(["x/1.png", "x/2.png", "y/1.png"], in: folder)
      #expect(try items([folder + "/x/1.png"]).map(\.key) == ["1"])
      #expect(try items([folder + "/x", folder + "/y"]).map(\.key) == ["x/1", "x/2", "y/1"])
      #expect(
        try items([folder + "/y/1.png", folder + "/x/1.png"]).map(\.key) == ["y/1", "x/1"])
      #expect(try items([folder + "/x/1.png", folder + "/./x/2.png"]).map(\.key) == ["1", "2"])
      #expect(try items([folder + "/x/../y"]).map(\.key) == ["1"])
      #expect(try items([]).isEmpty)
    }
  }

  @Test func missingArgumentsAreErrorsAtOnce() throws {
    for argument in ["/nowhere/a.jpg", "@/nowhere/list.txt", "/nowhere/a.tar", "", "@"] {
      let error = #expect(throws: DVAEError.self) { try ImageInputs([argument]) }
      #expect(error?.kind == .missing)
    }
  }

  @Test func listsAreRelativeToTheirFolder() throws {
    try withFolder { folder in
      try makeFolder(["sub/1.png", "2.png", "deep/er/3.png"], in: folder)
      let list =
        "sub/1.png\r\n\n../\(URL(filePath: folder).lastPathComponent)/2.png\ngone.jpg\n"
        + "deep\n\(folder)/2.png"
      try write(Array(list.utf8), to: folder + "/list.txt")
      let found = try items(["@" + folder + "/list.txt"])
      let name = URL(filePath: folder).lastPathComponent
      #expect(
        found.map(\.key) == [
          "sub/1", name + "/2", "gone", "deep/er/3",
          folder.split(separator: "/").joined(separator: "/") + "/2",
        ])
      #expect(throws: DVAEError.missing(path: folder + "/gone.jpg")) { try found[2].load() }
      for index in [0, 1, 3, 4] { #expect(throws: Never.self) { try found[index].decode() } }
    }
  }

  /// An image that belongs to no sample is named, not passed over.
  @Test func imagesInArchivesWhoseNamesBeginWithADotAreNamed() throws {
    let png = try Fixture.bytes("codecs/png_rgb8.png")
    try withFolder { folder in
      var bytes: [UInt8] = []
      for name in [
        ".a.png", "d/.b.v2.jpg", "._c.png", "__MACOSX/.c.png", ".d.txt", ".png", "q/.jpg", "q/.txt",
        "c.png", "c.txt",
      ] {
        bytes += try TarFormat.file(name: name, png)
      }
      bytes += TarFormat.end
      try write(bytes, to: folder + "/a.tar")
      let found = try items([folder + "/a.tar"])
      #expect(found.map(\.key) == [".a", "d/.b.v2", ".png", "q/.jpg", "c"])
      for item in found[..<4] {
        let error = #expect(throws: DVAEError.self) { try item.load() }
        #expect(error?.description.contains("begins with a dot") == true)
      }
      #expect(try found[4].sidecars(["txt", "json"], limit: 1000).keys.sorted() == ["txt"])
    }
  }

  @Test func archivesGiveSamples() throws {
    let png = try Fixture.bytes("codecs/png_rgb8.png")
    try withFolder { folder in
      var bytes: [UInt8] = []
      bytes += try WebDatasetSample(
        key: "d/1",
        fields: [
          .init(extension: "txt", bytes: [1]), .init(extension: "mask.png", bytes: [2]),
          .init(extension: "PNG", bytes: png), .init(extension: "json", bytes: [3]),
        ]
      ).tarFiles()
      bytes += try WebDatasetSample(key: "../../2", fields: [.init(extension: "txt", bytes: [1])])
        .tarFiles()
      bytes += try WebDatasetSample(key: "3", fields: [.init(extension: "seg.png", bytes: png)])
        .tarFiles()
      bytes += TarFormat.end
      try write(bytes, to: folder + "/a.TAR")
      let found = try items([folder + "/a.TAR"])
      // The mask is also an image, so it is not lost.
      #expect(found.map(\.key) == ["d/1.mask", "d/1", "2", "3"])
      #expect(found[1].name == folder + "/a.TAR: d/1")
      #expect(try found[1].decode() == decodeImage(png, name: ""))
      for item in found[..<2] {
        #expect(try item.sidecars(["txt", "json"], limit: 100).keys.sorted() == ["json", "txt"])
      }
      let error = #expect(throws: DVAEError.self) { try found[2].load() }
      #expect(error == .noImage(name: folder + "/a.TAR: ../../2", fields: ["txt"]))
      #expect(try found[3].load() == png)

      // Damage ends the archive, not the run.
      try write(Array(bytes[..<2048]), to: folder + "/torn.tar")
      var inputs = try ImageInputs([folder + "/torn.tar", folder + "/a.TAR"])
      #expect(try inputs.next()?.key == "d/1")
      #expect(throws: DVAEError.self) { try inputs.next() }
      var rest = 0
      while try inputs.next() != nil { rest += 1 }
      #expect(rest == 4)
    }
  }

  /// WebDataset splits names at the first dot; dates, versions and sides after it are still images.
  @Test(arguments: [
    (["s1.left.png", "s1.right.png"], ["s1.left", "s1.right"]),
    (["p.v2.0001.png", "p.v2.0001.txt", "p.v2.0002.png", "p.json"], ["p.v2.0001", "p.v2.0002"]),
    (["2024.05.01.png", "2024.05.02.png"], ["2024.05.01", "2024.05.02"]),
    (["a.png", "a.depth.png"], ["a", "a.depth"]),
    (["a.v2.png", "a.v2.txt", "b.png"], ["a", "b"]),
  ])
  func everyImageOfASampleIsGiven(_ names: [String], _ keys: [String]) throws {
    let png = try Fixture.bytes("codecs/png_rgb8.png")
    try withFolder { folder in
      var bytes: [UInt8] = []
      for name in names {
        bytes += try TarFormat.file(name: name, name.hasByteSuffix(".png") ? png : Array(name.utf8))
      }
      bytes += TarFormat.end
      try write(bytes, to: folder + "/a.tar")
      let found = try items([folder + "/a.tar"])
      #expect(found.map(\.key) == keys)
      // Listed and loaded again, the items are the same.
      var list = InputList()
      for item in found { list.append(item.key, .success(item)) }
      for (index, item) in found.enumerated() {
        let again = try list[index].item.get()
        #expect(try again.load() == png && again.name == item.name)
        #expect(try again.sidecars(["txt"], limit: 100) == item.sidecars(["txt"], limit: 100))
      }
      let captions = try found.map {
        try $0.sidecars(["txt"], limit: 100)["txt"].map { String(decoding: $0, as: UTF8.self) }
      }
      #expect(captions.compactMap(\.self) == names.filter { $0.hasByteSuffix(".txt") })
      let notes = try found.map { try $0.sidecars(["json"], limit: 100).count }
      #expect(notes.allSatisfy { $0 == (names.contains("p.json") ? 1 : 0) })
    }
  }

  /// Whatever their order, an image's own caption goes before that of the whole sample.
  @Test(arguments: [
    ["s.jpg.png", "s.txt", "s.seg.png", "s.seg.txt"], ["s.seg.txt", "s.seg.png", "s.txt"],
    ["s.txt", "s.seg.TXT", "s.seg.png", "s.other.png"],
  ])
  func ownCaptionsGoBeforeSharedOnes(_ names: [String]) throws {
    try withFolder { folder in
      var bytes: [UInt8] = []
      for name in names { bytes += try TarFormat.file(name: name, Array(name.utf8)) }
      bytes += TarFormat.end
      try write(bytes, to: folder + "/a.tar")
      let captions = try items([folder + "/a.tar"]).map { item in
        let text = try item.sidecars(["txt"], limit: 100)["txt"] ?? []
        return item.imageMember.map { $0.entry.name + ": " + String(decoding: text, as: UTF8.self) }
      }
      #expect(captions.contains { $0?.lowercased() == "s.seg.png: s.seg.txt" }, "\(captions)")
      #expect(
        captions.allSatisfy {
          $0 == nil || $0?.contains("seg.png") == true || $0?.hasSuffix(": s.txt") == true
        })
    }
  }

  /// Beside a readable image, one in another format is named and counted, unless it is the same
  /// image once more.
  @Test func otherFormatsInSamplesAreNotLost() throws {
    try withFolder { folder in
      var bytes: [UInt8] = []
      for name in ["s.left.png", "s.left.gif", "s.right.HEIC", "s.gif", "s.txt", "t.png", "t.tif"] {
        bytes += try TarFormat.file(name: name, Array(name.utf8))
      }
      bytes += TarFormat.end
      try write(bytes, to: folder + "/a.tar")
      let found = try items([folder + "/a.tar"])
      #expect(found.map(\.key) == ["s.left", "s.right", "s", "t"])
      #expect(found.map { $0.imageMember?.entry.name } == ["s.left.png", nil, nil, "t.png"])
      let error = #expect(throws: DVAEError.self) { try found[1].load() }
      #expect(error?.problem.contains("HEIC") == true, "\(error?.problem ?? "")")
    }
  }

  /// The copies of a file that all images share are bounded, as what small archives unpack to.
  @Test(arguments: [(images: 100, isGiven: true), (images: 3000, isGiven: false)])
  func sharedFilesAreBounded(_ images: Int, _ isGiven: Bool) throws {
    try withFolder { folder in
      var bytes: [UInt8] = []
      bytes += try TarFormat.file(name: "s.txt", [7])
      bytes += try TarFormat.file(name: "s.json", [UInt8](repeating: 0x20, count: 100_000))
      for index in 0..<images { bytes += try TarFormat.file(name: "s.\(index).png", [1]) }
      bytes += TarFormat.end
      try write(bytes, to: folder + "/a.tar")
      let found = try items([folder + "/a.tar"])
      #expect(found.count == images)
      #expect(try found[1].sidecars(["txt"], limit: 1 << 20) == ["txt": [7]])
      if isGiven {
        #expect(try found[1].sidecars(["json"], limit: 1 << 20)["json"]?.count == 100_000)
      } else {
        let error = #expect(throws: DVAEError.self) {
          try found[1].sidecars(["json"], limit: 1 << 20)
        }
        #expect(error?.description.contains("a.tar: s.json: its 100000 bytes") == true)
      }
    }
  }

  @Test func aListMayBeginWithAByteOrderMark() throws {
    try withFolder { folder in
      try makeFolder(["a.png", "b.png"], in: folder)
      try write([0xEF, 0xBB, 0xBF] + Array("a.png\nb.png\n".utf8), to: folder + "/l.txt")
      #expect(try items(["@" + folder + "/l.txt"]).map(\.key) == ["a", "b"])
      #expect(try items(["@" + folder + "/l.txt"])[0].load().isEmpty == false)
    }
  }

  /// Each line would be a wrong name.
  @Test(arguments: [true, false]) func aListOfUTF16IsOneError(_ hasMark: Bool) throws {
    try withFolder { folder in
      try makeFolder(["a.png", "b.png"], in: folder)
      let text = ((hasMark ? "\u{FEFF}" : "") + "a.png\r\nb.png\r\n").utf16
      try write(text.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }, to: folder + "/l.txt")
      var inputs = try ImageInputs(["@" + folder + "/l.txt"])
      let error = #expect(throws: DVAEError.self) { try inputs.next() }
      #expect(error?.kind == .badData && error?.file == folder + "/l.txt")
      #expect(error?.description.contains("iconv -f UTF-16 -t UTF-8") == true)
      #expect(try inputs.next() == nil)
    }
  }

  @Test func captionsStandBesideNamesInCapitals() throws {
    try withFolder { folder in
      try makeFolder(["A.JPG"], in: folder)
      try write(Array("a cat".utf8), to: folder + "/A.TXT")
      let item = try #require(try items([folder]).first)
      #expect(try item.sidecars(["txt"], limit: 100) == ["txt": Array("a cat".utf8)])
    }
  }

  @Test func archivesInFoldersAreOpened() throws {
    let png = try Fixture.bytes("codecs/png_rgb8.png")
    try withFolder { folder in
      for name in ["1", "2"] {
        var bytes: [UInt8] = []
        bytes += try TarFormat.file(name: "s\(name).png", png)
        bytes += TarFormat.end
        try write(bytes, to: folder + "/shards/0\(name).tar")
      }
      try write(Array("no archive".utf8), to: folder + "/shards/015.tar")
      try makeFolder(["shards/01.png", "shards/sub/x.png"], in: folder)
      var inputs = try ImageInputs([folder])
      var (keys, errors): ([String], [DVAEError]) = ([], [])
      while true {
        do throws(DVAEError) {
          guard let item = try inputs.next() else { break }
          keys.append(item.key)
        } catch {
          errors.append(error)
        }
      }
      #expect(keys == ["shards/01", "s1", "s2", "shards/sub/x"])
      #expect(errors.count == 1 && errors.first?.description.contains("015.tar") == true)
      #expect(inputs.folders == [folder])
      try write(Array("shards\n".utf8), to: folder + "/list.txt")
      var listed = try ImageInputs(["@" + folder + "/list.txt"])
      #expect(try listed.next()?.key == "shards/01")
      #expect(listed.folders == [folder + "/shards"])
    }
  }

  @Test func namesThatAreNotUTF8AreReported() throws {
    try withFolder { folder in
      try makeFolder(["a.png", "z.png"], in: folder)
      // "b\xFF.png" and "c\xFF.txt"; some file systems do not allow such names.
      for (letter, ending) in [("b", "png"), ("c", "txt")] {
        let name = Array((folder + "/" + letter).utf8) + [0xFF] + Array(".\(ending)\0".utf8)
        let file = name.withUnsafeBytes {
          fopen($0.assumingMemoryBound(to: CChar.self).baseAddress, "w")
        }
        guard let file else { return }
        fclose(file)
      }
      var inputs = try ImageInputs([folder])
      #expect(try inputs.next()?.key == "a")
      let error = #expect(throws: DVAEError.self) { try inputs.next() }
      #expect(error?.description.contains("not UTF-8") == true)
      #expect(error?.description.contains(#"b\xFF.png"#) == true)
      #expect(try inputs.next()?.key == "z")
      #expect(try inputs.next() == nil)

      let list = Array("a.png\n".utf8) + [0xFF] + Array(".png\nz.png\n".utf8)
      try write(list, to: folder + "/list.txt")
      var listed = try ImageInputs(["@" + folder + "/list.txt"])
      #expect(try listed.next()?.key == "a")
      let second = #expect(throws: DVAEError.self) { try listed.next() }
      #expect(second?.description.contains("not UTF-8") == true)
      #expect(second?.description.contains(#"\xFF.png"#) == true)
      #expect(try listed.next()?.key == "z")
      let missing = #expect(throws: DVAEError.self) { try ImageInputs([folder + "/\u{FFFD}.png"]) }
      #expect(missing?.description.contains("UTF-8") == true)
    }
  }

  @Test func folderAndHugeFilesAreErrors() throws {
    try withFolder { folder in
      try makeFolder(["a.png"], in: folder)
      let item = try #require(try items([folder]).first)
      #expect(throws: DVAEError.self) { try item.load(limits: DecodingLimits(maximumBytes: 10)) }
      let wrong = InputItem(key: "", origin: .file(path: folder))
      let error = #expect(throws: DVAEError.self) { try wrong.load() }
      #expect(error?.kind == .missing)
      try write([], to: folder + "/empty.jpg")
      let empty = InputItem(key: "", origin: .file(path: folder + "/empty.jpg"))
      #expect(throws: DVAEError.empty(name: folder + "/empty.jpg")) { try empty.decode() }
    }
  }

  @Test func archivesAreOpenedAgainAsTheyAreNeeded() throws {
    let png = try Fixture.bytes("codecs/png_rgb8.png")
    try withFolder { folder in
      var list = InputList()
      // More than stay open at a time, listed and read twice.
      for number in 10..<50 {
        var bytes: [UInt8] = []
        bytes += try TarFormat.file(name: "\(number).png", png)
        bytes += TarFormat.end
        try write(bytes, to: folder + "/\(number).tar")
      }
      for item in try items([folder]) { list.append(item.key, .success(item)) }
      #expect(list.count == 40)
      for index in (0..<40).map({ $0 * 7 % 40 }) + Array(0..<40) {
        #expect(try list[index].item.get().load() == png)
      }
      // An archive that has changed since is not taken for the one that was listed.
      try write([UInt8](repeating: 0, count: 1024), to: folder + "/10.tar")
      #expect(throws: DVAEError.self) { try list[0].item.get() }
      #expect(try list[1].item.get().load() == png)
    }
  }
}
