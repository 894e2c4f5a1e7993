import DVAETestSupport
import DVAEFiles
import DVAEKit
import Foundation
import DVAEImages
import Testing
import DVAEWeights

/// `dvae tokenize` and `decode` from the command line to the files.
@Suite struct TokenizeTests {
  let folder = TemporaryFolder()

  private func expected(_ name: String) throws -> [UInt16] {
    try NpyArray.open(Fixture.tiny + "/\(name).tokens.npy").int64s().map { UInt16($0) }
  }

  private func tokenize(_ arguments: String...) async -> (
    status: Int32, output: String, errors: String
  ) {
    await dvae(["tokenize", "--weights", Fixture.tiny] + arguments)
  }

  private func tokens(_ path: String) throws -> [String: [UInt16]] {
    let reader = try TokenReader(contentsOf: path)
    var all: [String: [UInt16]] = [:]
    for item in reader {
      let item = try item.get()
      all[item.key] = item.grid.tokens
    }
    return all
  }

  @Test(arguments: [
    "t.npy", "t.bin", "t.packed", "t.idx", "t.safetensors", "t.jsonl", "t.tar", "t",
  ])
  func tokensAreTheReferencesAndComeBack(_ name: String) async throws {
    let path = folder(name)
    let run = await tokenize(Fixture.images, "--output", path)
    #expect(run.status == 0, "\(run.errors)")
    #expect(run.output == "\(path): 3 images\n")
    let found = try tokens(path)
    for name in Fixture.names { #expect(try found[name] == expected(name)) }
    let back = await dvae(
      "decode", path, "--output", folder("back"), "--weights", Fixture.tiny, "--quiet")
    #expect(back.status == 0)
    #expect(back.errors == "")
    for name in Fixture.names { try expectPicture(folder("back/\(name).png"), name) }
  }

  @Test func archivesKeepKeysAndCaptions() async throws {
    try archive(folder("in.tar"))
    let run = await tokenize(folder("in.tar"), "--output", folder("out.tar"))
    #expect(run.status == 0, "\(run.errors)")
    var reader = try WebDatasetReader(path: folder("out.tar"))
    for (index, name) in Fixture.names.enumerated() {
      let sample = try #require(try reader.next())
      #expect(sample.key == "00\(index)")
      #expect(sample.fields.map(\.extension) == ["tokens.npy", "json", "txt"])
      #expect(sample["txt"] == Array("caption \(index)".utf8))
      let grid = try NpyArray.parse(sample["tokens.npy"] ?? [], path: name)
      #expect(grid.shape == [32, 32])
      #expect(try grid.int64s().map { UInt16($0) } == expected(name))
    }
  }

  /// A folder of images, some with captions beside them, and of shards: all captions are kept.
  @Test func captionsBesideImagesAreKept() async throws {
    let images = folder("in")
    try FileManager.default.createDirectory(
      atPath: images, withIntermediateDirectories: true)
    try write(bytes(Fixture.imageFiles[0]), to: images + "/a.jpg")
    // As some editors save them, with a byte order mark.
    let (description, caption) = (Array("\u{FEFF}{\"n\":1}".utf8), Array("\u{FEFF}a caption".utf8))
    try write(description, to: images + "/a.json")
    try write(caption, to: images + "/a.txt")
    try write(bytes(Fixture.imageFiles[1]), to: images + "/b.png")
    try write(Array("nobody's".utf8), to: images + "/c.txt")
    try archive(images + "/d.tar")
    // The folder is empty for people.
    try write([7], to: folder("out/.DS_Store"))
    for name in ["out.tar", "out", "out.jsonl", "out.npy"] {
      let run = await tokenize(images, "--output", folder(name))
      #expect(run.status == 0, "\(run.errors)")
    }
    var reader = try WebDatasetReader(path: folder("out.tar"))
    let first = try #require(try reader.next())
    #expect(first.fields.map(\.extension) == ["tokens.npy", "json", "txt"])
    #expect(first["txt"] == caption && first["json"] == description)
    let second = try #require(try reader.next())
    #expect(second.key == "b" && second.fields.map(\.extension) == ["tokens.npy"])
    #expect(try reader.next()?["txt"] == Array("caption 0".utf8))
    #expect(try bytes(folder("out/a.txt")) == caption)
    #expect(!FileManager.default.fileExists(atPath: folder("out/c.txt")))
    for name in ["out.jsonl", "out.npy.json"] {
      let text = String(decoding: try bytes(folder(name)), as: UTF8.self)
      #expect(text.contains("\"a caption\"") && text.contains("{\"n\":1}"))
      #expect(!text.unicodeScalars.contains("\u{FEFF}"))
    }
  }

  private func archive(_ path: String) throws {
    var all: [UInt8] = []
    for (index, file) in Fixture.imageFiles.enumerated() {
      all += try TarFormat.file(name: "00\(index).json", Array("{}".utf8))
      all += try TarFormat.file(
        name: "00\(index).\(file.split(separator: ".").last ?? "")", bytes(file))
      all += try TarFormat.file(name: "00\(index).txt", Array("caption \(index)".utf8))
    }
    all += TarFormat.end
    try write(all, to: path)
  }

  @Test func damagedArchivesGiveWhatTheyStillHave() async throws {
    try archive(folder("in.tar"))
    let whole = try bytes(folder("in.tar"))
    // Truncated within the second image.
    try write(Array(whole[..<(whole.count / 2)]), to: folder("in.tar"))
    let run = await tokenize(
      folder("in.tar"), Fixture.imageFiles[2], "--output", folder("out.jsonl"), "--quiet")
    #expect(run.status == 65)
    #expect(run.errors.contains("in.tar"))
    let found = try tokens(folder("out.jsonl"))
    #expect(try found["000"] == expected("kodim04"))
    #expect(try found["odd_401x333"] == expected("odd_401x333"))
    #expect(found.count == 2)
  }

  @Test func batchesAndThreadsDoNotMatter() async throws {
    for (name, arguments) in [
      ("a", []), ("b", ["--batch-size", "2"]), ("c", ["--batch-size", "16", "--threads", "1"]),
    ] as [(String, [String])] {
      let run = await dvae(
        [
          "tokenize", Fixture.images, "--output", folder(name + ".npy"), "--weights",
          Fixture.tiny,
        ]
          + arguments)
      #expect(run.status == 0)
    }
    #expect(try bytes(folder("a.npy")) == bytes(folder("b.npy")))
    #expect(try bytes(folder("a.npy")) == bytes(folder("c.npy")))
    #expect(try bytes(folder("a.npy.json")) == bytes(folder("c.npy.json")))
  }

  @Test func sizesOfTheirOwnNeedAFormThatHoldsThem() async throws {
    let small = PixelImage(width: 48, height: 21, pixels: [UInt8](repeating: 9, count: 48 * 21 * 3))
    let other = PixelImage(width: 31, height: 40, pixels: [UInt8](repeating: 9, count: 31 * 40 * 3))
    try FileManager.default.createDirectory(atPath: folder("in"), withIntermediateDirectories: true)
    try small.write(to: folder("in/a.png"))
    try other.write(to: folder("in/b.png"))
    let refused = await tokenize(folder("in"), "--output", folder("t.npy"), "--crop", "none")
    #expect(refused.status == 65)
    #expect(refused.errors.contains("b: ") && refused.errors.contains(".safetensors"))
    #expect(try tokens(folder("t.npy")).keys.sorted() == ["a"])
    for batch in ["1", "4"] {
      let run = await tokenize(
        folder("in"), "--output", folder("t.safetensors"), "--crop", "none", "--batch-size", batch,
        "--overwrite")
      #expect(run.status == 0)
      let file = try WeightsFile.open(folder("t.safetensors"))
      #expect(file["a"]?.shape == [2, 6])
      #expect(file["b"]?.shape == [5, 3])
    }
  }

  @Test func badImagesAreNamedAndCostNothingElse() async throws {
    let good = try bytes(Fixture.imageFiles[1])
    let jpeg = try bytes(Fixture.imageFiles[0])
    // A PNG whose header claims 100,000 × 100,000 pixels, with the right checksum.
    var bomb = Array(good[..<33])
    bomb.replaceSubrange(16..<24, with: [0, 1, 0x86, 0xA0, 0, 1, 0x86, 0xA0])
    bomb.replaceSubrange(29..<33, with: crc32(bomb[12..<29]))
    let bad: [(String, [UInt8])] = [
      ("1truncated.jpg", Array(jpeg.prefix(jpeg.count / 2))), ("2text.jpg", Array("hello".utf8)),
      ("3empty.png", []), ("4bomb.png", bomb + good[33...]),
    ]
    try FileManager.default.createDirectory(atPath: folder("in"), withIntermediateDirectories: true)
    for (name, bytes) in bad { try write(bytes, to: folder("in/" + name)) }
    try write(jpeg, to: folder("in/0good.jpg"))
    try write(good, to: folder("in/5good.png"))
    let run = await tokenize(
      folder("in"), "--output", folder("t.npy"), "--batch-size", "3", "--quiet")
    #expect(run.status == 65)
    let lines = run.errors.split(separator: "\n")
    #expect(lines.count == 5)
    for ((name, _), line) in zip(bad, lines) { #expect(line.contains(name)) }
    #expect(lines.last == "dvae: 4 of 6 could not be done")
    let found = try tokens(folder("t.npy"))
    #expect(
      try found == ["0good": expected("kodim04"), "5good": expected("kodim23")])
    let sidecar = try String(decoding: bytes(folder("t.npy.json")), as: UTF8.self)
    for (name, _) in bad { #expect(sidecar.contains("/in/" + name)) }
  }

  private func crc32(_ bytes: some Sequence<UInt8>) -> [UInt8] {
    let crc = ~bytes.reduce(~UInt32(0)) { sum, byte in
      (0..<8).reduce(sum ^ UInt32(byte)) { c, _ in c >> 1 ^ (c & 1 == 1 ? 0xEDB8_8320 : 0) }
    }
    return withUnsafeBytes(of: crc.bigEndian, Array.init)
  }

  @Test func shardsTogetherAreTheWhole() async throws {
    try listOfImages(10)
    let whole = await tokenize("@" + folder("list.txt"), "--output", folder("t.jsonl"))
    #expect(whole.status == 0)
    var lines: [Substring] = []
    for index in 0..<3 {
      let run = await tokenize(
        "@" + folder("list.txt"), "--output", folder("t.jsonl"), "--shard", "\(index)/3")
      #expect(run.status == 0)
      let text = try String(decoding: bytes(folder("t-\(index)-of-3.jsonl")), as: UTF8.self)
      lines += text.split(separator: "\n").dropFirst().dropLast()
    }
    let text = try String(decoding: bytes(folder("t.jsonl")), as: UTF8.self)
    #expect(lines == Array(text.split(separator: "\n").dropFirst().dropLast()))
    #expect(lines.count == 10)
  }

  /// Repeats the same few photos, so that their keys collide.
  private func listOfImages(_ count: Int) throws {
    let paths = (0..<count).map { Fixture.imageFiles[$0 % 3] + "\n" }
    try write(Array(paths.joined().utf8), to: folder("list.txt"))
  }

  @Test func completeOutputIsNotDoneAgain() async throws {
    let arguments = [Fixture.images, "--output", folder("t.jsonl"), "--resume"]
    let first = await dvae(["tokenize", "--weights", Fixture.tiny] + arguments)
    #expect(first.status == 0)
    let again = await dvae(["tokenize", "--weights", Fixture.tiny] + arguments)
    #expect(again.status == 0)
    #expect(again.errors.contains("complete already"))
    let other = await dvae(
      ["tokenize", "--weights", Fixture.tiny, "--resolution", "112"] + arguments)
    #expect(other.status == 73)
  }

  @Test(arguments: ["t.npy", "t.safetensors", "t.jsonl", "t.tar", "t"])
  func failuresOfACompleteOutputAreSaidAgain(_ name: String) async throws {
    try write(Array("hello".utf8), to: folder("bad.jpg"))
    let arguments = [
      "tokenize", Fixture.imageFiles[1], folder("bad.jpg"), "--output", folder(name), "--weights",
      Fixture.tiny, "--quiet", "--json", "--resume",
    ]
    let first = await dvae(arguments)
    #expect(first.status == 65)
    let again = await dvae(arguments)
    #expect(again.status == 65)
    #expect(again.output == first.output)
    #expect(again.errors == "\(folder(name)) is complete already\n" + first.errors)
  }

  @Test func archiveIsNotReplacedByItsTokens() async throws {
    try archive(folder("t.tar"))
    let before = try bytes(folder("t.tar"))
    try FileManager.default.createSymbolicLink(
      atPath: folder("link.tar"), withDestinationPath: folder("t.tar"))
    for output in ["t.tar", "link.tar"] {
      let run = await tokenize(folder("t.tar"), "--output", folder(output))
      #expect(run.status == 64)
      #expect(run.errors.contains(output) && run.errors.contains("input"))
    }
    #expect(try bytes(folder("t.tar")) == before)
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        == ["link.tar", "t.tar"])
  }

  @Test func wrongUsageIsSaid() async throws {
    let out = folder("t.npy")
    for (arguments, status) in [
      (["tokenize", Fixture.images], 64), (["tokenize", "--output", out], 64),
      (["tokenize", Fixture.images, "--output", out, "--resolution", "100"], 64),
      (["tokenize", Fixture.images, "--output", out, "--crop", "square"], 64),
      (["tokenize", Fixture.images, "--output", out, "--shard", "3/3"], 64),
      (["tokenize", Fixture.images, "--output", out, "--batch-size", "\(Int.max)"], 64),
      (["tokenize", Fixture.images, "--output", out, "--threads", "100000"], 64),
      (["tokenize", Fixture.images, "--output", out, "--max-pixels", "\(Int.max)"], 64),
      (["benchmark", "--resolution", "8000000000"], 64),
      (["tokenize", Fixture.images, "--output", out, "--resume", "--restart"], 64),
      (["tokenize", Fixture.images, "--output", folder("t.csv")], 64), (["nonsense"], 64),
      (["tokenize", Fixture.images, "--output", "", "--weights", Fixture.tiny], 64),
      (["tokenize", folder("none.jpg"), "--output", out], 66),
      (["tokenize", folder.path, "--output", out], 66),
      (["tokenize", Fixture.images, "--output", out, "--weights", folder("none")], 66),
      (["tokenize", Fixture.images, "--output", out, "--weights", Fixture.imageFiles[0]], 65),
      (
        ["tokenize", Fixture.images, "--output", "/dev/null/t.npy", "--weights", Fixture.tiny],
        73
      ),
    ] as [([String], Int32)] {
      let run = await dvae(arguments)
      #expect(run.status == status, "\(arguments)\n\(run.errors)")
      #expect(!run.errors.isEmpty)
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
  }

  @Test(arguments: [["tokenize"], ["reconstruct"], ["decode"], ["prepare"], ["train", "--data"]])
  func anOutputHasAName(_ command: [String]) async {
    let run = await dvae(command + [Fixture.imageFiles[0], "--output", ""])
    #expect(run.status == 64, "\(run.errors)")
  }

  @Test(arguments: ["in", "in/out", "in/new/../out", "link/out"])
  func reconstructionsDoNotBecomeInputs(_ output: String) async throws {
    try FileManager.default.createDirectory(atPath: folder("in"), withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(
      atPath: folder("link"), withDestinationPath: folder("in"))
    try write(bytes(Fixture.imageFiles[1]), to: folder("in/z.png"))
    let run = await dvae(
      "reconstruct", folder("in"), "--output", folder(output), "--weights", Fixture.tiny)
    #expect(run.status == 64)
    #expect(run.errors.contains("input folder"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder("in")) == ["z.png"])
  }

  @Test func outputsInFoldersOfAListAreRefused() async throws {
    try FileManager.default.createDirectory(atPath: folder("in"), withIntermediateDirectories: true)
    try write(bytes(Fixture.imageFiles[1]), to: folder("in/z.png"))
    try write(Array("in\n".utf8), to: folder("list.txt"))
    for arguments in [
      ["reconstruct", "@" + folder("list.txt"), "--output", folder("in/out")],
      ["tokenize", "@" + folder("list.txt"), "--output", folder("in/t.tar")],
      ["tokenize", folder("in"), "--output", folder("in/t.tar")],
    ] {
      let run = await dvae(arguments + ["--weights", Fixture.tiny])
      #expect(run.status == 64 && run.errors.contains("input folder"), "\(run.errors)")
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder("in")) == ["z.png"])
  }

  @Test func foldersOfShardsAreReadAsShardsAre() async throws {
    try FileManager.default.createDirectory(atPath: folder("in"), withIntermediateDirectories: true)
    try archive(folder("in/a.tar"))
    try archive(folder("in/b.tar"))
    #expect(await tokenize(folder("in"), "--output", folder("a.tar")).status == 0)
    let files = [folder("in/a.tar"), folder("in/b.tar")]
    let run = await dvae(
      ["tokenize", "--weights", Fixture.tiny, "--output", folder("b.tar")] + files)
    #expect(run.status == 0)
    #expect(try bytes(folder("a.tar")) == bytes(folder("b.tar")))
    #expect(try tokens(folder("a.tar")).count == 6)
  }

  @Test func longNamesAreShortened() async throws {
    try FileManager.default.createDirectory(atPath: folder("in"), withIntermediateDirectories: true)
    for end in ["a", "b"] {
      let name = "in/" + String(repeating: "x", count: 249) + end + ".png"
      try write(bytes(Fixture.imageFiles[1]), to: folder(name))
    }
    for command in ["reconstruct", "tokenize"] {
      let run = await dvae(
        command, folder("in"), "--output", folder(command), "--weights", Fixture.tiny)
      #expect(run.status == 0, "\(run.errors)")
      let names = try FileManager.default.contentsOfDirectory(atPath: folder(command))
      #expect(names.filter { $0.hasPrefix("xxx") }.count == 2)
    }
  }
}
