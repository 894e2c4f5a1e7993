import DVAEFiles
import DVAECPUEngine
import DVAEModel
import DVAETraining
import Foundation
import Synchronization
import DVAETensors
import Testing

/// Threads that act as processes.
private final class Threads: Sendable {
  private let count: Int
  private let sum = Mutex<[Double]>([])
  private let arrived = Mutex(0)

  init(_ count: Int) { self.count = count }

  /// Waits for all; called an odd number of times per exchange.
  private func meet() {
    let goal = arrived.withLock { arrived in
      arrived += 1
      return (arrived + count - 1) / count * count
    }
    while arrived.withLock({ $0 < goal }) { Thread.sleep(forTimeInterval: 1e-4) }
  }

  func exchange(_ numbers: [Double]) -> [Double] {
    sum.withLock { sum in
      if sum.isEmpty { sum = [Double](repeating: 0, count: numbers.count) }
      for (i, number) in numbers.enumerated() { sum[i] += number }
    }
    meet()
    let result = sum.withLock { $0 }
    meet()
    sum.withLock { $0 = [] }
    meet()
    return result
  }

  struct Member: ProcessGroup {
    let threads: Threads
    let rank: Int
    var count: Int { threads.count }

    func sum(_ numbers: UnsafeMutableBufferPointer<Float>) {
      _ = numbers.update(fromContentsOf: threads.exchange(numbers.map(Double.init)).map(Float.init))
    }
    func sum(_ numbers: UnsafeMutableBufferPointer<Double>) {
      _ = numbers.update(fromContentsOf: threads.exchange(Array(numbers)))
    }
    func broadcast(_ bytes: UnsafeMutableRawBufferPointer) {
      let mine = bytes.map { rank == 0 ? Double($0) : 0 }
      bytes.copyBytes(from: threads.exchange(mine).map { UInt8($0) })
    }
    func end() {}
  }
}

@Suite("Several processes")
struct ProcessGroupTests {
  /// Runs `body` as each of two processes.
  private func asTwo<T: Sendable>(
    _ body: @escaping @Sendable (any ProcessGroup) throws -> T
  ) throws -> [T] {
    let threads = Threads(2)
    let results = Mutex<[Int: Result<T, any Error>]>([:])
    let group = DispatchGroup()
    for rank in 0..<2 {
      DispatchQueue.global().async(group: group) {
        let result = Result { try body(Threads.Member(threads: threads, rank: rank)) }
        results.withLock { $0[rank] = result }
      }
    }
    group.wait()
    return try (0..<2).map { rank in try #require(results.withLock { $0[rank] }).get() }
  }

  @Test("Two processes make the run of one, each from process 0's state")
  func sameRun() throws {
    var configuration = try TrainingConfiguration.testing(updates: 4)
    (configuration.batchSize, configuration.microBatch) = (4, 2)
    configuration.codebookInitialisation = 1
    let settings = configuration

    @Sendable func run(_ processes: any ProcessGroup) throws -> ([UpdateRecord], [Float]) {
      let first = processes.rank == 0 ? try TrainingState(settings) : nil
      let state = try processes.share(first)
      var trainer = Trainer(
        state, engine: try CPUEngine(threads: 1), data: SyntheticImages(state.configuration),
        validation: nil, folder: nil, processes: processes)
      // A request to one of them stops all.
      var watcher = Watcher(stopAfter: processes.rank == processes.count - 1 ? 3 : nil)
      #expect(try trainer.run(&watcher) == .stopped)
      return (watcher.updates, trainer.state.average.arena?.tensor.array ?? [])
    }

    let (expected, parameters) = try run(SingleProcess())
    for (updates, found) in try asTwo(run) {
      #expect(updates.count == 3)
      for (a, b) in zip(updates, expected) {
        #expect(abs(a.loss - b.loss) <= 1e-5)
        #expect(abs(a.gradientNorm - b.gradientNorm) <= 1e-3 * b.gradientNorm)
      }
      #expect(found.count == parameters.count)
      #expect(zip(found, parameters).allSatisfy { abs($0 - $1) < 1e-3 })
    }
  }

  @Test("Batches that cannot be shared are refused")
  func shares() throws {
    let configuration = try TrainingConfiguration.testing()
    try configuration.checkShares(among: 1)
    let error = try #require(throws: DVAEError.self) {
      try configuration.checkShares(among: 2)
    }
    #expect("\(error)".contains("2 processes"))
  }
}
