import DVAEKit
import DVAETestSupport
import Foundation
import Testing

/// Captions and descriptions that an output does not hold as they are.
@Suite struct CaptionTests {
  let folder = TemporaryFolder()

  private static let tiny = ["--weights", Fixture.tiny, "--quiet"]
  private static let latin1 = Array("caf".utf8) + [0xE9]

  /// Writes three images, with captions of three encodings.
  private func images() throws {
    for (name, caption) in [
      ("a", Array("café".utf8)), ("b", Self.latin1), ("c", [0xFF, 0xFE, 0x63, 0x00]),
    ] {
      try write(bytes(Fixture.imageFiles[1]), to: folder("in/\(name).png"))
      try write(caption, to: folder("in/\(name).txt"))
    }
  }

  private func tokenize(_ name: String) async -> (status: Int32, output: String, errors: String) {
    await dvae(
      ["tokenize", folder("in"), "--output", folder(name), "--resolution", "16"] + Self.tiny)
  }

  private static let told = """
    dvae: warning: b.txt: is not UTF-8; convert it from its encoding first (LATIN1: iconv -f LATIN1 -t \
    UTF-8); the output has U+FFFD for what is wrong in it
    dvae: warning: 1 more caption or description is not UTF-8

    """

  @Test(arguments: ["t.npy", "t.bin", "t.packed", "t.idx", "t.jsonl"])
  func textsOfOtherEncodingsAreNamedAndCounted(_ name: String) async throws {
    try images()
    let run = await tokenize(name)
    #expect(run.status == 0 && run.errors == Self.told)
    #expect(await tokenize("t.tar").errors.isEmpty)
    let converted = await dvae(
      ["tokens", "convert", folder("t.tar"), "--output", folder("x-" + name), "--quiet"])
    #expect(converted.status == 0 && converted.errors == Self.told)
  }

  @Test(arguments: ["t.tar", "t"]) func bytesAreKeptWhereTheyCanBe(_ name: String) async throws {
    try images()
    let run = await tokenize(name)
    #expect(run.status == 0 && run.errors.isEmpty, "\(run.errors)")
    #expect(await dvae("tokens", "convert", folder(name), "--output", folder("f")).status == 0)
    #expect(try bytes(folder("f/b.txt")) == Self.latin1)
  }

  @Test func aFormWithoutCaptionsSaysSo() async throws {
    try images()
    let run = await tokenize("t.safetensors")
    #expect(
      run.errors
        == "\(folder("t.safetensors")): .safetensors holds no captions or descriptions; 3 images had some\n"
    )
  }

  /// As Python writes and reads JSON.
  @Test(arguments: ["t.npy", "t.jsonl", "t.idx", "t.tar"])
  func descriptionsOfPythonComeBack(_ name: String) async throws {
    let descriptions = [
      #"{"score": NaN}"#, #"[1e400, -Infinity]"#, #"{"a": "\ud800"}"#, #"{"plain": 1}"#, #""text""#,
      "no JSON",
    ]
    for (index, text) in descriptions.enumerated() {
      try write(bytes(Fixture.imageFiles[1]), to: folder("in/\(index).png"))
      try write(Array(text.utf8), to: folder("in/\(index).json"))
    }
    let archive = await dvae(
      ["tokenize", folder("in"), "--output", folder("first.tar"), "--resolution", "16"] + Self.tiny)
    #expect(archive.status == 0, "\(archive.errors)")
    for (input, output) in [("first.tar", "x-" + name), ("x-" + name, "back")] {
      let run = await dvae(
        "tokens", "convert", folder(input), "--output", folder(output), "--quiet")
      #expect(run.status == 0, "\(run.errors)")
    }
    let back = try descriptions.indices.map { index in
      String(decoding: try bytes(folder("back/\(index).json")), as: UTF8.self)
    }
    #expect(back.dropLast() == descriptions.dropLast())
    // Text that is not JSON in any reading becomes a string, unless it is copied.
    #expect(back.last == (name == "t.tar" ? "no JSON" : #""no JSON""#))
  }

  /// A description that is not UTF-8 is no JSON either, and becomes a string.
  @Test func descriptionsAreNamedToo() async throws {
    try write(bytes(Fixture.imageFiles[1]), to: folder("in/a.png"))
    try write(Array("{\"text\":\"".utf8) + [0xE9] + Array("\"}".utf8), to: folder("in/a.json"))
    let run = await tokenize("t.jsonl")
    #expect(
      run.status == 0 && run.errors.contains("warning: a.json: is not UTF-8"), "\(run.errors)")
    #expect(run.errors.split(separator: "\n").count == 1)
  }
}
