import DVAETestSupport
import DVAEFiles
import DVAETokens
import DVAEModel
import Foundation
import Testing

/// The array forms with a sidecar: their exact bytes, and damage to them.
@Suite struct ArrayFormTests {
  let folder = TemporaryFolder()

  private func write(
    _ name: String, _ grids: [TokenGrid], vocabulary: Int = 8192, json: String? = nil
  ) throws {
    var provenance = testProvenance(count: grids.count)
    provenance.architecture = try Architecture(vocabulary: vocabulary)
    let path = folder(name)
    let writer = try TokenWriter(
      path, format: TokenFormat(path: path), provenance: provenance, replacing: true)
    for (i, grid) in grids.enumerated() {
      var sidecars = ["txt": Array("caption \(i)".utf8)]
      if i > 0, let json { sidecars["json"] = Array(json.utf8) }
      try writer.append(TokenRecord(key: "k\(i)", .tokens(grid), sidecars: sidecars))
    }
    try writer.finish()
  }

  private func read(_ name: String) throws -> [TokenGrid] {
    let reader = try TokenReader(contentsOf: folder(name))
    var grids: [TokenGrid] = []
    for item in reader {
      let item = try item.get()
      grids.append(item.grid)
    }
    return grids
  }

  /// As many rows as tokens in a row: images, or one large one.
  @Test func aSquareOfSquaresIsAskedFor() throws {
    for side in [196, 256] {
      try NpyArray.write(
        [UInt16](repeating: 1, count: side * side), shape: [side, side], to: folder("s.npy"))
      let error = #expect(throws: DVAEError.self) { try TokenReader(contentsOf: folder("s.npy")) }
      #expect(error?.code == .unknownGrid)
      for grid in [
        TokenExtent.Grid(rows: side, columns: side), .init(rows: 14, columns: side / 14),
      ] {
        guard grid.rows * grid.columns == side || grid.rows == side else { continue }
        let reader = try TokenReader(contentsOf: folder("s.npy"), grid: grid)
        #expect(reader.extent?.count == (grid.rows == side ? 1 : side))
      }
    }
    try NpyArray.write(
      [UInt16](repeating: 1, count: 32 * 32), shape: [32, 32], to: folder("s.npy"))
    #expect(try TokenReader(contentsOf: folder("s.npy")).extent?.count == 1)
  }

  /// Without its list of keys an array's images would be numbered.
  @Test func aSidecarThatCannotBeReadIsNotNone() throws {
    for name in ["a.npy", "a.bin", "a.packed"] {
      try write(name, [TokenGrid(height: 1, width: 2, tokens: [1, 2])])
      try FileManager.default.removeItem(atPath: folder(name) + ".json")
      try FileSystem.makeFolders(folder(name) + ".json")
      let folderError = #expect(throws: DVAEError.self) { try read(name) }
      #expect(folderError?.problem == "expected a file, found a folder")
      try FileManager.default.removeItem(atPath: folder(name) + ".json")
      try FileManager.default.createSymbolicLink(
        atPath: folder(name) + ".json", withDestinationPath: folder("nothing"))
      let linkError = #expect(throws: DVAEError.self) { try read(name) }
      #expect(linkError?.file == folder(name) + ".json")
    }
  }

  /// A folder is a form of its own only where its name is not that of another.
  @Test func aFolderDoesNotChangeTheForm() throws {
    for name in ["t.npy", "t.v2"] { try FileSystem.makeFolders(folder(name)) }
    #expect(try TokenFormat(path: folder("t.npy")) == .npy)
    #expect(try TokenFormat(path: folder("t.npy/")) == .folder)
    #expect(try TokenFormat(path: folder("t.v2")) == .folder)
    let error = #expect(throws: DVAEError.self) {
      try write("t.npy", [TokenGrid(height: 1, width: 2, tokens: [1, 2])])
    }
    #expect(error?.problem.contains("a folder has this name") == true)
    try write("t.npy/", [TokenGrid(height: 1, width: 2, tokens: [1, 2])])
    #expect(try read("t.npy").map(\.tokens) == [[1, 2]])
  }

  private func sidecar(_ name: String) throws -> [String: Any] {
    let object = try JSONSerialization.jsonObject(with: Data(bytes(folder(name) + ".json")))
    return try #require(object as? [String: Any])
  }

  private static let two = [
    TokenGrid(height: 1, width: 3, tokens: [1, 8191, 0x0A0B]),
    TokenGrid(height: 1, width: 3, tokens: [2, 3, 4]),
  ]

  @Test func flatIsNothingButLittleEndianNumbers() throws {
    try write("t.bin", Self.two)
    #expect(try bytes(folder("t.bin")) == [1, 0, 0xFF, 0x1F, 0x0B, 0x0A, 2, 0, 3, 0, 4, 0])
    let header = try sidecar("t.bin")
    #expect(header["shape"] as? [Int] == [2, 1, 3])
    #expect(header["dtype"] as? String == "uint16")
    #expect(header["keys"] as? [String] == ["k0", "k1"])
    #expect(header["text"] as? [String] == ["caption 0", "caption 1"])
    #expect(try read("t.bin") == Self.two)
  }

  @Test func packedTakesThirteenBitsAToken() throws {
    try write("t.packed", Self.two)
    // 39 bits in five bytes per image: 1, then thirteen ones, then 0x0A0B.
    let first = UInt64(1) | 8191 << 13 | 0x0A0B << 26
    let second = UInt64(2) | 3 << 13 | 4 << 26
    let expected = [first, second].flatMap { bits in
      (0..<5).map { UInt8(truncatingIfNeeded: bits >> (8 * $0)) }
    }
    #expect(try bytes(folder("t.packed")) == expected)
    let header = try sidecar("t.packed")
    #expect(header["bits"] as? Int == 13)
    #expect(header["dtype"] as? String == "uint8")
    #expect(try read("t.packed") == Self.two)
  }

  @Test(arguments: [(2, 1), (128, 7), (129, 8), (4096, 12), (65536, 16)])
  func otherVocabulariesArePackedToo(_ vocabulary: Int, _ bits: Int) throws {
    let tokens = (0..<35).map { UInt16(truncatingIfNeeded: $0 * 7919 % vocabulary) }
    let grids = [TokenGrid(height: 5, width: 7, tokens: tokens)]
    try write("t.packed", grids, vocabulary: vocabulary)
    #expect(try bytes(folder("t.packed")).count == (35 * bits + 7) / 8)
    #expect(try read("t.packed") == grids)
  }

  @Test func tokensBeyondTheBitsAreRefused() throws {
    let error = #expect(throws: DVAEError.self) {
      try write("t.packed", Self.two, vocabulary: 4096)
    }
    #expect(error?.kind == .badData)
  }

  /// Byte for byte the output of Megatron's own writer for these two documents.
  @Test func megatronIndexIsExact() throws {
    let grids = [Self.two[0], TokenGrid(height: 2, width: 1, tokens: [5, 6])]
    try write("t.idx", grids)
    #expect(try bytes(folder("t.bin")) == [1, 0, 0xFF, 0x1F, 0x0B, 0x0A, 5, 0, 6, 0])
    let zeros = [UInt8](repeating: 0, count: 7)
    var expected: [UInt8] = Array("MMIDIDX".utf8) + [0, 0, 1] + zeros + [8]
    expected += [2] + zeros + [3] + zeros
    expected += [3, 0, 0, 0, 2, 0, 0, 0]
    expected += [0] + zeros + [6] + zeros
    expected += [0] + zeros + [1] + zeros + [2] + zeros
    #expect(try bytes(folder("t.idx")) == expected)
    #expect(try sidecar("t.idx")["grids"] as? [[Int]] == [[1, 3], [2, 1]])
    #expect(try read("t.idx") == grids)
    // Also by its data file, and without the sidecar if lengths determine the grids.
    #expect(try read("t.bin") == grids)
    try FileManager.default.removeItem(atPath: folder("t.idx.json"))
    #expect(try read("t.idx") == [grids[0], TokenGrid(height: 1, width: 2, tokens: [5, 6])])
  }

  /// Two sequences are two documents or one; bounds that fall or end elsewhere are damage.
  @Test(arguments: [
    ([0, 1, 2], true), ([0, 2], true), ([0, 0, 2], true), ([], true), ([0, 5, -2], false),
    ([0, 1], false), ([1, 2], false), ([0, 2, 1], false), ([0, -1, 2], false),
  ])
  func megatronsBoundsRise(_ bounds: [Int], _ isSound: Bool) throws {
    try write("t.idx", Self.two)
    var index = Array(try bytes(folder("t.idx")).dropLast(24))
    index.replaceSubrange(26..<34, with: bounds.count.littleEndianBytes)
    try FileManager.default.removeItem(atPath: folder("t.idx.json"))
    try DVAETestSupport.write(
      index + bounds.flatMap(\.littleEndianBytes), to: folder("t.idx"))
    if isSound {
      #expect(try read("t.idx").count == 2)
    } else {
      let error = #expect(throws: DVAEError.self) { try read("t.idx") }
      #expect(error?.problem.contains("bounds that rise from 0 to its 2") == true)
    }
  }

  /// A kill may happen when the index is in place and the tokens are not.
  @Test func megatronIsResumedBetweenItsTwoFiles() throws {
    try write("whole.idx", Self.two)
    let (path, provenance) = (folder("t.idx"), testProvenance(count: 2))
    do {
      let writer = try TokenWriter(path, format: .megatron, provenance: provenance)
      for (i, grid) in Self.two.enumerated() {
        let sidecars = ["txt": Array("caption \(i)".utf8)]
        try writer.append(TokenRecord(key: "k\(i)", .tokens(grid), sidecars: sidecars))
      }
      try writer.commit()
    }
    for ending in ["idx", "idx.json"] {
      try DVAETestSupport.write(bytes(folder("whole." + ending)), to: folder("t." + ending))
    }
    #expect(try !TokenWriter.isComplete(path, provenance))
    let resumed = try TokenWriter(
      path, format: .megatron, provenance: provenance, start: .resuming)
    #expect(resumed.resumed == 2)
    try resumed.finish()
    for ending in ["idx", "idx.json", "bin"] {
      #expect(try bytes(folder("t." + ending)) == bytes(folder("whole." + ending)))
    }
    #expect(try TokenWriter.isComplete(path, provenance))
  }

  /// The partial file keeps its name until the end, so every earlier step can be repeated.
  @Test func tokensGetTheirNameLast() throws {
    let path = folder("t.idx")
    let writer = try TokenWriter(
      path, format: .megatron, provenance: testProvenance(count: 1))
    try writer.append(TokenRecord(key: "k", .tokens(Self.two[0])))
    try FileManager.default.removeItem(atPath: path + ".partial")
    #expect(throws: DVAEError.self) { try writer.finish() }
    #expect(FileManager.default.fileExists(atPath: path))
    #expect(!FileManager.default.fileExists(atPath: folder("t.bin")))
  }

  @Test func descriptionsAreKeptAsTheyAre() throws {
    try write("t.npy", Self.two, json: "{\"id\": 12345678901234567890,\n \"a\": [1.50, null]}")
    let text = try String(decoding: bytes(folder("t.npy.json")), as: UTF8.self)
    let kept = "null,\n{\"id\": 12345678901234567890,  \"a\": [1.50, null]}]"
    #expect(text.contains("\"json\":[\n" + kept))
    for broken in [
      "{\"a\": 01}", "{", "1 2", "\"\\x\"", "+1", "1.", "[1,]", "\"\u{1}\"", "\"a\nb\"", "",
    ] {
      try FileManager.default.removeItem(atPath: folder("t.npy"))
      try write("t.npy", Self.two, json: broken)
      #expect((try sidecar("t.npy")["json"] as? [Any])?.last as? String == broken)
    }
  }

  @Test func twoFormsDoNotShareAFile() throws {
    try write("a.idx", Self.two)
    #expect(throws: DVAEError.self) { try write("a.bin", Self.two) }
    try write("b.bin", Self.two)
    #expect(throws: DVAEError.self) { try write("b.idx", Self.two) }
    try write("a.idx", Self.two)
    #expect(try read("a.idx") == Self.two)
  }

  @Test(arguments: ["t.bin", "t.packed", "t.idx", "t.npy", "t.tar", "t.jsonl", "t.safetensors"])
  func changedBytesAreFound(_ name: String) throws {
    try write(name, Self.two)
    #expect(try TokenReader(contentsOf: folder(name)).checkSum())
    let data = folder(name == "t.idx" ? "t.bin" : name)
    var content = try bytes(data)
    // The caption if it is in the file, else the last token.
    let text = Array("caption 1".utf8)
    let caption = content.indices.last { content[$0...].starts(with: text) }
    content[caption ?? content.count - 2] ^= 1
    try DVAETestSupport.write(content, to: data)
    let error = #expect(throws: DVAEError.self) {
      try TokenReader(contentsOf: folder(name)).checkSum()
    }
    #expect(error?.kind == .badData)
  }

  @Test(arguments: ["t.bin", "t.packed"]) func damagedRowsAreErrors(_ name: String) throws {
    try write(name, Self.two)
    let (data, header) = try (bytes(folder(name)), bytes(folder(name) + ".json"))
    try DVAETestSupport.write(Array(data.dropLast()), to: folder(name))
    #expect(throws: DVAEError.self) { try read(name) }
    try DVAETestSupport.write(data, to: folder(name))
    for shape in ["[2,1]", "[-2,-1,3]", "[4611686018427387904,2,4]", "[9223372036854775807,1,0]"] {
      let text = String(decoding: header, as: UTF8.self)
        .replacingOccurrences(of: "[2,1,3]", with: shape)
      try DVAETestSupport.write(Array(text.utf8), to: folder(name) + ".json")
      #expect(throws: DVAEError.self, "\(shape)") { try read(name) }
    }
    try FileManager.default.removeItem(atPath: folder(name) + ".json")
    let error = #expect(throws: DVAEError.self) { try read(name) }
    #expect(error?.kind == .missing && error?.description.contains(".json") == true)
  }

  @Test func damagedIndexesAreErrors() throws {
    try write("t.idx", Self.two)
    let index = try bytes(folder("t.idx"))
    // The magic, the version, the type, the counts, a length, an offset.
    for (place, value) in [(0, 0), (9, 2), (17, 6), (18, 9), (33, 0xFF), (36, 1), (45, 0x80)] {
      var damaged = index
      damaged[place] = UInt8(value)
      try DVAETestSupport.write(damaged, to: folder("t.idx"))
      #expect(throws: DVAEError.self, "byte \(place)") { try read("t.idx") }
    }
    try DVAETestSupport.write(Array(index.dropLast(8)), to: folder("t.idx"))
    #expect(throws: DVAEError.self) { try read("t.idx") }
  }
}
