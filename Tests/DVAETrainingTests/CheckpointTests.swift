import DVAEModel
import DVAETraining
import Foundation
import DVAETensors
import Testing

@Suite struct CheckpointTests {
  let folder: TemporaryFolder
  let run: RunFolder

  init() throws {
    folder = try TemporaryFolder()
    run = try RunFolder(folder.path + "/run")
  }

  /// A state in which all roles hold other numbers.
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
      #expect(throws: TrainingError.self) { try Checkpoint.load(path) }
    }
    for count in [0, 7, 100, header, whole.count / 2, whole.count - 1] {
      try whole.prefix(count).write(to: URL(filePath: path))
      #expect(throws: (any Error).self) { try Checkpoint.load(path) }
    }
  }

  @Test func theNewestSoundOneIsTaken() throws {
    for update in [4, 6] { try run.save(state(update: update)) }
    try Data("torn".utf8).write(to: URL(filePath: run.checkpoint(6)))
    try Data("x".utf8).write(to: URL(filePath: run.path + "/checkpoints/notes.txt"))
    var warnings: [String] = []
    let found = try run.latest { warnings.append($0) }
    #expect(found?.update == 4)
    #expect(warnings.count == 1 && warnings[0].contains("000000006"))
    // The damaged one must not count among those that are kept.
    #expect(run.checkpoints() == [4])
  }

  @Test func aNewFolderHasNone() throws {
    #expect(try run.latest { _ in } == nil)
  }

  @Test func allDamagedIsAnError() throws {
    try run.save(state(update: 2))
    try Data("torn".utf8).write(to: URL(filePath: run.checkpoint(2)))
    #expect(throws: TrainingError.noSoundCheckpoint(run: run.path)) { try run.latest { _ in } }
  }

  @Test func onlyTheNewestAreKept() throws {
    for update in 1...5 { try run.save(state(update: update)) }
    #expect(run.checkpoints() == [5, 4])
  }

  @Test func twoProcessesCannotRunInOneFolder() throws {
    let error = try #require(throws: TrainingError.self) { try RunFolder(run.path) }
    #expect("\(error)".contains("another process"))
  }
}
