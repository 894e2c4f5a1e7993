import DVAEFiles
import DVAEKit
import DVAETestSupport
import Foundation
import Synchronization
import Testing

/// Training from Swift.
@Suite struct TrainingRunTests {
  let folder = TemporaryFolder()

  /// A model that trains within a second.
  private func configuration(updates: Int) throws -> TrainingConfiguration {
    var configuration = TrainingConfiguration.tiny.scaled(toUpdates: updates)
    configuration.architecture = try Architecture(
      hidden: 8, blocksPerGroup: 1, vocabulary: 64, initial: 8)
    (configuration.batchSize, configuration.microBatch, configuration.resolution) = (2, 2, 32)
    configuration.data = [Fixture.images]
    return configuration
  }

  private func url(_ name: String) -> URL { URL(fileURLWithPath: folder(name)) }

  @Test func trainsToWeightsThatLoad() async throws {
    let updates = Mutex<[Int]>([])
    let run = try TrainingRun(configuration(updates: 3), in: url("run"), threads: 1)
    try await run.train { record in updates.withLock { $0.append(record.update) } }
    #expect(updates.withLock(\.self) == [1, 2, 3])
    let vae = try await DiscreteVAE.load(.file(run.weights))
    #expect(vae.architecture.vocabulary == 64)
    // No other process, and no other value, can open the folder as long as this one lives.
    let settings = run.configuration
    #expect(throws: DVAEError.self) { try TrainingRun(settings, in: url("run")) }
  }

  @Test func aCancelledRunGoesOnToTheSameBits() async throws {
    let whole = try TrainingRun(configuration(updates: 6), in: url("whole"), threads: 1)
    try await whole.train()
    let run = try TrainingRun(configuration(updates: 6), in: url("run"), threads: 1)
    let updates = Mutex<[Int]>([])
    let isCancelled = DispatchSemaphore(value: 0)
    let task = Task {
      try await run.train { record in
        updates.withLock { $0.append(record.update) }
        if record.update == 2 { isCancelled.wait() }
      }
    }
    while updates.withLock(\.count) < 2 { try await Task.sleep(for: .milliseconds(1)) }
    task.cancel()
    isCancelled.signal()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(updates.withLock(\.self) == [1, 2])
    try await run.train { record in updates.withLock { $0.append(record.update) } }
    #expect(updates.withLock(\.self) == [1, 2, 3, 4, 5, 6])
    #expect(try Data(contentsOf: run.weights) == Data(contentsOf: whole.weights))
  }

  /// Its tokens are those of the initial weights, so that these decode them too.
  @Test func aFrozenEncoderKeepsItsIdentity() async throws {
    let first = try TrainingRun(configuration(updates: 1), in: url("first"), threads: 1)
    try await first.train()
    let encoder = try WeightsFiles(.file(first.weights)).provenance(of: .encoder).sha256
    var tuned = try configuration(updates: 2)
    (tuned.initialWeights, tuned.frozen) = (Path(first.weights).text, ["encoder"])
    for updates in [1, 2] {
      tuned.updates = updates
      let run = try TrainingRun(tuned, in: url("tuned"), threads: 1)
      try await run.train()
      let found = try WeightsFiles(.file(run.weights)).provenance(of: .encoder).source
      #expect(found == encoder, "after \(updates)")
    }
  }

  @Test func otherSettingsDoNotResume() async throws {
    do {
      let run = try TrainingRun(configuration(updates: 1), in: url("run"), threads: 1)
      try await run.train()
    }
    var changed = try configuration(updates: 2)
    changed.seed = 7
    let run = try TrainingRun(changed, in: url("run"), threads: 1)
    let error = await #expect(throws: DVAEError.self) { try await run.train() }
    #expect(error?.description.contains("seed") == true)
  }
}
