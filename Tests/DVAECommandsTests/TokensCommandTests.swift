import DVAETestSupport
import DVAEFiles
import DVAEKit
import DVAEModel
import Foundation
import DVAEImages
import Testing
import DVAEWeights

/// `dvae tokens info`, `verify`, `stats` and `mosaic`.
@Suite struct TokensCommandTests {
  let folder = TemporaryFolder()

  private func write(
    _ name: String, _ grids: [TokenGrid], shard: Shard = .whole, sha256: String = "ab",
    inputs: Int? = nil, vocabulary: Int = 8192
  ) throws {
    let provenance = try Provenance(
      weights: .init(file: "encoder.pkl", sha256: sha256),
      architecture: Architecture(vocabulary: vocabulary),
      preprocessing: Preprocessing(crop: .none),
      inputs: .init(count: inputs ?? grids.count, sha256: "cd"), shard: shard, engine: "none")
    let path = folder(name)
    let writer = try TokenWriter(
      path, format: TokenFormat(path: path), provenance: provenance, replacing: true)
    for (i, grid) in grids.enumerated() {
      try writer.append(TokenRecord(key: "k\(i)", .tokens(grid)))
    }
    try writer.finish()
  }

  private func json(_ text: String) throws -> Any {
    try JSONSerialization.jsonObject(with: Data(text.utf8))
  }

  private static let grids = [
    TokenGrid(height: 1, width: 4, tokens: [7, 7, 7, 8191]),
    TokenGrid(height: 1, width: 4, tokens: [7, 5, 5, 7]),
  ]

  private static let names = [
    "t.npy", "t.bin", "t.packed", "t.idx", "t.safetensors", "t.jsonl",
    "t.tar", "t",
  ]

  @Test(arguments: names) func infoTellsFormGridsAndProvenance(_ name: String) async throws {
    try write(name, Self.grids)
    let run = await dvae("tokens", "info", folder(name))
    #expect(run.status == 0, "\(run.errors)")
    for part in [
      "images        2, failures 0", "grid          1×4",
      "weights       encoder.pkl\n                SHA-256 ab", "8192",
    ] {
      #expect(run.output.contains(part), "\(part) in \(run.output)")
    }
    let object = await dvae("tokens", "info", folder(name), "--json")
    let report = try #require((try json(object.output) as? [[String: Any]])?.first)
    #expect(report["images"] as? Int == 2)
    #expect(report["grids"] as? [String: Int] == ["1×4": 2])
    #expect((report["provenance"] as? [String: Any])?["weights"] != nil)
  }

  /// Bytes after a file's end are noticed, even an archive of the same form.
  @Test(arguments: names.filter { $0 != "t" }) func bytesBehindTheEndAreNoticed(
    _ name: String
  ) async throws {
    try write(name, Self.grids)
    let data = folder(name == "t.idx" ? "t.bin" : name)
    let sound = try bytes(data)
    for more in [sound, Array("x".utf8), [UInt8](repeating: 7, count: 1000)] {
      try DVAETestSupport.write(sound + more, to: data)
      let run = await dvae("tokens", "verify", folder(name))
      #expect(run.status == 65, "\(name) with \(more.count) bytes more: \(run.output)")
    }
  }

  @Test(arguments: names) func soundFilesPass(_ name: String) async throws {
    try write(name, Self.grids)
    let run = await dvae("tokens", "verify", folder(name))
    #expect(run.status == 0, "\(run.errors)")
    let expected = name == "t" ? "no checksum" : "checksum right"
    #expect(run.output == "\(folder(name)): 2 images sound, \(expected)\n")
  }

  @Test func everyKindOfDamageIsNamed() async throws {
    func expectProblem(_ name: String, _ text: String) async {
      let run = await dvae("tokens", "verify", folder(name))
      #expect(run.status == 65 && run.errors.contains(text), "\(run.errors)")
    }
    try write("a.jsonl", [TokenGrid(height: 1, width: 2, tokens: [1, 8192])])
    await expectProblem("a.jsonl", "k0: token 8192 in row 0, column 1 is not in the vocabulary")
    try write("b.tar", Self.grids, inputs: 3)
    await expectProblem("b.tar", "2 images and 0 failures, but the job had 3 inputs")
    try write("c.bin", Self.grids)
    var content = try bytes(folder("c.bin"))
    content[0] ^= 1
    try DVAETestSupport.write(content, to: folder("c.bin"))
    await expectProblem("c.bin", "SHA-256")
    try write("d.jsonl", Self.grids)
    let text = try String(decoding: bytes(folder("d.jsonl")), as: UTF8.self)
      .replacingOccurrences(of: "k1", with: "k0")
    try DVAETestSupport.write(Array(text.utf8), to: folder("d.jsonl"))
    await expectProblem("d.jsonl", "k0: twice in there")
    await expectProblem("d.jsonl", "SHA-256")
    // Truncated between two lines: every remaining line is intact.
    let lines = text.split(separator: "\n").prefix(2).joined(separator: "\n") + "\n"
    try DVAETestSupport.write(Array(lines.utf8), to: folder("d.jsonl"))
    await expectProblem("d.jsonl", "1 image and 0 failures, but the job had 2 inputs")
    // One bad file does not prevent the check of the next.
    try write("e.npy", Self.grids)
    let both = await dvae("tokens", "verify", folder("gone.npy"), folder("e.npy"))
    #expect(both.status == 66)
    #expect(both.output.contains("e.npy: 2 images sound"))
    #expect(both.errors.contains("gone.npy: no such file or folder"))
    #expect(both.errors.contains("1 of 2 did not pass"))
  }

  @Test func onlyMissingFilesAreMissing() async throws {
    #expect(await dvae("tokens", "verify", folder("gone.npy")).status == 66)
    try DVAETestSupport.write([1], to: folder("bad.npy"))
    #expect(await dvae("tokens", "verify", folder("gone.npy"), folder("bad.npy")).status == 65)
  }

  @Test func nothingIsNotSound() async throws {
    try DVAETestSupport.write([], to: folder("empty.jsonl"))
    try DVAETestSupport.write([UInt8](repeating: 0, count: 10240), to: folder("zeros.tar"))
    try FileManager.default.createDirectory(
      atPath: folder("hollow"), withIntermediateDirectories: true)
    // A job in which every image failed.
    let provenance = Provenance(
      weights: .init(file: "encoder.pkl", sha256: "ab"), architecture: .released,
      preprocessing: Preprocessing(), inputs: .init(count: 1, sha256: "1"), engine: "none")
    let writer = try TokenWriter(folder("failed.npy"), format: .npy, provenance: provenance)
    try writer.append(TokenRecord(key: "a", .failure("no image")))
    try writer.finish()
    for name in ["empty.jsonl", "zeros.tar", "hollow", "failed.npy"] {
      let run = await dvae("tokens", "verify", folder(name))
      #expect(run.status == 65 && run.errors.contains("\(name): no tokens in there"), "\(run)")
    }
  }

  /// A shard without images is valid if the job has more shards than images.
  @Test func emptyShardsAreSound() async throws {
    try write("0.jsonl", Self.grids, shard: Shard("0/2"))
    try write("1.jsonl", [], shard: Shard("1/2"))
    let run = await dvae("tokens", "verify", folder("0.jsonl"), folder("1.jsonl"))
    #expect(run.status == 0, "\(run.errors)")
  }

  @Test func checksumsThatWereCutOffAreMissed() async throws {
    try write("t.jsonl", Self.grids)
    let lines = try String(decoding: bytes(folder("t.jsonl")), as: UTF8.self)
      .split(separator: "\n")
    // The last line is missing, or followed by another one.
    for kept in [Array(lines.dropLast()), lines + [lines[0]]] {
      let text = kept.joined(separator: "\n") + "\n"
      try DVAETestSupport.write(Array(text.utf8), to: folder("t.jsonl"))
      let run = await dvae("tokens", "verify", folder("t.jsonl"))
      #expect(run.status == 65 && run.errors.contains("checksum is missing"), "\(run)")
    }
    try write("t.tar", Self.grids)
    var archive = try bytes(folder("t.tar"))
    let end = try #require(archive.lastIndex { $0 != 0 })
    archive.removeSubrange((end / 512 * 512 + 512)...)
    archive += try TarFormat.file(name: "k1.txt", Array("late".utf8))
    archive += TarFormat.end
    try DVAETestSupport.write(archive, to: folder("t.tar"))
    let late = await dvae("tokens", "verify", folder("t.tar"))
    #expect(late.status == 65 && late.errors.contains("checksum is missing"), "\(late)")
    try write("t.npy", Self.grids)
    try replace("\"sha256\":", "\"sha25x\":", last: true, in: "t.npy.json")
    let run = await dvae("tokens", "verify", folder("t.npy"))
    #expect(run.status == 65 && run.errors.contains("checksum is missing"), "\(run)")
  }

  /// Replaces the first or last occurrence of a text in a file.
  private func replace(_ old: String, _ new: String, last: Bool = false, in name: String) throws {
    var content = try Data(bytes(folder(name)))
    let found = content.range(of: Data(old.utf8), options: last ? .backwards : [])
    let place = try #require(found)
    content.replaceSubrange(place, with: Data(new.utf8))
    try DVAETestSupport.write([UInt8](content), to: folder(name))
  }

  @Test(arguments: ["t.npy", "t.bin", "t.packed", "t.idx", "t.safetensors"])
  func keysAndProvenanceAreUnderAChecksum(_ name: String) async throws {
    let metadata = name == "t.safetensors" ? name : name + ".json"
    try write(name, Self.grids)
    let whole = try String(decoding: bytes(folder(metadata)), as: UTF8.self)
    let member = try #require(whole.range(of: "\"metadata_sha256\":\""))
    let (field, digit) = (String(whole[member]), String(whole[member.upperBound]))
    let changes: [(String, String)] = [
      ("\"k0\"", "\"k9\""), ("encoder.pkl", "encoder.pkk"),
      (field + digit, field + (digit == "0" ? "1" : "0")),
    ]
    for (old, new) in changes {
      try write(name, Self.grids)
      try replace(old, new, in: metadata)
      let run = await dvae("tokens", "verify", folder(name))
      #expect(run.status == 65 && run.errors.contains("keys, captions or provenance"), "\(run)")
    }
  }

  @Test(arguments: ["t.npy", "t.safetensors"])
  func filesOfEarlierVersionsAreSound(_ name: String) async throws {
    try write(name, Self.grids)
    let metadata = name == "t.safetensors" ? name : name + ".json"
    try removeMetadataChecksum(from: metadata)
    try replace("0.1.0", "0.0.9", in: metadata)
    let run = await dvae("tokens", "verify", folder(name))
    #expect(run.status == 0, "\(run.errors)")
    #expect(run.output.contains("checksum right (keys are not under it)"))
  }

  /// Removes the member, also from the header of `.safetensors`, whose length stays.
  private func removeMetadataChecksum(from name: String) throws {
    var content = try Data(bytes(folder(name)))
    let field = #""metadata_sha256":""#
    let member = try #require(content.range(of: Data(field.utf8)))
    // With the digits, their quotation mark and the comma.
    let range = member.lowerBound..<member.upperBound + 66
    #expect(content[range.upperBound - 1] == UInt8(ascii: ","))
    content.replaceSubrange(range, with: Data(repeating: UInt8(ascii: " "), count: range.count))
    try DVAETestSupport.write([UInt8](content), to: folder(name))
  }

  /// Whoever alters keys may remove or rename their checksum, too.
  @Test(arguments: ["t.npy", "t.bin", "t.packed", "t.idx", "t.safetensors"])
  func aChecksumThatIsHiddenIsMissed(_ name: String) async throws {
    let metadata = name == "t.safetensors" ? name : name + ".json"
    try write(name, Self.grids)
    try replace("\"metadata_sha256\"", "\"metadata_sha25x\"", in: metadata)
    let renamed = await dvae("tokens", "verify", folder(name))
    #expect(renamed.status == 65 && renamed.errors.contains("metadata_sha25x"), "\(renamed)")
    try write(name, Self.grids)
    try removeMetadataChecksum(from: metadata)
    let removed = await dvae("tokens", "verify", folder(name))
    #expect(removed.status == 65 && removed.errors.contains("is missing"), "\(removed)")
  }

  @Test func aCutNewlineIsNotSound() async throws {
    try write("t.jsonl", Self.grids)
    try DVAETestSupport.write(bytes(folder("t.jsonl")).dropLast(), to: folder("t.jsonl"))
    let run = await dvae("tokens", "verify", folder("t.jsonl"))
    #expect(run.status == 65 && run.errors.contains("newline"), "\(run)")
  }

  /// Every number of the index has exactly one valid value.
  @Test func everyByteOfMegatronsIndexIsCompared() async throws {
    try write("t.idx", Self.grids)
    let index = try bytes(folder("t.idx"))
    let size = 34 + 2 * 12 + 3 * 8
    #expect(index.count == size)
    for place in index.indices {
      var damaged = index
      damaged[place] ^= 1
      try DVAETestSupport.write(damaged, to: folder("t.idx"))
      let run = await dvae("tokens", "verify", folder("t.idx"))
      #expect(run.status == 65, "byte \(place)")
    }
  }

  @Test func whatIsNoTokensIsNamed() async throws {
    let device = await dvae("tokens", "info", "/dev/null")
    #expect(device.status == 64 && device.errors.contains("/dev/null: tokens are kept in"))
    try NpyArray.write([Float](repeating: 1, count: 4), shape: [2, 2], to: folder("f.npy"))
    let run = await dvae(
      "decode", folder("f.npy"), "--output", folder("out"), "--weights", Fixture.tiny)
    #expect(run.status == 65 && run.errors.contains("f.npy: the array is float32"), "\(run)")
  }

  @Test func plainArraysAreHeldAgainstAGivenVocabulary() async throws {
    try NpyArray.write([UInt16]([1, 2, 300, 4]), shape: [1, 2, 2], to: folder("p.npy"))
    let plain = await dvae("tokens", "verify", folder("p.npy"))
    #expect(plain.status == 0 && plain.output.contains("no checksum, no provenance"))
    let run = await dvae("tokens", "verify", folder("p.npy"), "--vocabulary", "256")
    #expect(run.status == 65 && run.errors.contains("token 300 in row 1, column 0"))
  }

  @Test func shardsHaveToBeAllThereAndOfOneJob() async throws {
    for index in 0..<3 {
      try write("t-\(index).npy", Self.grids, shard: #require(Shard(index, of: 3)))
    }
    let paths = (0..<3).map { folder("t-\($0).npy") }
    let all = await dvae(["tokens", "verify"] + paths)
    #expect(all.status == 0, "\(all.errors)")
    let two = await dvae(["tokens", "verify", paths[0], paths[2]])
    #expect(two.status == 65 && two.errors.contains("1 of the 3 shards"))
    #expect(two.errors.contains("1/3"))
    let twice = await dvae(["tokens", "verify", paths[0]] + paths)
    #expect(twice.status == 65 && twice.errors.contains("shard 0/3 is there 2 times"))
    try write("t-2.npy", Self.grids, shard: #require(Shard(2, of: 3)), sha256: "ef")
    let other = await dvae(["tokens", "verify"] + paths)
    #expect(other.status == 65 && other.errors.contains("is of another job"))
    let object = await dvae(["tokens", "verify", "--json"] + paths)
    let report = try #require(try json(object.output) as? [String: Any])
    #expect((report["problems"] as? [String])?.count == 1)
    #expect((report["files"] as? [[String: Any]])?.count == 3)
  }

  @Test func statisticsAreThoseOfTheCounts() async throws {
    try write("a.npy", [Self.grids[0]])
    try write("b.tar", [Self.grids[1]])
    let run = await dvae("tokens", "stats", folder("a.npy"), folder("b.tar"), "--top", "2")
    #expect(run.status == 0, "\(run.errors)")
    // 7 five times, 5 twice, 8191 once.
    #expect(run.output.contains("images      2, tokens 8"))
    #expect(run.output.contains("3 of 8192 used"))
    #expect(run.output.contains("code 7  5  62.50 %\ncode 5  2  25.00 %\n"))
    #expect(!run.output.contains("8191"))
    let three = await dvae("tokens", "stats", folder("a.npy"), folder("b.tar"), "--top", "3")
    #expect(three.output.contains("code    5  2  25.00 %\ncode 8191  1  12.50 %"))
    let object = await dvae("tokens", "stats", folder("a.npy"), folder("b.tar"), "--json")
    let report = try #require(try json(object.output) as? [String: Any])
    let shares: [Double] = [0.625, 0.25, 0.125]
    let entropy: Double = shares.reduce(0) { $0 - $1 * log($1) }
    let found = try #require(report["entropy_nats"] as? Double)
    #expect(abs(found - entropy) < 1e-12)
    let perplexity = try #require(report["perplexity"] as? Double)
    #expect(abs(perplexity - exp(entropy)) < 1e-9)
    #expect(report["dead"] as? Int == 8189)
    #expect((report["counts"] as? [Int])?[7] == 5)
  }

  /// Names in braces stand for all shards, and one file is open at a time.
  @Test func shardsAreNamedByBraces() async throws {
    for shard in 0..<12 { try write("s-\(100 + shard).npy", [Self.grids[shard % 2]]) }
    let names = folder("s-{100..111}.npy")
    let run = await dvae("tokens", "stats", names)
    #expect(run.status == 0 && run.output.contains("images      12, tokens 48"), "\(run.errors)")
    let info = await dvae("tokens", "info", names, "--json")
    #expect(info.status == 0, "\(info.errors)")
    #expect(try (json(info.output) as? [Any])?.count == 12)
  }

  @Test func statisticsNeedAVocabulary() async throws {
    try NpyArray.write([UInt16]([1, 2, 300, 4]), shape: [1, 2, 2], to: folder("p.npy"))
    let asked = await dvae("tokens", "stats", folder("p.npy"))
    #expect(asked.status == 64 && asked.errors.contains("--vocabulary"))
    let small = await dvae("tokens", "stats", folder("p.npy"), "--vocabulary", "300")
    #expect(small.status == 65)
    let run = await dvae("tokens", "stats", folder("p.npy"), "--vocabulary", "301")
    #expect(run.status == 0 && run.output.contains("4 of 301 used"))
  }

  @Test func mosaicsAreMadeOfEachCodesPatch() async throws {
    let out = folder("codes.png")
    let run = await dvae(
      "tokens", "mosaic", "--output", out, "--weights", Fixture.tiny, "--columns", "16", "--quiet")
    #expect(run.status == 0 && run.output == out + "\n", "\(run.errors)")
    let codes = try PixelImage(contentsOf: out)
    #expect(codes.width == 128 && codes.height == 64)
    let vae = try await DiscreteVAE.load(WeightsLocation(Fixture.tiny), only: .decoder)
    let alone = try await vae.decode(
      TokenGrid(height: 5, width: 5, tokens: [UInt16](repeating: 37, count: 25)))
    let patch = alone.cropped(x: 16, y: 16, width: 8, height: 8)
    #expect(codes.cropped(x: 37 % 16 * 8, y: 37 / 16 * 8, width: 8, height: 8) == patch)

    let grids = [
      TokenGrid(height: 1, width: 2, tokens: [1, 2]),
      TokenGrid(height: 1, width: 2, tokens: [37, 37]),
    ]
    try write("t.npy", grids, vocabulary: 128)
    let over = await dvae(
      "tokens", "mosaic", folder("t.npy"), "--output", folder("t.npy"), "--weights", Fixture.tiny)
    #expect(over.status == 64 && over.errors.contains(".png"))
    for (arguments, width) in [(["--key", "k1"], 32), (["--by-use", "--columns", "2"], 16)] {
      let run = await dvae(
        ["tokens", "mosaic", folder("t.npy"), "--output", out, "--weights", Fixture.tiny]
          + ["--overwrite"] + arguments)
      #expect(run.status == 0, "\(run.errors)")
      let picture = try PixelImage(contentsOf: out)
      #expect(picture.width == width)
      #expect(picture.cropped(x: 0, y: 0, width: 8, height: 8) == patch)
      if width == 32 {
        #expect(
          try await picture.cropped(x: 16, y: 0, width: 16, height: 8) == vae.decode(grids[1]))
      }
    }
    try write("foreign.npy", [TokenGrid(height: 1, width: 1, tokens: [300])], vocabulary: 301)
    let foreign = await dvae(
      "tokens", "mosaic", folder("foreign.npy"), "--output", out, "--weights", Fixture.tiny,
      "--overwrite")
    #expect(foreign.status == 65 && foreign.errors.contains("other weights"), "\(foreign.errors)")
    #expect(foreign.errors.contains("foreign.npy: k0"), "\(foreign.errors)")
    let gone = await dvae(
      "tokens", "mosaic", folder("t.npy"), "--output", out, "--weights", Fixture.tiny, "--key", "x",
      "--overwrite")
    #expect(gone.status == 65 && gone.errors.contains("no image of the key 'x'"))
  }
}
