import DVAETestSupport
import DVAEFiles
import DVAEKit
import Foundation
import DVAEImages
import Testing
import DVAEWeights

/// `dvae decode` from files of tokens to images.
@Suite struct DecodeTests {
  let folder = TemporaryFolder()

  @Test func tokensOfAnotherModelAreNamed() async throws {
    try NpyArray.write([UInt16]([1, 2, 3, 128]), shape: [2, 1, 2], to: folder("t.npy"))
    let run = await dvae(
      "decode", folder("t.npy"), "--output", folder("out"), "--weights", Fixture.tiny)
    #expect(run.status == 65)
    #expect(run.errors.contains("t-000001: token 128"))
    #expect(run.output == folder("out/t-000000.png") + "\n")
  }

  @Test func weightsAreNoTokens() async throws {
    let weights = folder("weights.safetensors")
    #expect(await dvae("weights", "convert", Fixture.tiny, "--output", weights).status == 0)
    let run = await dvae(
      "decode", weights, "--output", folder("out"), "--weights", Fixture.tiny)
    #expect(run.status == 65 && run.errors.split(separator: "\n").count == 1)
    #expect(run.errors.contains("expected tokens, found floating-point tensors"))
  }

  @Test func tokensThatCannotBeReadCostOnlyThemselves() async throws {
    try FileManager.default.createDirectory(
      atPath: folder("in"), withIntermediateDirectories: true)
    for name in ["a", "c"] {
      try NpyArray.write([UInt16]([1]), shape: [1, 1], to: folder("in/\(name).tokens.npy"))
    }
    try FileManager.default.createSymbolicLink(
      atPath: folder("in/b.tokens.npy"), withDestinationPath: folder("nowhere"))
    let run = await dvae(
      "decode", folder("in"), "--output", folder("out"), "--weights", Fixture.tiny)
    #expect(run.status == 65 && run.errors.contains(folder("in/b.tokens.npy")))
    #expect(run.output == ["a", "c"].map { folder("out/\($0).png") + "\n" }.joined())
  }

  /// As much as can be read is decoded, but the job does not end as if all were well.
  @Test func damagedFilesAreDecodedWithAnError() async throws {
    let grid = TokenGrid(height: 1, width: 1, tokens: [3])
    for name in ["t.npy", "t"] {
      let provenance = Provenance(
        weights: .init(file: "encoder.pkl", sha256: "ab"), architecture: .released,
        preprocessing: Preprocessing(crop: .none), inputs: .init(count: 2, sha256: "cd"),
        engine: "none")
      let path = folder(name)
      let writer = try TokenWriter(path, format: TokenFormat(path: path), provenance: provenance)
      for key in ["a", "b"] { try writer.append(TokenRecord(key: key, .tokens(grid))) }
      try writer.finish()
    }
    func decode(_ name: String) async -> (status: Int32, output: String, errors: String) {
      await dvae(
        "decode", folder(name), "--output", folder("out-\(name.count)"), "--weights", Fixture.tiny)
    }
    var array = try bytes(folder("t.npy"))
    array[array.count - 2] ^= 1
    try write(array, to: folder("t.npy"))
    let changed = await decode("t.npy")
    #expect(
      changed.status == 65 && changed.errors.contains("has been changed"), "\(changed.errors)")
    #expect(changed.errors.contains("1 of 1 is damaged"), "\(changed.errors)")
    #expect(changed.output.split(separator: "\n").count == 2)
    try FileManager.default.removeItem(atPath: folder("t/a.tokens.npy"))
    let lost = await decode("t")
    #expect(lost.status == 65 && lost.errors.contains("but the job had 2 inputs"), "\(lost.errors)")
    #expect(lost.output == folder("out-1/b.png") + "\n")
  }

  /// A resumed job decodes only the pictures that are missing, and reports all.
  @Test func interruptedJobsKeepTheirPictures() async throws {
    try NpyArray.write([UInt16](0..<10), shape: [5, 1, 2], to: folder("t.npy"))
    let words = ["decode", folder("t.npy"), "--output", folder("out"), "--weights", Fixture.tiny]
    let whole = await dvae(words)
    let pictures = whole.output.split(separator: "\n").map(String.init)
    #expect(whole.status == 0 && pictures.count == 5)
    let last = try bytes(pictures[4])
    try FileManager.default.removeItem(atPath: pictures[4])
    try FileManager.default.removeItem(atPath: pictures[1])
    try write([7], to: pictures[2])
    #expect(await dvae(words).status == 73)
    let resumed = await dvae(words + ["--resume", "--batch-size", "2"])
    #expect(resumed.status == 0 && resumed.output == whole.output, "\(resumed.errors)")
    #expect(try bytes(pictures[4]) == last && bytes(pictures[2]) == [7])
    #expect(FileSystem.exists(pictures[1]))
    // A link to nothing is no picture: it is neither kept nor replaced.
    try FileManager.default.removeItem(atPath: pictures[3])
    try FileManager.default.createSymbolicLink(
      atPath: pictures[3], withDestinationPath: folder("nowhere"))
    let taken = await dvae(words + ["--resume"])
    #expect(taken.status == 73 && taken.errors.contains(pictures[3]), "\(taken.errors)")
    let both = await dvae(words + ["--resume", "--overwrite"])
    #expect(both.status == 64 && both.errors.contains("exclude each other"))
  }

  @Test func keysNeverLeadOutOfTheFolder() async throws {
    let line = #"{"key":"../../escaped","shape":[1,1],"tokens":[3]}"# + "\n"
    try write(Array((line + line).utf8), to: folder("t.jsonl"))
    let run = await dvae(
      "decode", folder("t.jsonl"), "--output", folder("a/b/c"), "--weights", Fixture.tiny)
    #expect(run.status == 0)
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder("a/b/c")).sorted()
        == ["escaped-2.png", "escaped.png"])
  }

  /// A link inside the output leads nothing out of it; the output itself may be one.
  @Test(arguments: ["decode", "reconstruct"]) func linksLeadNothingOut(
    _ command: String
  ) async throws {
    for name in ["a/b", "c"] {
      try write(bytes(Fixture.imageFiles[2]), to: folder("in/\(name).png"))
    }
    var input = folder("in")
    if command == "decode" {
      input = folder("t.jsonl")
      #expect(
        await dvae(
          "tokenize", folder("in"), "--weights", Fixture.tiny, "--output", input, "--resolution",
          "16"
        ).status == 0)
    }
    for name in ["elsewhere", "real"] {
      try FileManager.default.createDirectory(
        atPath: folder(name), withIntermediateDirectories: true)
    }
    let manager = FileManager.default
    try manager.createSymbolicLink(atPath: folder("out"), withDestinationPath: folder("real"))
    try manager.createSymbolicLink(
      atPath: folder("real/a"), withDestinationPath: folder("elsewhere"))
    let options = command == "decode" ? [] : ["--resolution", "16"]
    let run = await dvae(
      [command, input, "--output", folder("out"), "--weights", Fixture.tiny] + options)
    #expect(run.status == 65 && run.errors.contains("symbolic link"), "\(run.errors)")
    #expect(try manager.contentsOfDirectory(atPath: folder("elsewhere")) == [])
    #expect(try manager.contentsOfDirectory(atPath: folder("real")).sorted() == ["a", "c.png"])

    // With --overwrite a link is replaced, not the file that it leads to.
    try write([7], to: folder("precious"))
    try manager.removeItem(atPath: folder("real/c.png"))
    try manager.createSymbolicLink(
      atPath: folder("real/c.png"), withDestinationPath: folder("precious"))
    let again = await dvae(
      [command, input, "--output", folder("out"), "--weights", Fixture.tiny, "--overwrite"]
        + options)
    #expect(again.status == 65, "\(again.errors)")
    #expect(try bytes(folder("precious")) == [7])
    #expect(try bytes(folder("real/c.png")).count > 8)
  }

  @Test func otherWeightsAreWarnedOf() async throws {
    let tokens = folder("t.npy")
    #expect(
      await dvae("tokenize", Fixture.images, "--weights", Fixture.tiny, "--output", tokens).status
        == 0)
    let converted = folder("tiny.safetensors")
    #expect(await dvae("weights", "convert", Fixture.tiny, "--output", converted).status == 0)
    let same = await dvae(
      "decode", tokens, "--output", folder("a"), "--weights", converted, "--quiet")
    #expect(same.status == 0 && same.errors == "")
    for half in ["encoder_legacy.pkl", "decoder.pkl"] {
      try write(bytes(Fixture.tiny + "/" + half), to: folder(half))
    }
    try FileManager.default.createDirectory(atPath: folder("w"), withIntermediateDirectories: true)
    try FileManager.default.moveItem(
      atPath: folder("encoder_legacy.pkl"), toPath: folder("w/encoder.pkl"))
    try FileManager.default.moveItem(atPath: folder("decoder.pkl"), toPath: folder("w/decoder.pkl"))
    let other = await dvae("decode", tokens, "--output", folder("b"), "--weights", folder("w"))
    #expect(other.status == 0 && other.errors.contains("warning"))
  }
}
