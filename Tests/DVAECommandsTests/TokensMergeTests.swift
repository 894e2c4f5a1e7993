import DVAEFiles
import DVAEKit
import DVAETestSupport
import Foundation
import Testing

/// `dvae tokens convert` and `merge`.
@Suite struct TokensMergeTests {
  let folder = TemporaryFolder()

  private static let names = [
    "t.npy", "t.bin", "t.packed", "t.idx", "t.safetensors", "t.jsonl", "t.tar", "t",
  ]

  private static let captions = [
    "a \"quoted\" caption", nil, "ümlaut",
  ]
  private static let descriptions = [
    #"{"n":1e400,"s":"\ud83d"}"#, #"{"n":12345678901234567890123}"#, nil,
  ]

  /// Makes an image for each letter and a failure, with captions and descriptions.
  private func make(
    _ name: String, keys: String = "abc", shard: Shard = .whole, sha256: String = "ab"
  ) throws {
    let provenance = Provenance(
      weights: .init(file: "encoder.pkl", sha256: sha256), architecture: .released,
      preprocessing: Preprocessing(resolution: 16),
      inputs: .init(count: keys.count + 1, sha256: keys),
      shard: shard, engine: "none")
    let path = folder(name)
    let writer = try TokenWriter(path, format: TokenFormat(path: path), provenance: provenance)
    for (number, key) in keys.enumerated() {
      var sidecars: [String: [UInt8]] = [:]
      sidecars["txt"] = Self.captions[number].map { Array($0.utf8) }
      sidecars["json"] = Self.descriptions[number].map { Array($0.utf8) }
      let grid = TokenGrid(
        height: 2, width: 2, tokens: [0, 8191, UInt16(number), UInt16(key.utf8.first ?? 0)])
      try writer.append(TokenRecord(key: String(key), .tokens(grid), sidecars: sidecars))
    }
    try writer.append(TokenRecord(key: "bad-\(keys)", .failure("bad-\(keys): no image")))
    try writer.finish()
  }

  /// Returns the bytes of all files of an output, by name.
  private func contents(_ name: String) throws -> [String: [UInt8]] {
    var found: [String: [UInt8]] = [:]
    for part in try FileManager.default.subpathsOfDirectory(atPath: folder.path)
    where part == name || part.hasPrefix(name + ".") || part.hasPrefix(name + "/") {
      var isFolder: ObjCBool = false
      _ = FileManager.default.fileExists(atPath: folder(part), isDirectory: &isFolder)
      if !isFolder.boolValue { found[String(part.dropFirst(name.count))] = try bytes(folder(part)) }
    }
    return found
  }

  /// Returns changed lines with a checksum in the last one that is right again.
  private func resealed(_ text: String) -> [UInt8] {
    let lines = Array(
      (text.split(separator: "\n").dropLast().joined(separator: "\n") + "\n").utf8)
    let last = #"{"bytes":\#(lines.count),"sha256":"\#(FileHash.of(lines))"}"# + "\n"
    return lines + Array(last.utf8)
  }

  /// The shell puts `t-10` before `t-2`.
  @Test func shardsAreMergedInTheirOrder() async throws {
    for (part, key) in ["a", "b", "c"].enumerated() {
      try make("\(part).npy", keys: key, shard: try #require(Shard(part, of: 3)))
    }
    for order in [[0, 1, 2], [2, 0, 1]] {
      let run = await dvae(
        ["tokens", "merge"] + order.map { folder("\($0).npy") }
          + ["--output", folder("\(order[0])-all.npy")])
      #expect(run.status == 0, "\(run.errors)")
    }
    #expect(try contents("0-all.npy") == contents("2-all.npy"))
    // So are parts that hold several.
    for (inputs, output) in [(["1", "2"], "part"), (["part", "0"], "whole")] {
      let run = await dvae(
        ["tokens", "merge"] + inputs.map { folder("\($0).npy") }
          + ["--output", folder("\(output).npy")])
      #expect(run.status == 0, "\(run.errors)")
    }
    #expect(try bytes(folder("whole.npy")) == bytes(folder("0-all.npy")))
  }

  /// A part that is not written needs no warning that it is a part.
  @Test func aFailedMergeDoesNotWarn() async throws {
    for part in [0, 1] {
      try make("\(part).npy", shard: try #require(Shard(part, of: 3)))
    }
    let run = await dvae(
      "tokens", "merge", folder("0.npy"), folder("1.npy"), "--output", folder("all.npy"))
    #expect(run.status == 65 && run.errors.contains("is there twice"), "\(run.errors)")
    #expect(!run.errors.contains("warning"), "\(run.errors)")
  }

  /// Converting to every lossless form and back gives the bytes of the original file.
  @Test(arguments: names.filter { $0 != "t.safetensors" })
  func formsGiveEachOtherBack(_ name: String) async throws {
    try make(name)
    for form in ["x.npy", "x.bin", "x.packed", "m.idx", "x.jsonl", "x.tar", "x"] {
      let there = await dvae("tokens", "convert", folder(name), "--output", folder(form))
      #expect(there.status == 0 && there.output == folder(form) + "\n", "\(there.errors)")
      let back = "back" + name.dropFirst()
      let run = await dvae(
        "tokens", "convert", folder(form), "--output", folder(back), "--overwrite")
      #expect(run.status == 0, "\(run.errors)")
      let (made, wanted) = (try contents(back), try contents(name))
      #expect(!wanted.isEmpty && made == wanted, "\(name) through \(form)")
    }
  }

  @Test func safetensorsKeepsTheTokensAndSaysWhatItDoesNot() async throws {
    try make("t.tar")
    let run = await dvae("tokens", "convert", folder("t.tar"), "--output", folder("x.safetensors"))
    #expect(run.status == 0 && run.errors.contains("holds no captions"))
    let there = try TokenReader(contentsOf: folder("t.tar")).map { try $0.get().grid }
    #expect(try TokenReader(contentsOf: folder("x.safetensors")).map { try $0.get().grid } == there)
    #expect(await dvae("tokens", "verify", folder("x.safetensors")).status == 0)
  }

  @Test(arguments: names) func shardsBecomeOneFile(_ name: String) async throws {
    let parts = try ["abc", "def"].enumerated().map { number, keys in
      let part = "part\(number)" + name.dropFirst()
      try make(part, keys: keys, shard: #require(Shard(number, of: 2)))
      return folder(part)
    }
    let run = await dvae(["tokens", "merge"] + parts + ["--output", folder(name)])
    #expect(run.status == 0, "\(run.errors)")
    let reader = try TokenReader(contentsOf: folder(name))
    #expect(reader.provenance?.inputs.count == 8 && reader.provenance?.shard == nil)
    #expect(try reader.map { try $0.get().key } == ["a", "b", "c", "d", "e", "f"])
    let info = await dvae("tokens", "info", folder(name))
    #expect(info.output.contains("images        6, failures 2"))
    #expect(await dvae("tokens", "verify", folder(name)).status == 0)
  }

  @Test func whatDoesNotBelongTogetherIsRefused() async throws {
    try make("a.npy")
    try make("same.npy")
    try make("other.npy", keys: "def", sha256: "cd")
    let twice = await dvae(
      "tokens", "merge", folder("a.npy"), folder("same.npy"), "--output", folder("m.npy"))
    #expect(twice.status == 65 && twice.errors.contains("same.npy: the key 'a' is there twice"))
    let other = await dvae(
      "tokens", "merge", folder("a.npy"), folder("other.npy"), "--output", folder("m.npy"))
    #expect(other.status == 65 && other.errors.contains("other weights"))
    let left = try FileManager.default.contentsOfDirectory(atPath: folder.path)
    #expect(!left.contains { $0.hasPrefix("m.npy") })
    let itself = await dvae(
      "tokens", "convert", folder("a.npy"), "--output", folder("a.npy"), "--overwrite")
    #expect(itself.status == 64)
    let finished = await dvae("tokens", "convert", folder("a.npy"), "--output", folder("same.npy"))
    #expect(finished.status == 73)
    let range = await dvae("tokens", "convert", folder("a.npy"), "--output", folder("x-{0..2}.tar"))
    #expect(range.status == 64 && range.errors.contains("a range of names"), "\(range.errors)")
    try FileManager.default.removeItem(atPath: folder("a.npy.json"))
    let nameless = await dvae(
      "tokens", "merge", folder("other.npy"), folder("a.npy"), "--output", folder("m.tar"))
    #expect(nameless.status == 65 && nameless.errors.contains("which model"), "\(nameless.errors)")
  }

  /// The weights' own file, too, is lost if it is replaced: the conversion may be to half precision.
  @Test func noOutputReplacesItsInput() async throws {
    let weights = folder("w.safetensors")
    #expect(await dvae("weights", "convert", Fixture.tiny, "--output", weights).status == 0)
    let before = try bytes(weights)
    try write(bytes(Fixture.tiny + "/encoder_state_dict.pt"), to: folder("w/encoder.pt"))
    for command in [
      ["weights", "convert", weights, "--output", weights],
      ["weights", "convert", weights, "--output", folder(".//w.safetensors"), "--float16"],
      [
        "weights", "convert", folder("w/encoder.pt"), "--format", "dall_e", "--output", folder("w"),
      ],
      [
        "export", "--half", "encoder", "--format", "pytorch", "--weights", folder("w/encoder.pt"),
        "--output", folder("w/encoder.pt"),
      ],
    ] {
      let run = await dvae(command + ["--overwrite"])
      #expect(run.status == 64 && run.errors.contains("is an input"), "\(command): \(run)")
    }
    #expect(try bytes(weights) == before)
    #expect(
      try bytes(folder("w/encoder.pt")) == bytes(Fixture.tiny + "/encoder_state_dict.pt"))
  }

  /// A shell's pattern such as `y-*` names sidecars and indexed arrays beside the files of tokens.
  @Test(arguments: ["y-0.npy", "y-0.idx"]) func companionsAreNotFilesOfTokens(
    _ name: String
  ) async throws {
    try make(name)
    let all = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    #expect(all.count > 1)
    for command in [["verify"], ["info"], ["stats"], ["merge", "--output", folder("m.tar")]] {
      let run = await dvae(["tokens"] + command + all.map { folder($0) })
      #expect(run.status == 0, "\(command): \(run.errors)")
    }
    let alone = await dvae("tokens", "verify", folder(name + ".json"))
    #expect(alone.status != 0)
  }

  /// A key of the input is not a path of ours.
  @Test(arguments: ["out", "out.tar"]) func keysDoNotLeadOutOfTheOutput(_ name: String) async throws
  {
    try make("t.jsonl", keys: "a")
    let text = String(decoding: try bytes(folder("t.jsonl")), as: UTF8.self)
    try write(
      resealed(text.replacingOccurrences(of: #""key":"a""#, with: #""key":"../../a""#)),
      to: folder("evil.jsonl"))
    let result = await dvae(
      "tokens", "convert", folder("evil.jsonl"), "--output", folder("deep/" + name))
    #expect(result.status == 0, "\(result.errors)")
    #expect(try TokenReader(contentsOf: folder("deep/" + name)).map { try $0.get().key } == ["a"])
    #expect(
      Set(try FileManager.default.contentsOfDirectory(atPath: folder.path))
        == ["t.jsonl", "evil.jsonl", "deep"])
  }

  @Test(.timeLimit(.minutes(5))) func shardsBeyondCountingAreNotCounted() async throws {
    let count = 9_000_000_000_000_000_000
    try make("t.npy", shard: try #require(Shard(1, of: count)))
    let result = await dvae("tokens", "verify", folder("t.npy"))
    #expect(result.status == 65)
    #expect(result.errors.contains("0/\(count), 2/\(count)"), "\(result.errors)")
  }

  /// A part of a job stays recognisable as one when it is made.
  @Test func missingShardsAreNamed() async throws {
    for (index, keys) in ["a", "b", "c", "x"].enumerated() where index != 1 {
      try make("t-\(index).npy", keys: keys, shard: try #require(Shard(index, of: 4)))
    }
    let parts = [0, 2, 3].map { folder("t-\($0).npy") }
    let run = await dvae(["tokens", "merge"] + parts + ["--output", folder("p.npy")])
    #expect(run.status == 0 && run.errors.contains("without 1 shard: 1/4"), "\(run.errors)")
    let pair = await dvae(["tokens", "merge"] + parts[..<2] + ["--output", folder("q.npy")])
    #expect(pair.errors.contains("without 2 shards: 1/4, 3/4"), "\(pair.errors)")
    try make("whole.npy", keys: "yz")
    let mixed = await dvae(
      "tokens", "merge", parts[0], folder("whole.npy"), "--output", folder("s.npy"))
    #expect(mixed.errors.contains("without 3 shards: 1/4, 2/4, 3/4"), "\(mixed.errors)")
    let alone = await dvae("tokens", "convert", parts[0], "--output", folder("r.npy"))
    #expect(alone.status == 0 && alone.errors.isEmpty, "\(alone.errors)")
    // The result is a part of the job until all others are there.
    let verified = await dvae("tokens", "verify", folder("q.npy"))
    #expect(verified.status == 65 && verified.errors.contains(": 1/4, 3/4"), "\(verified.errors)")
    let info = await dvae("tokens", "info", folder("p.npy"))
    #expect(info.output.contains("shard         0/4 and 2 more"), "\(info.output)")
    try make("t-1.npy", keys: "b", shard: try #require(Shard(1, of: 4)))
    let together = await dvae("tokens", "verify", folder("p.npy"), folder("t-1.npy"))
    #expect(together.status == 0, "\(together.errors)")
    let last = await dvae(
      "tokens", "merge", folder("p.npy"), folder("t-1.npy"), "--output", folder("all.npy"))
    #expect(last.status == 0 && last.errors.isEmpty, "\(last.errors)")
    #expect(try TokenReader(contentsOf: folder("all.npy")).provenance?.shards == nil)
    #expect(await dvae("tokens", "verify", folder("all.npy")).status == 0)
  }

  /// The new file has a checksum of its own, which would hide the damage.
  @Test(arguments: ["t.npy", "t.bin", "t.safetensors", "t.jsonl", "t.tar"])
  func damagedFilesAreNotMadeSound(_ name: String) async throws {
    try make(name)
    let url = URL(filePath: folder(name))
    var damaged = [UInt8](try Data(contentsOf: url))
    // The token 8191, in text or with its low byte first.
    let token = name == "t.jsonl" ? Array("8191".utf8) : [0xFF, 0x1F]
    let place = try #require(damaged.firstRange(of: token))
    damaged[place.lowerBound] ^= 1
    try Data(damaged).write(to: url)
    for command in ["convert", "merge"] {
      let run = await dvae("tokens", command, folder(name), "--output", folder("new.packed"))
      #expect(run.status == 65 && run.errors.contains(name), "\(run.errors)")
      #expect(!FileManager.default.fileExists(atPath: folder("new.packed")))
    }
  }

  /// The last line is the checksum.
  @Test func fileCutAtALineIsNotMadeSound() async throws {
    let lines = "sound.jsonl"
    try make(lines)
    let whole = try String(contentsOfFile: folder(lines), encoding: .utf8)
    try whole.split(separator: "\n").dropLast().joined(separator: "\n").appending("\n")
      .write(toFile: folder(lines), atomically: true, encoding: .utf8)
    let cut = await dvae("tokens", "convert", folder(lines), "--output", folder("cut.tar"))
    #expect(cut.status == 65 && cut.errors.contains("checksum is missing"), "\(cut.errors)")
  }

  /// A folder has no checksum, but its provenance counts the images.
  @Test func imagesThatAreGoneAreMissed() async throws {
    try make("t")
    try FileManager.default.removeItem(atPath: folder("t/b.tokens.npy"))
    let expected = "holds 2 images and 1 failure, but the job had 4 inputs"
    for command in [["convert"], ["merge"], ["verify"], ["stats"], ["info"]] {
      let output =
        ["convert", "merge"].contains(command[0]) ? ["--output", folder("new.npy")] : []
      let run = await dvae(["tokens"] + command + [folder("t")] + output)
      #expect(run.status == (command == ["info"] ? 0 : 65), "\(command) \(run.errors)")
      #expect((run.errors + run.output).contains(expected), "\(command) \(run.errors)")
    }
    #expect(!FileManager.default.fileExists(atPath: folder("new.npy")))
  }

  /// Weights that were converted from others are the same model.
  @Test func tokensOfConvertedWeightsAreMerged() async throws {
    try make("a.npy", keys: "a")
    let provenance = Provenance(
      weights: .init(file: "converted.safetensors", sha256: "cd", source: "ab"),
      architecture: .released, preprocessing: Preprocessing(resolution: 16),
      inputs: .init(count: 1, sha256: "b"), engine: "none")
    let writer = try TokenWriter(folder("b.npy"), format: .npy, provenance: provenance)
    try writer.append(
      TokenRecord(key: "b", .tokens(TokenGrid(height: 2, width: 2, tokens: [1, 2, 3, 4]))))
    try writer.finish()
    let run = await dvae(
      "tokens", "merge", folder("a.npy"), folder("b.npy"), "--output", folder("c.npy"))
    #expect(run.status == 0, "\(run.errors)")
    try make("d.npy", keys: "c", sha256: "ef")
    let other = await dvae(
      "tokens", "merge", folder("a.npy"), folder("d.npy"), "--output", folder("e.npy"))
    #expect(other.status == 65 && other.errors.contains("other weights"), "\(other.errors)")
  }

  @Test func finishedConversionsAreNotMadeAgain() async throws {
    try make("t.tar")
    let arguments = ["tokens", "convert", folder("t.tar"), "--output", folder("t.npy")]
    #expect(await dvae(arguments).status == 0)
    let before = try bytes(folder("t.npy"))
    let again = await dvae(arguments + ["--resume"])
    #expect(again.status == 0 && again.errors.contains("is complete already"), "\(again.errors)")
    #expect(try bytes(folder("t.npy")) == before)
    #expect(await dvae(arguments).status == 73)
  }

  /// A key that is impossible as a file's name fails alone, as it does in `dvae tokenize`.
  @Test(arguments: ["convert", "merge"]) func impossibleKeysFailAlone(_ command: String)
    async throws
  {
    try make("t.jsonl")
    let text = try String(decoding: bytes(folder("t.jsonl")), as: UTF8.self)
    let keys = ["b/" + String(repeating: "n/", count: 5000) + "b", "a.tokens.npy/b"]
    for (number, key) in keys.enumerated() {
      try write(
        resealed(text.replacing(#""key":"b""#, with: #""key":"\#(key)""#)), to: folder("k.jsonl"))
      let output = folder("out\(number)")
      let run = await dvae("tokens", command, folder("k.jsonl"), "--output", output, "--quiet")
      let names = try FileManager.default.subpathsOfDirectory(atPath: output)
      #expect(run.status == 65 && run.errors.contains("1 of 4 could not be done"), "\(run.errors)")
      let expected = [
        ".failures.json", ".provenance.json", "a.json", "a.tokens.npy", "a.txt", "c.tokens.npy",
        "c.txt",
      ]
      #expect(names.sorted() == expected)
      #expect(try TokenReader(contentsOf: output).failures().count == 2)
      #expect(!FileManager.default.fileExists(atPath: output + ".partial"))
    }
  }
}
