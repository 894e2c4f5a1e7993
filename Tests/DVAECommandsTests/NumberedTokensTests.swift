import DVAEImages
import DVAEKit
import DVAETestSupport
import Foundation
import Testing

/// Every command that reads tokens takes the shards of a job under numbered names.
@Suite struct NumberedTokensTests {
  let folder = TemporaryFolder()

  private static let tiny = ["--weights", Fixture.tiny, "--quiet"]
  static let forms = ["npy", "bin", "packed", "idx", "safetensors", "jsonl", "tar"]

  /// Writes two shards, of two images and of one, and returns the pattern of ten names.
  private func shards(_ form: String) async -> String {
    let pattern = folder("t-{000000..000009}.\(form)")
    let run = await dvae(
      [
        "tokenize", Fixture.images, "--output", pattern, "--samples-per-shard", "2",
        "--resolution", "16",
      ] + Self.tiny)
    #expect(run.status == 0, "\(run.errors)")
    return pattern
  }

  @Test(arguments: forms) func everyCommandTakesThem(_ form: String) async throws {
    let pattern = await shards(form)
    for command in [
      ["tokens", "info", pattern], ["tokens", "verify", pattern], ["tokens", "stats", pattern],
      ["tokens", "convert", pattern, "--output", folder("c.npy")],
      ["tokens", "merge", pattern, "--output", folder("m.npy")],
      ["decode", pattern, "--output", folder("p")] + Self.tiny,
      ["tokens", "mosaic", pattern, "--output", folder("i.png")] + Self.tiny,
      ["tokens", "mosaic", pattern, "--by-use", "--output", folder("u.png")] + Self.tiny,
    ] {
      let run = await dvae(command)
      #expect(run.status == 0, "\(command): \(run.errors)")
    }
    let keys = try TokenReader(contentsOf: folder("m.npy")).map { try $0.get().key }
    #expect(keys.count == 3)
    // The same pictures as from one file.
    let whole = await dvae(["decode", folder("m.npy"), "--output", folder("w")] + Self.tiny)
    #expect(whole.status == 0)
    for key in keys {
      #expect(try bytes(folder("p/\(key).png")) == bytes(folder("w/\(key).png")))
    }
    let alone = folder("a.png")
    for (tokens, option) in [
      (folder("m.npy"), ["--by-use"]), (folder("m.npy"), ["--key", keys[2]]),
      (pattern, ["--key", keys[2]]),
    ] {
      let run = await dvae(
        ["tokens", "mosaic", tokens, "--output", alone, "--overwrite"] + option + Self.tiny)
      #expect(run.status == 0, "\(run.errors)")
      if option == ["--by-use"] {
        #expect(try bytes(alone) == bytes(folder("u.png")))
      } else if tokens != pattern {
        try write(bytes(alone), to: folder("k.png"))
      } else {
        #expect(try bytes(alone) == bytes(folder("k.png")))
      }
    }
  }

  /// The dots of a range are not those of an extension.
  @Test(arguments: ["w-{0..1}", "{0..1}-w", "d/{0..1}", "w{0..1}/"])
  func foldersAreNumberedToo(_ name: String) async throws {
    let run = await dvae(
      ["tokenize", Fixture.images, "--output", folder(name), "--resolution", "16"] + Self.tiny)
    #expect(run.status == 0, "\(run.errors)")
    for command in [
      ["tokens", "verify", folder(name)],
      ["tokens", "merge", folder(name), "--output", folder("m.npy")],
      ["decode", folder(name), "--output", folder("p")] + Self.tiny,
    ] {
      let run = await dvae(command)
      #expect(run.status == 0, "\(command): \(run.errors)")
    }
    #expect(try TokenReader(contentsOf: folder("m.npy")).extent?.count == 3)
  }

  /// Files without tokens would block the corrected command; beside others they are shards.
  @Test(arguments: ["npy", "safetensors", "jsonl", "tar", ""])
  func aJobWithoutTokensLeavesNothing(_ form: String) async throws {
    let pattern = folder("sub/d/s{0..2}" + (form.isEmpty ? "" : "." + form))
    try FileManager.default.createDirectory(atPath: folder("in"), withIntermediateDirectories: true)
    for i in 0..<3 {
      try testPicture(i, width: 8, height: 8).write(to: folder("in/\(i).png"))
    }
    let job = ["tokenize", folder("in"), "--output", pattern, "--resolution", "16"] + Self.tiny
    let none = await dvae(job)
    #expect(none.status == 65 && none.errors.contains("nothing is written"), "\(none.errors)")
    #expect(none.output.isEmpty && !FileManager.default.fileExists(atPath: folder("sub")))
    let shard = await dvae(job + ["--shard", "1/3"])
    #expect(shard.status == 65 && FileManager.default.fileExists(atPath: folder("sub/d")))
    try FileManager.default.removeItem(atPath: folder("sub"))
    try testPicture(2, width: 16, height: 16).write(to: folder("in/2.png"))
    let one = await dvae(job)
    #expect(one.status == 65 && one.output == "\(pattern): 1 image\n", "\(one)")
    let verified = await dvae("tokens", "verify", pattern)
    #expect(verified.status == 0, "\(verified.errors)")
  }

  @Test func aMissingShardIsNamedBeforeAnyPicture() async throws {
    let pattern = await shards("npy")
    try FileManager.default.removeItem(atPath: folder("t-000001.npy"))
    for command in [
      ["decode", pattern, "--output", folder("p")],
      ["tokens", "mosaic", pattern, "--key", "none", "--output", folder("m.png")],
    ] {
      let run = await dvae(command + Self.tiny)
      #expect(
        run.status == 66 && run.errors.contains("t-000001.npy: no such file"), "\(run.errors)")
      #expect(run.output.isEmpty && !FileManager.default.fileExists(atPath: folder("p")))
    }
  }

  /// As WebDataset's users write it, also for what is read.
  @Test func rangesOfInputsAreRead() async throws {
    for (number, file) in Fixture.imageFiles.prefix(2).enumerated() {
      let name = folder("in-\(number).png")
      try DVAETestSupport.write(bytes(file), to: name)
    }
    let run = await dvae(
      "tokenize", folder("in-{0..1}.png"), "--output", folder("in.jsonl"), "--weights",
      Fixture.tiny, "--resolution", "16", "--quiet")
    #expect(run.status == 0, "\(run.errors)")
    let keys = try TokenReader(contentsOf: folder("in.jsonl")).map { try $0.get().key }
    #expect(keys == ["in-0", "in-1"])
    let missing = await dvae("evaluate", folder("in-{1..2}.png"))
    #expect(missing.status == 66 && missing.errors.contains("in-2.png: no such file"))
  }

  @Test func picturesThatExistAreFoundInEveryShard() async throws {
    let pattern = await shards("tar")
    let decode = ["decode", pattern, "--output", folder("p")] + Self.tiny
    #expect(await dvae(decode).status == 0)
    let pictures = try FileManager.default.contentsOfDirectory(atPath: folder("p")).sorted()
    for picture in pictures.dropLast() {
      try FileManager.default.removeItem(atPath: folder("p/" + picture))
    }
    let run = await dvae(decode)
    #expect(run.status == 73 && run.errors.contains(pictures[2]), "\(run.errors)")
    #expect(await dvae(decode + ["--overwrite"]).status == 0)
  }
}
