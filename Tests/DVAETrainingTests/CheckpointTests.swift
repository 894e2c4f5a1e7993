import DVAETestSupport
import DVAEFiles
import DVAEModel
import DVAETraining
import Foundation
import DVAETensors
import DVAEWeights
import Testing

@Suite struct CheckpointTests {
  let folder: TemporaryFolder
  let run: RunFolder

  init() throws {
    folder = TemporaryFolder()
    run = try RunFolder(folder.path + "/run")
  }

  /// Makes a state whose roles all hold different numbers.
  private func state(update: Int) throws -> TrainingState {
    var configuration = try TrainingConfiguration.testing()
    configuration.keep = 2
    var state = try TrainingState(configuration)
    var generator = SeededGenerator(seed: 5)
    for set in [state.firstMoment, state.secondMoment, state.average] {
      for parameter in set.parameters {
        for i in parameter.values.elements.indices {
          parameter.values.elements[i] = generator.normal()
        }
      }
    }
    state.update = update
    state.position = DataPosition(epoch: 3, index: 41, skipped: 2, fingerprint: "abc")
    return state
  }

  @Test func everythingComesBack() throws {
    let state = try state(update: 12)
    let read = try Checkpoint.load(try run.save(state))
    #expect(read.update == 12)
    #expect(read.position == state.position)
    #expect(read.configuration == state.configuration)
    #expect(read.bits == state.bits)
  }

  @Test func everyDamageIsNoticed() throws {
    let path = try run.save(state(update: 1))
    let whole = try Data(contentsOf: URL(filePath: path))
    let header = 8 + Int(whole[0]) + Int(whole[1]) << 8 + Int(whole[2]) << 16
    var generator = SeededGenerator(seed: 1)
    for _ in 0..<40 {
      var damaged = whole
      let at = header + Int(generator.next() % UInt64(whole.count - header))
      damaged[at] ^= 1 << UInt8(generator.next() % 8)
      try damaged.write(to: URL(filePath: path))
      #expect(throws: DVAEError.self) { try Checkpoint.load(path) }
    }
    for count in [0, 7, 100, header, whole.count / 2, whole.count - 1] {
      try whole.prefix(count).write(to: URL(filePath: path))
      #expect(throws: (any Error).self) { try Checkpoint.load(path) }
    }
  }

  /// Returns the range of the file's header: eight bytes for its length, then JSON.
  private func header(of file: Data) -> Range<Int> {
    8..<8 + Int(file[0]) + Int(file[1]) << 8 + Int(file[2]) << 16
  }

  @Test(arguments: [
    ("\"update\":\"1\"", "\"update\":\"2\""),
    ("\\\"seed\\\":0", "\\\"seed\\\":1"),
    ("\\\"epoch\\\":3", "\\\"epoch\\\":4"),
    ("checkpoint 2", "checkpoint 1"),
    ("metadata_crc32c", "metadata_crc32d"),
    ("\"crc32c\"", "\"crc32d\""),
  ])
  func anEditedHeaderIsNoticed(_ old: String, _ new: String) throws {
    let path = try run.save(state(update: 1))
    var bytes = try Data(contentsOf: URL(filePath: path))
    let place = try #require(bytes.range(of: Data(old.utf8), in: header(of: bytes)))
    bytes.replaceSubrange(place, with: Data(new.utf8))
    try bytes.write(to: URL(filePath: path))
    #expect(throws: DVAEError.self) { try Checkpoint.load(path) }
  }

  @Test func noBitOfTheHeaderChangesUnnoticed() throws {
    let path = try run.save(state(update: 1))
    let whole = try Data(contentsOf: URL(filePath: path))
    var generator = SeededGenerator(seed: 2)
    for _ in 0..<200 {
      var damaged = whole
      // The blanks after the JSON have no meaning.
      let at = Int(generator.next() % UInt64(header(of: whole).upperBound - 8))
      damaged[at] ^= 1 << UInt8(generator.next() % 8)
      try damaged.write(to: URL(filePath: path))
      #expect(throws: (any Error).self, "byte \(at)") { try Checkpoint.load(path) }
    }
  }

  /// Writes a checkpoint with changed metadata and a checksum that fits them.
  private func write(_ update: Int, changing changed: [String: String]) throws -> String {
    let file = try WeightsFile.open(run.save(state(update: 4)))
    var metadata = file.metadata.byText
    metadata.merge(changed) { $1 }
    metadata["metadata_crc32c"] = nil
    var bytes: [UInt8] = []
    for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
      bytes += Array(key.utf8) + [0] + Array(value.utf8) + [0]
    }
    metadata["metadata_crc32c"] = "\(CRC32C.of(bytes))"
    let tensors = try file.tensors.map { try SafetensorsEntry($0) }
    let path = run.checkpoint(update)
    try writeSafetensors(path, tensors: tensors, metadata: metadata)
    return path
  }

  /// Whoever leaves the checksum out could change the rest.
  @Test func metadataWithoutAChecksumAreRefused() throws {
    let file = try WeightsFile.open(run.save(state(update: 4)))
    let tensors = try file.tensors.map { try SafetensorsEntry($0) }
    for format in ["swift-dvae checkpoint 1", "swift-dvae checkpoint 2"] {
      var metadata = file.metadata.byText
      metadata["metadata_crc32c"] = nil
      metadata["format"] = format
      try writeSafetensors(run.checkpoint(5), tensors: tensors, metadata: metadata)
      #expect(throws: DVAEError.self) { try Checkpoint.load(run.checkpoint(5)) }
    }
  }

  @Test func impossibleNumbersAreRefused() throws {
    let state = try state(update: 4)
    func configuration(_ change: (inout TrainingConfiguration) throws -> Void) throws -> String {
      var configuration = state.configuration
      try change(&configuration)
      return String(decoding: try configuration.json(), as: UTF8.self)
    }
    func position(_ epoch: Int, _ index: Int, _ skipped: Int) -> String {
      #"{"epoch":\#(epoch),"index":\#(index),"skipped":\#(skipped),"fingerprint":""}"#
    }
    for changed in [
      ["update": "\(Int.max)"], ["update": "-1"], ["update": "99999999999999999999"],
      ["position": position(.max, 0, 0)], ["position": position(0, -1, 0)],
      ["position": position(0, 0, .max)], ["crc32c": "-1"],
    ] {
      let path = try write(5, changing: changed)
      let error = try #require(throws: DVAEError.self, "\(changed)") {
        try Checkpoint.load(path)
      }
      #expect("\(error)".hasPrefix(path), "\(error)")
      // The run resumes from the intact one before.
      var warnings: [String] = []
      #expect(try run.latest { warnings.append($0) }?.update == 4)
      #expect(warnings.count == 1)
    }
    for changed in [
      ["configuration": try configuration { $0.updates = .max }],
      ["configuration": try configuration { $0.warmUp = .max }],
      ["configuration": try configuration { $0.learningRate.updates = .max }],
      ["configuration": try configuration { $0.batchSize = 0 }],
      [
        "configuration": try configuration {
          $0.architecture = try Architecture(
            hidden: 65_536, blocksPerGroup: 1024, vocabulary: 1_048_576)
        }
      ],
      ["configuration": "{}"], ["configuration": "["],
    ] {
      let path = try write(5, changing: changed)
      let error = #expect(throws: DVAEError.self, "\(changed)") { try Checkpoint.load(path) }
      #expect(error?.file == path && error?.kind == .badData, "\(changed)")
    }
  }

  @Test func theNewestSoundOneIsTaken() throws {
    for update in [4, 6] { try run.save(state(update: update)) }
    try Data("torn".utf8).write(to: URL(filePath: run.checkpoint(6)))
    try Data("x".utf8).write(to: URL(filePath: run.path + "/checkpoints/notes.txt"))
    // It is not ours, so it is neither read nor renamed.
    try FileSystem.makeFolders(run.checkpoint(8))
    var warnings: [String] = []
    let found = try run.latest { warnings.append($0) }
    #expect(found?.update == 4)
    #expect(warnings.count == 1 && warnings[0].contains("000000006"))
    // The damaged one must not count among those to keep.
    #expect(try run.checkpoints() == [4])
  }

  @Test func aNewFolderHasNone() throws {
    #expect(try run.latest { _ in } == nil)
  }

  @Test func enginesOfTheUpdatesAreKept() throws {
    var state = try self.state(update: 0)
    #expect(state.compute(by: "cpu") == nil)
    state.update = 2
    let plain = try run.save(state)
    #expect(try WeightsFile.open(plain).metadata.byText["computed_by"] == nil)
    state = try Checkpoint.load(plain)
    #expect(state.compute(by: "cpu") == nil && state.earlierEngines == nil)
    #expect(state.compute(by: "cuda bfloat16") == "cpu")
    state.update = 7
    state = try Checkpoint.load(run.save(state))
    // Computed nothing.
    #expect(state.compute(by: "tpu") == "cuda bfloat16")
    #expect(state.compute(by: "cuda bfloat16") == nil)
    #expect(state.compute(by: "cpu") == "cuda bfloat16")
    state.update = 8
    state = try Checkpoint.load(run.save(state))
    #expect(state.earlierEngines == "2 updates by cpu, 5 updates by cuda bfloat16")
  }

  @Test func allDamagedIsAnError() throws {
    try run.save(state(update: 2))
    try Data("torn".utf8).write(to: URL(filePath: run.checkpoint(2)))
    // They stay where they are, so that the next attempt does not take the run for a new one.
    for _ in 0..<2 {
      #expect(throws: DVAEError.noSoundCheckpoint(run: run.path)) { try run.latest { _ in } }
    }
    #expect(try run.checkpoints() == [2])
  }

  /// An older program must not pass over the checkpoints of a newer one, nor rename them.
  @Test(arguments: [
    ["format": "swift-dvae checkpoint 3"], ["configuration": #"{"recipe":"new"}"#],
  ])
  func checkpointsOfOtherVersionsAreKept(_ changed: [String: String]) throws {
    let path = try write(5, changing: changed)
    let error = #expect(throws: DVAEError.self) { try run.latest { _ in } }
    #expect(error?.code == .otherVersion && error?.file == path)
    #expect(try run.checkpoints() == [5, 4])
  }

  /// The average is only written and shown: training would go on to weights that no command loads.
  @Test(arguments: [Float.nan, .infinity]) func anAverageIsFinite(_ value: Float) throws {
    var state = try state(update: 1)
    let path = try run.save(state)
    _ = try Checkpoint.load(path)
    state.average.parameters[3].values.elements[0] = value
    state.update = 2
    let error = #expect(throws: DVAEError.self) { try Checkpoint.load(try run.save(state)) }
    #expect(error?.kind == .badData && error?.problem.contains("not finite") == true)
    #expect(try run.latest { _ in }?.update == 1)
  }

  @Test func onlyTheNewestAreKept() throws {
    for update in 1...5 { try run.save(state(update: update)) }
    #expect(try run.checkpoints() == [5, 4])
  }

  @Test func twoProcessesCannotRunInOneFolder() throws {
    let error = try #require(throws: DVAEError.self) { try RunFolder(run.path) }
    #expect(error.file == run.path && error.problem == "another process is training this run")
  }

  /// Numbered files behind a link are not a run's, and would be removed with it.
  @Test(arguments: ["images", "checkpoints"]) func foldersOfARunAreNoLinks(_ name: String) throws {
    let elsewhere = folder.path + "/elsewhere"
    try FileManager.default.createDirectory(
      atPath: elsewhere, withIntermediateDirectories: true)
    try FileManager.default.createDirectory(
      atPath: folder.path + "/linked", withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(
      atPath: folder.path + "/linked/\(name)", withDestinationPath: elsewhere)
    let error = #expect(throws: DVAEError.self) { try RunFolder(folder.path + "/linked") }
    #expect(error?.kind == .cannotCreate && error?.description.contains(name) == true)
  }
}
