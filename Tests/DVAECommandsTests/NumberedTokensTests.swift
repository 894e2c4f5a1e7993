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
