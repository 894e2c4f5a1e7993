import DVAEFiles
import DVAEImages
import DVAETestSupport
import Foundation
import Testing

/// Names are bytes: Swift's strings are equal if their characters are.
@Suite struct NameByteTests {
  let folder = TemporaryFolder()

  private func photo(_ seed: Int) throws -> [UInt8] { try encodePNG(testPicture(seed)) }

  /// An archive holds two samples whose keys look alike, one beside the other.
  @Test(arguments: [
    "t.npy", "t.bin", "t.packed", "t.idx", "t.safetensors", "t.jsonl", "t.tar", "t",
  ])
  func composedAndDecomposedKeysAreTwo(_ name: String) async throws {
    var bytes: [UInt8] = []
    bytes += try TarFormat.file(name: "caf\u{E9}.png", photo(1))
    bytes += try TarFormat.file(name: "cafe\u{301}.png", photo(2))
    bytes += TarFormat.end
    try write(bytes, to: folder("in.tar"))
    let run = await dvae(
      "tokenize", folder("in.tar"), "--output", folder(name), "--weights", Fixture.tiny,
      "--resolution", "64")
    #expect(run.status == 0, "\(run.errors)")
    let verified = await dvae("tokens", "verify", folder(name))
    #expect(verified.output.contains("2 images sound"), "\(verified.errors)")
    let decoded = await dvae(
      "decode", folder(name), "--output", folder("out"), "--weights", Fixture.tiny)
    #expect(decoded.status == 0, "\(decoded.errors)")
    let pictures = try FileSystem.names(in: folder("out"))
    #expect(Set(pictures.map { Array($0.utf8) }).count == 2)
  }

  /// The first scalar joins with the slash before it into one character.
  @Test(arguments: ["\u{FE0F}", "\u{200D}", "\u{301}"])
  func namesBeginWithAnyScalar(_ first: String) async throws {
    let path = folder.path + "/" + first + "a.png"
    try write(photo(1), to: path)
    let weights = ["--weights", Fixture.tiny, "--resolution", "64"]
    let drawn = await dvae(
      ["reconstruct", path, "--output", folder.path + "/" + first + "out"] + weights)
    #expect(drawn.status == 0 && drawn.errors.isEmpty, "\(drawn.errors)")
    let tokens = folder.path + "/" + first + "t.npy"
    let run = await dvae(["tokenize", path, "--output", tokens] + weights)
    #expect(run.status == 0, "\(run.errors)")
    #expect(await dvae("tokens", "verify", tokens).status == 0)
  }
}
