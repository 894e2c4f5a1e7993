import DVAEFiles
import DVAEKit
import DVAETestSupport
import Testing

/// `dvae tokens info` of files that are not as they should be.
@Suite struct TokensInfoTests {
  let folder = TemporaryFolder()

  /// Writes a file of two images.
  private func write(_ name: String) throws {
    let path = folder(name)
    let writer = try TokenWriter(
      path, format: TokenFormat(path: path), provenance: testProvenance(count: 2))
    for key in ["a", "b"] {
      let grid = TokenGrid(height: 1, width: 4, tokens: [7, 7, 7, 8191])
      try writer.append(TokenRecord(key: key, .tokens(grid)))
    }
    try writer.finish()
  }

  @Test func aLineThatIsCutIsSaidToBe() async throws {
    try write("t.jsonl")
    let whole = try bytes(folder("t.jsonl"))
    let line = try #require(whole.lastIndex(of: UInt8(ascii: "]")))
    try DVAETestSupport.write(Array(whole[..<line]), to: folder("t.jsonl"))
    let run = await dvae("tokens", "info", folder("t.jsonl"))
    #expect(
      run.status == 65 && run.errors.contains("line 3 is not a line of tokens: the file was cut"))
    // A whole line of something else.
    try DVAETestSupport.write(
      Array(#"{"shape":[1,2],"tokens":[[1,2]]}"#.utf8), to: folder("rows.jsonl"))
    let rows = await dvae("tokens", "info", folder("rows.jsonl"))
    #expect(
      rows.status == 65
        && rows.errors.contains(
          "line 1 is not a line of tokens: 'tokens number 0' must be a number\n"),
      "\(rows)")
  }

  /// A file that cannot be read does not hide the others.
  @Test func filesAreDescribedOneByOne() async throws {
    try write("t.npy")
    try DVAETestSupport.write([], to: folder("e.tar"))
    let run = await dvae("tokens", "info", folder("e.tar"), folder("t.npy"))
    #expect(run.status == 65 && run.errors.contains("the file is empty"), "\(run.errors)")
    #expect(
      run.errors.contains("1 of 2 could not be read") && run.output.contains("images        2"))
  }

  @Test func fourDimensionsAreToBeReshaped() async throws {
    try NpyArray.write([UInt16](repeating: 1, count: 8), shape: [2, 1, 2, 2], to: folder("d.npy"))
    let run = await dvae("tokens", "info", folder("d.npy"))
    #expect(run.status == 65 && run.errors.contains("[2, 1, 2, 2]; reshape it"), "\(run.errors)")
    #expect(!run.errors.contains("--grid"))
  }

  /// The same file gives the same status in each command.
  @Test(arguments: [("t.foo", 64), ("missing.npy", 66), ("t.npy", 65)])
  func commandsAgreeOnTheStatus(_ name: String, _ status: Int32) async throws {
    for name in ["t.foo", "t.npy"] { try DVAETestSupport.write([1], to: folder(name)) }
    for command in ["info", "verify"] {
      #expect(await dvae("tokens", command, folder(name)).status == status, "\(command)")
    }
    // No single mistake explains several.
    let other = name == "t.npy" ? "t.foo" : "t.npy"
    #expect(await dvae("tokens", "verify", folder(name), folder(other)).status == 65)
  }

  @Test func unfinishedTokensAreSaidToBe() async throws {
    try DVAETestSupport.write([1], to: folder("t.npy.partial"))
    for command in [
      ["tokens", "info"], ["tokens", "verify"], ["decode", "--output", folder("d")],
    ] {
      let run = await dvae(command + [folder("t.npy")])
      #expect(
        run.status == 66 && run.errors.contains("is not finished: there is only"), "\(run.errors)")
    }
  }

  /// One wrong export makes every image wrong.
  @Test func numbersThatAreNoTokensAreCounted() async throws {
    try NpyArray.write([Int32](repeating: -1, count: 3 * 4), shape: [3, 2, 2], to: folder("n.npy"))
    let run = await dvae(
      "decode", folder("n.npy"), "--output", folder("d"), "--weights", Fixture.tiny, "--quiet")
    #expect(run.status == 65 && run.errors.contains("2 more are not of tokens"), "\(run.errors)")
  }

  /// Photos are not tokens.
  @Test func whatHoldsNoTokensIsNoSuccess() async throws {
    var archive: [UInt8] = []
    archive += try TarFormat.file(name: "a.png", bytes(Fixture.imageFiles[1]))
    archive += TarFormat.end
    try DVAETestSupport.write(archive, to: folder("a.tar"))
    for input in [Fixture.images, folder("a.tar")] {
      for command in [["info"], ["stats", "--vocabulary", "8192"], ["verify"]] {
        let run = await dvae(["tokens"] + command + [input])
        #expect(run.status == 65, "\(command) \(run.errors)")
      }
      let run = await dvae("tokens", "convert", input, "--output", folder("t.npy"))
      #expect(run.status == 65, "\(run.errors)")
    }
    let told = await dvae("tokens", "info", Fixture.images)
    #expect(told.errors.contains("\(Fixture.images): no tokens in there"), "\(told.errors)")
    #expect(try FileSystem.names(in: folder.path) == ["a.tar"])
  }
}
