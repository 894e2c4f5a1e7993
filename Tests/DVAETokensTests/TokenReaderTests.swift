import DVAETestSupport
import DVAEFiles
import DVAEImages
import DVAETokens
import Foundation
import Testing
import DVAEWeights

/// Token files of other programs, and damaged ones.
@Suite struct TokenReaderTests {
  let folder = TemporaryFolder()

  private func read(_ name: String) throws -> [TokenReader.Item] {
    let reader = try TokenReader(contentsOf: folder(name))
    var items: [TokenReader.Item] = []
    for item in reader {
      let item = try item.get()
      items.append(item)
    }
    return items
  }

  @Test func plainArraysOfOtherIntegersAreRead() throws {
    try NpyArray.write([Int64](0..<12), shape: [2, 2, 3], to: folder("codes.npy"))
    let items = try read("codes.npy")
    #expect(items.map(\.key) == ["codes-000000", "codes-000001"])
    #expect(items[1].grid == TokenGrid(height: 2, width: 3, tokens: [6, 7, 8, 9, 10, 11]))
    try NpyArray.write([Int32](0..<6), shape: [2, 3], to: folder("one.npy"))
    #expect(try read("one.npy").map(\.key) == ["one"])
  }

  /// A long strip is hardly a photo: such an array holds rows of several images.
  @Test(
    arguments: [
      ([3, 512], nil), ([3, 1000], nil), ([8, 64], nil), ([512, 3], nil), ([24, 97], nil),
      ([3, 1024], [3, 32, 32]), ([512, 1024], [512, 32, 32]), ([14, 56], [1, 14, 56]),
      ([56, 14], [1, 56, 14]), ([16, 16], [1, 16, 16]), ([1, 1], [1, 1, 1]),
    ] as [([Int], [Int]?)])
  func arraysOfTwoDimensionsAreGridsOrRows(_ shape: [Int], _ expected: [Int]?) throws {
    let values = [UInt16](repeating: 1, count: shape.reduce(1, *))
    try NpyArray.write(values, shape: shape, to: folder("t.npy"))
    if let expected {
      let extent = try #require(try TokenReader(contentsOf: folder("t.npy")).extent)
      #expect([extent.count] + extent.grid == expected)
    } else {
      let error = #expect(throws: DVAEError.self) { try TokenReader(contentsOf: folder("t.npy")) }
      #expect(error?.code == .unknownGrid && error?.kind == .badData)
      let grid = TokenExtent.Grid(rows: 1, columns: shape[1])
      #expect(try TokenReader(contentsOf: folder("t.npy"), grid: grid).extent?.count == shape[0])
    }
  }

  /// Converting the whole array for each image would take minutes.
  @Test(.timeLimit(.minutes(5))) func longArraysOfOtherIntegersAreConvertedOnce() throws {
    let count = 100_000
    let values = [Int64](repeating: 7, count: 4 * count)
    try NpyArray.write(values, shape: [count, 2, 2], to: folder("t.npy"))
    #expect(try read("t.npy").count == count)
  }

  @Test func arraysWithoutTokensPromiseNothing() throws {
    let endless = NpyArray.encoded([Int64](), shape: [1_000_000_000_000_000_000, 0, 0])
    try write(endless, to: folder("t.npy"))
    let error = #expect(throws: DVAEError.self) { try TokenReader(contentsOf: folder("t.npy")) }
    #expect(error?.kind == .badData)
    try NpyArray.write([UInt16](), shape: [0, 0, 0], to: folder("t.npy"))
    #expect(try read("t.npy").isEmpty)
  }

  /// Other programs write JSON with blanks.
  @Test func unknownProvenanceIsNoImage() throws {
    for head in ["{\"provenance\":null}", "{ \"provenance\" : null }\r"] {
      let line = #"{"key": "a", "shape": [1, 1], "tokens": [3]}"#
      try write(Array((head + "\n" + line + "\n").utf8), to: folder("t.jsonl"))
      #expect(try read("t.jsonl").map(\.key) == ["a"])
    }
  }

  @Test func lastLineNeedsNoNewline() throws {
    let lines = #"{"key":"a","shape":[1,1],"tokens":[3]}"# + "\n"
    let last = #"{"key":"b","shape":[1,1],"tokens":[4]}"#
    try write(Array((lines + last).utf8), to: folder("t.jsonl"))
    #expect(try read("t.jsonl").map(\.key) == ["a", "b"])
    try write(Array((lines + last.dropLast(3)).utf8), to: folder("t.jsonl"))
    let error = #expect(throws: DVAEError.self) { try read("t.jsonl") }
    #expect(error?.description.contains("line 2") == true)
  }

  @Test func linesOfSeveralFilesPutTogetherAreRead() throws {
    let text = """
      {"provenance":{}}
      {"key":"a","shape":[1,2],"tokens":[3,4]}

      {"key":"b","error":"gone"}
      {"shape":[2,1],"tokens":[5,6]}

      """
    try write(Array(text.utf8), to: folder("t.jsonl"))
    let error = #expect(throws: DVAEError.self) { try read("t.jsonl") }
    #expect(error?.description.contains("line 1") == true)
    try write(Array(text.utf8.dropFirst(18)), to: folder("t.jsonl"))
    #expect(try read("t.jsonl").map(\.key) == ["a", "4"])
  }

  @Test(arguments: [
    #"{"key":"a","shape":[1,3],"tokens":[3,4]}"#,
    #"{"key":"a","shape":[2],"tokens":[3,4]}"#,
    #"{"key":"a","shape":[-1,-2],"tokens":[3,4]}"#,
    #"{"key":"a","shape":[4611686018427387904,4],"tokens":[]}"#,
    #"{"key":"a","shape":[1,2],"tokens":[3,70000]}"#,
    #"{"key":"a","shape":[1,2]}"#,
    "not JSON",
  ])
  func damagedLinesAreErrors(_ line: String) throws {
    try write(Array((line + "\n").utf8), to: folder("t.jsonl"))
    let error = #expect(throws: DVAEError.self) { try read("t.jsonl") }
    #expect(error?.kind == .badData)
    #expect(error?.description.contains("line 1") == true)
  }

  /// Each folder that is entered twice would double the number of paths.
  @Test(.timeLimit(.minutes(5))) func foldersThatContainThemselvesAreReadOnce() throws {
    let path = folder("tokens")
    try write(NpyArray.encoded([UInt16(1)], shape: [1, 1]), to: path + "/a.tokens.npy")
    for name in ["b", "c"] {
      try FileManager.default.createSymbolicLink(
        atPath: path + "/" + name, withDestinationPath: path)
    }
    #expect(try read("tokens").map(\.key) == ["a"])
  }

  /// The Arabic number sign and the dot behind it are one character.
  @Test func keysEndAtBytes() throws {
    let key = "x\u{600}"
    try write(
      NpyArray.encoded([UInt16(1)], shape: [1, 1]), to: folder("tokens/" + key + ".tokens.npy"))
    #expect(try read("tokens").map { Key($0.key) } == [Key(key)])
  }

  @Test func sidesBelowZeroAreNoGrid() throws {
    for shape in ["[0,-1]", "[-1,0]", "[0]"] {
      let json = Data(#"{"shape":\#(shape),"tokens":[]}"#.utf8)
      #expect(throws: DecodingError.self) { try JSONDecoder().decode(TokenGrid.self, from: json) }
    }
  }

  @Test func valuesBeyondSixteenBitsAreErrors() throws {
    try NpyArray.write([Int64]([1, 65536]), shape: [1, 2], to: folder("t.npy"))
    let error = #expect(throws: DVAEError.self) { try read("t.npy") }
    #expect(error?.description.contains("65536") == true)
    try NpyArray.write([Int64]([1, -1]), shape: [1, 2], to: folder("t.npy"))
    #expect(throws: DVAEError.self) { try read("t.npy") }
  }

  @Test func sidecarThatDoesNotBelongIsAnError() throws {
    try NpyArray.write([UInt16](0..<4), shape: [2, 1, 2], to: folder("t.npy"))
    try write(Array(#"{"keys":["a"]}"#.utf8), to: folder("t.npy.json"))
    let error = #expect(throws: DVAEError.self) { try read("t.npy") }
    #expect(error?.description.contains("1 keys for 2") == true)
  }

  @Test(arguments: [
    ("\"resolution\":256", "\"resolution\":-8"), ("\"resolution\":256", "\"resolution\":0"),
    ("\"resolution\":256", "\"resolution\":7"),
    ("\"resolution\":256", "\"resolution\":9223372036854775807"),
    ("{\"arch", "{\"shards\":[],\"arch"), ("{\"arch", "{\"shards\":[\"0/4\",\"5/9\"],\"arch"),
    ("{\"arch", "{\"shards\":[\"0/4\",\"0/4\"],\"arch"),
    ("{\"arch", "{\"shards\":[\"4/4\"],\"arch"),
    ("{\"arch", "{\"shard\":\"1/4\",\"shards\":[\"0/4\"],\"arch"),
  ])
  func impossibleProvenanceIsRefused(_ old: String, _ new: String) throws {
    let json = String(decoding: try jsonText(testProvenance(.center)), as: UTF8.self)
    try write(Array("{\"provenance\":\(json)}\n".utf8), to: folder("t.jsonl"))
    _ = try TokenReader(contentsOf: folder("t.jsonl"))
    let changed = json.replacing(old, with: new)
    try #require(changed != json)
    try write(Array("{\"provenance\":\(changed)}\n".utf8), to: folder("t.jsonl"))
    let error = #expect(throws: DVAEError.self) { try TokenReader(contentsOf: folder("t.jsonl")) }
    #expect(error?.description.contains("provenance cannot be read") == true)
  }

  /// Provenance of a later version is not taken for none.
  @Test(arguments: ["t.jsonl", "t.npy", "t.tar", "t", "t.safetensors"])
  func provenanceThatCannotBeReadIsAnError(_ name: String) throws {
    let json = String(decoding: try jsonText(testProvenance(.center)), as: UTF8.self)
      .replacing("\"center\"", with: "\"oval\"")
    switch name {
    case "t.jsonl": try write(Array("{\"provenance\":\(json)}\n".utf8), to: folder(name))
    case "t.npy":
      try NpyArray.write([UInt16](0..<4), shape: [1, 2, 2], to: folder(name))
      try write(Array("{\"keys\":[\"a\"],\"provenance\":\(json)}".utf8), to: folder("t.npy.json"))
    case "t.tar":
      var bytes: [UInt8] = []
      bytes += try TarFormat.file(name: ".provenance.json", Array(json.utf8))
      bytes += TarFormat.end
      try write(bytes, to: folder(name))
    case "t": try write(Array(json.utf8), to: folder("t/.provenance.json"))
    default:
      let header = try jsonText(["__metadata__": ["provenance": json]])
      try write(
        withUnsafeBytes(of: UInt64(header.count).littleEndian, Array.init) + header,
        to: folder(name))
    }
    let error = #expect(throws: DVAEError.self) { try TokenReader(contentsOf: folder(name)) }
    #expect(error?.kind == .badData)
    #expect(error?.description.contains("preprocessing.crop") == true, "\(error as Any)")
    #expect(error?.description.contains("oval") == true && error?.file != nil)
  }

  /// Folders that link to each other have infinitely many paths.
  @Test(.timeLimit(.minutes(5))) func eachFolderOfTokensIsReadOnce() throws {
    let tokens = NpyArray.encoded([UInt16](0..<4), shape: [2, 2])
    for name in ["a", "d/b", "@eaDir/c"] { try write(tokens, to: folder("t/\(name).tokens.npy")) }
    for link in ["t/l", "t/m", "t/d/l", "t/d/m"] {
      try FileManager.default.createSymbolicLink(
        atPath: folder(link), withDestinationPath: folder("t"))
    }
    #expect(try read("t").map(\.key) == ["a", "d/b"])
  }

  @Test func shapesThatAreNoTokensAreErrors() throws {
    try NpyArray.write([UInt16](0..<4), shape: [4], to: folder("t.npy"))
    #expect(throws: DVAEError.self) { try read("t.npy") }
    try NpyArray.write([Float](repeating: 1, count: 4), shape: [2, 2], to: folder("t.npy"))
    let floats = #expect(throws: DVAEError.self) { try read("t.npy") }
    #expect(floats?.description.contains("t.npy: the array is float32") == true)
  }

  @Test func unknownFormsAndMissingFilesAreSaid() throws {
    let missing = #expect(throws: DVAEError.self) { try TokenReader(contentsOf: folder("no.npy")) }
    #expect(missing?.kind == .missing)
    try write([], to: folder("t.csv"))
    let unknown = #expect(throws: DVAEError.self) { try TokenReader(contentsOf: folder("t.csv")) }
    #expect(unknown?.kind == .usage)
    try write([], to: folder("t.safetensors"))
    #expect(throws: DVAEError.self) { try TokenReader(contentsOf: folder("t.safetensors")) }
  }
}
