import DVAETestSupport
import DVAEFiles
import DVAETokens
import DVAEModel
import Foundation
import DVAEImages
import Testing
import DVAEWeights

/// Tokens of made-up jobs through every file form.
@Suite struct TokenFileTests {
  let folder = TemporaryFolder()

  /// Seven items including a failure, with grids of two sizes unless the form requires one.
  static func records(oneSize: Bool) -> [TokenRecord] {
    (0..<7).map { i in
      if i == 3 { return TokenRecord(key: "sub/bad", .failure("it is \"bad\"\tindeed")) }
      let (height, width) = oneSize || i % 2 == 0 ? (2, 3) : (4, 1)
      let tokens = (0..<height * width).map { UInt16(truncatingIfNeeded: 8191 &- i &* 257 &* $0) }
      return TokenRecord(
        key: i == 5 ? "ümlaut \"quoted\"" : "sub/\(i)",
        .tokens(TokenGrid(height: height, width: width, tokens: tokens)),
        sidecars: ["txt": Array("a caption, \(i)".utf8), "json": Array("{\"n\":\(i)}".utf8)])
    }
  }

  static func write(
    _ path: String, _ format: TokenFormat, start: JobStart = .fresh, upTo end: Int = 7,
    finish: Bool = true, replacing: Bool = false
  ) throws {
    let writer = try TokenWriter(
      path, format: format, provenance: testProvenance(), start: start, replacing: replacing)
    for record in records(oneSize: Self.oneSize(format))[writer.resumed..<end] {
      try writer.append(record)
      try writer.commit()
    }
    if finish { try writer.finish() }
  }

  static func oneSize(_ format: TokenFormat) -> Bool {
    [.npy, .flat, .packed].contains(format)
  }

  static func name(_ format: TokenFormat) -> String {
    format == .folder ? "tokens" : "tokens." + format.rawValue
  }

  @Test(arguments: TokenFormat.allCases) func everyFormKeepsKeysGridsAndProvenance(
    _ format: TokenFormat
  ) throws {
    let path = folder(Self.name(format))
    try Self.write(path, format)
    let reader = try TokenReader(contentsOf: path)
    #expect(reader.format == format)
    #expect(reader.provenance == testProvenance())
    var found: [String: TokenGrid] = [:]
    var order: [String] = []
    for item in reader {
      let item = try item.get()
      #expect(found.updateValue(item.grid, forKey: item.key) == nil)
      order.append(item.key)
    }
    let good = Self.records(oneSize: Self.oneSize(format)).filter { $0.grid != nil }
    #expect(
      found
        == Dictionary(uniqueKeysWithValues: good.map { ($0.key, $0.grid) }).compactMapValues(\.self)
    )
    if format != .folder { #expect(order == good.map(\.key)) }
    let left = try FileManager.default.contentsOfDirectory(atPath: folder.path)
    let name = Self.name(format)
    let sidecar = [.npy, .flat, .packed, .megatron].contains(format) ? [name + ".json"] : []
    #expect(Set(left) == Set([name] + sidecar + (format == .megatron ? ["tokens.bin"] : [])))
    #expect(try reader.checkSum() == (format != .folder))
  }

  @Test func npyIsWhatNumPyReads() throws {
    let path = folder("tokens.npy")
    try Self.write(path, .npy)
    let array = try NpyArray.open(path)
    #expect(array.elementType == .uint16)
    #expect(array.shape == [6, 2, 3])
    let sidecar = try #require(
      try JSONSerialization.jsonObject(with: Data(bytes(path + ".json"))) as? [String: Any])
    #expect(sidecar["count"] as? Int == 6)
    #expect((sidecar["keys"] as? [String])?.first == "sub/0")
    #expect(
      sidecar["failures"] as? [[String: String]]
        == [["key": "sub/bad", "error": "it is \"bad\"\tindeed"]])
  }

  @Test func safetensorsIsWellFormed() throws {
    let path = folder("tokens.safetensors")
    try Self.write(path, .safetensors)
    let file = try WeightsFile.open(path)
    #expect(file.tensors.count == 6)
    #expect(file.tensors.allSatisfy { $0.elementType == .uint16 })
    #expect(file.metadata["failures"]?.contains("sub/bad") == true)
    #expect(file.metadata["provenance"]?.contains("abab") == true)
  }

  @Test func tarCarriesSidecarsAndIsAWebDataset() throws {
    let path = folder("tokens.tar")
    try Self.write(path, .tar)
    var reader = try WebDatasetReader(path: path)
    let sample = try #require(try reader.next())
    #expect(sample.key == "sub/0")
    #expect(sample.fields.map(\.extension) == ["tokens.npy", "json", "txt"])
    #expect(sample["txt"] == Array("a caption, 0".utf8))
    var count = 1
    while try reader.next() != nil { count += 1 }
    #expect(count == 6)
    #expect(try isTerminated(tar: path))
  }

  @Test func linesHoldOneItemEach() throws {
    let path = folder("tokens.jsonl")
    try Self.write(path, .jsonLines)
    let lines = try String(decoding: bytes(path), as: UTF8.self).split(separator: "\n")
    #expect(lines.count == 9)
    #expect(lines[1].contains(#""text":"a caption, 0""#))
    #expect(lines[1].hasSuffix(#","json":{"n":0}}"#))
    #expect(lines[4].contains(#""error":"#))
  }

  /// A kill may happen after any commit, with complete and partial lines after it.
  @Test(arguments: TokenFormat.allCases) func resumedOutputIsTheSameBytes(
    _ format: TokenFormat
  ) throws {
    let whole = folder("whole/" + Self.name(format))
    try Self.write(whole, format)
    for end in 0...7 {
      let path = folder("\(end)/" + Self.name(format))
      try Self.write(path, format, upTo: end, finish: false)
      let partial = path + ".partial"
      if format != .folder { try append("torn bytes", to: partial) }
      try append("{\"key\":\"sub/9\",\"grid\":[2,3]}\n{\"done\":", to: partial + ".journal")
      try Self.write(path, format, start: .resuming)
      #expect(try contents(path) == contents(whole), "resumed after \(end)")
    }
  }

  /// A kill may happen within the last steps: before the renaming, and after it.
  @Test(arguments: TokenFormat.allCases) func killWhileFinishingIsHarmless(
    _ format: TokenFormat
  ) throws {
    let path = folder(Self.name(format))
    try Self.write(path, format, finish: false)
    let journal = path + ".partial.journal"
    let kept = try bytes(journal)
    try Self.write(path, format, start: .resuming)
    let finished = try contents(path)
    try DVAETestSupport.write(kept, to: journal)
    #expect(try TokenWriter.isComplete(path, testProvenance()))
    #expect(!FileManager.default.fileExists(atPath: journal))
    #expect(try contents(path) == finished)
  }

  @Test func resumingAnotherJobIsRefused() throws {
    let path = folder("tokens.jsonl")
    try Self.write(path, .jsonLines, upTo: 3, finish: false)
    for other in [
      testProvenance(.center), testProvenance(count: 8),
      Provenance(
        weights: .init(file: "encoder.pkl", sha256: "ef"), architecture: .released,
        preprocessing: Preprocessing(crop: .none), inputs: .init(count: 7, sha256: "cd"),
        engine: "none"),
    ] {
      let error = #expect(throws: DVAEError.self) {
        try TokenWriter(path, format: .jsonLines, provenance: other, start: .resuming)
      }
      #expect(error?.kind == .usage)
    }
    try Self.write(path, .jsonLines, start: .resuming)
    #expect(throws: DVAEError.self) { try TokenWriter.isComplete(path, testProvenance(count: 8)) }
  }

  @Test func unfinishedOutputIsNotOverwrittenUnasked() throws {
    let path = folder("tokens.npy")
    try Self.write(path, .npy, upTo: 3, finish: false)
    let error = #expect(throws: DVAEError.self) { try Self.write(path, .npy) }
    #expect(error?.kind == .cannotCreate)
    #expect(error?.code == .unfinished)
    try Self.write(path, .npy, start: .restarting)
    #expect(try NpyArray.open(path).shape[0] == 6)
  }

  @Test func twoWritersOfOneOutputAreKeptApart() throws {
    let path = folder("tokens.npy")
    let first = try TokenWriter(path, format: .npy, provenance: testProvenance())
    let error = #expect(throws: DVAEError.self) {
      try TokenWriter(path, format: .npy, provenance: testProvenance(), start: .resuming)
    }
    #expect(error?.description.contains("another run") == true)
    try first.discard()
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
  }

  @Test func npyRefusesASecondSize() throws {
    let path = folder("tokens.npy")
    let writer = try TokenWriter(path, format: .npy, provenance: testProvenance())
    let records = Self.records(oneSize: false)
    try writer.append(records[0])
    let error = #expect(throws: DVAEError.self) { try writer.append(records[1]) }
    #expect(error?.kind == .badData)
    #expect(error?.description.contains("sub/1") == true)
    try writer.append(TokenRecord(key: "sub/1", .failure("another size")))
    try writer.append(records[2])
    try writer.finish()
    #expect(try NpyArray.open(path).shape == [2, 2, 3])
    #expect(try TokenReader(contentsOf: path).failures().map(\.error) == ["another size"])
  }

  @Test func folderWithoutAFileOfItsJournalIsRefused() throws {
    let path = folder("tokens")
    try Self.write(path, .folder, upTo: 3, finish: false)
    try FileManager.default.removeItem(atPath: path + ".partial/sub/0.tokens.npy")
    let error = #expect(throws: DVAEError.self) { try Self.write(path, .folder, start: .resuming) }
    #expect(error?.code == .startOver && error?.file?.hasSuffix("sub/0.tokens.npy") == true)
  }

  /// A commit with a number that no job writes is void, and so is everything after it.
  @Test(arguments: TokenFormat.allCases) func impossibleCommitsAreVoid(_ format: TokenFormat) throws
  {
    let whole = folder("whole-" + Self.name(format))
    try Self.write(whole, format)
    for number in ["-1", "9223372036854775807", "4611686018427387904", "1e400", "NaN"] {
      let path = folder(number + Self.name(format))
      try Self.write(path, format, upTo: 3, finish: false)
      let journal = try String(decoding: bytes(path + ".partial.journal"), as: UTF8.self)
      let place = try #require(journal.ranges(of: "\"bytes\":").last)
      let changed = journal[..<place.upperBound] + number + ",\"done\":3}\n"
      try DVAETestSupport.write(Array(changed.utf8), to: path + ".partial.journal")
      try Self.write(path, format, start: .resuming)
      #expect(try contents(path) == contents(whole), "\(number)")
    }
  }

  /// A kill between the two files of the form, here by a partial file that cannot be renamed.
  @Test func newSidecarNeverStandsBesideAnOldArray() throws {
    let path = folder("tokens.npy")
    try NpyArray.write([UInt16](repeating: 1, count: 36), shape: [6, 2, 3], to: path)
    let writer = try TokenWriter(
      path, format: .npy, provenance: testProvenance(), replacing: true)
    for record in Self.records(oneSize: true) { try writer.append(record) }
    try FileManager.default.removeItem(atPath: path + ".partial")
    #expect(throws: DVAEError.self) { try writer.finish() }
    #expect(FileManager.default.fileExists(atPath: path + ".json"))
    #expect(!FileManager.default.fileExists(atPath: path))
  }

  @Test func occupiedPlacesAreRefusedAtOnce() throws {
    try DVAETestSupport.write([1], to: folder("file"))
    try FileManager.default.createDirectory(
      atPath: folder("full"), withIntermediateDirectories: true)
    try DVAETestSupport.write([1], to: folder("full/x"))
    for (name, format) in [("file", TokenFormat.folder), ("full", .folder), ("full", .npy)] {
      let error = #expect(throws: DVAEError.self) {
        try TokenWriter(folder(name), format: format, provenance: testProvenance())
      }
      #expect(error?.kind == .cannotCreate)
    }
  }

  @Test func foreignSidecarsAreNotReplaced() throws {
    let path = folder("tokens.npy")
    for foreign in ["{\"mine\": 1}", "not JSON"] {
      try DVAETestSupport.write(Array(foreign.utf8), to: path + ".json")
      let error = #expect(throws: DVAEError.self) { try Self.write(path, .npy) }
      #expect(error?.kind == .cannotCreate)
      #expect(error?.description.contains("tokens.npy.json") == true)
      #expect(try bytes(path + ".json") == Array(foreign.utf8))
    }
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["tokens.npy.json"])
    try FileManager.default.removeItem(atPath: path + ".json")
    // The files of an older output are.
    try Self.write(path, .npy)
    try Self.write(path, .npy, replacing: true)
    #expect(try TokenReader(contentsOf: path).checkSum())
  }

  private func append(_ text: String, to path: String) throws {
    let handle = try #require(FileHandle(forWritingAtPath: path))
    try handle.seekToEnd()
    try handle.write(contentsOf: Data(text.utf8))
    try handle.close()
  }

  /// Returns the bytes of a file and its sidecar, or of everything in a folder.
  private func contents(_ path: String) throws -> [String: [UInt8]] {
    var isFolder: ObjCBool = false
    #expect(FileManager.default.fileExists(atPath: path, isDirectory: &isFolder))
    guard isFolder.boolValue else {
      let data = path.hasSuffix(".idx") ? path.dropLast(3) + "bin" : path
      return try [path + ".json", data, path].reduce(into: [:]) { all, file in
        guard FileManager.default.fileExists(atPath: file) else { return }
        all[String(file.dropFirst(path.count - 3))] = try bytes(file)
      }
    }
    var all: [String: [UInt8]] = [:]
    for name in FileManager.default.enumerator(atPath: path) ?? .init() {
      guard let name = name as? String else { continue }
      let data = FileManager.default.contents(atPath: path + "/" + name)
      if let data, !data.isEmpty { all[name] = [UInt8](data) }
    }
    return all
  }

  @Test(arguments: [TokenFormat.tar, .folder]) func namesThatLeadOutOfTheOutputAreRefused(
    _ format: TokenFormat
  ) throws {
    let writer = try TokenWriter(
      folder("in/" + Self.name(format)), format: format, provenance: testProvenance(count: 1))
    let grid = TokenGrid(height: 1, width: 1, tokens: [3])
    let outside = [
      TokenRecord(key: "../a", .tokens(grid)), TokenRecord(key: "/a", .tokens(grid)),
      TokenRecord(key: "b/../../a", .tokens(grid)), TokenRecord(key: "a\0b", .tokens(grid)),
      TokenRecord(key: "a", .tokens(grid), sidecars: ["x/../../../b": [1]]),
    ]
    for record in outside {
      let error = #expect(throws: DVAEError.self, "\(record.key)") { try writer.append(record) }
      #expect(error?.code == .impossibleName)
    }
    try writer.append(TokenRecord(key: "sub/a", .tokens(grid)))
    try writer.finish()
    #expect(try TokenReader(contentsOf: writer.path).map { try $0.get().grid } == [grid])
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["in"])
  }

  @Test(arguments: [TokenFormat.safetensors, .tar]) func softTokensOfAnotherKindAreRefused(
    _ format: TokenFormat
  ) throws {
    var provenance = testProvenance(count: 2)
    provenance.soft = SoftTokens.Settings(topK: 2, margin: true)
    let writer = try TokenWriter(
      folder(Self.name(format)), format: format, provenance: provenance)
    func record(_ key: String, topK: Int, margins: Int?) -> TokenRecord {
      TokenRecord(
        key: key, .tokens(TokenGrid(height: 1, width: 1, tokens: [0])),
        soft: SoftTokens(
          top: .init(
            count: topK, ids: (0..<UInt16(topK)).map(\.self),
            logProbabilities: .init(repeating: -1, count: topK)),
          margins: margins.map { .init(repeating: 1, count: $0) }))
    }
    var bare = record("bare", topK: 2, margins: 1)
    bare.soft = nil
    for wrong in [bare, record("k", topK: 3, margins: 1), record("m", topK: 2, margins: nil)] {
      let error = #expect(throws: DVAEError.self) { try writer.append(wrong) }
      #expect(error?.kind == .badData)
    }
    for key in ["a", "b"] { try writer.append(record(key, topK: 2, margins: 1)) }
    try writer.finish()
    let items = try TokenReader(contentsOf: writer.path).map { try $0.get() }
    #expect(items.map(\.key) == ["a", "b"] && items.allSatisfy { $0.soft?.top?.ids == [0, 1] })
  }
}
