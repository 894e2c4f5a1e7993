import Dispatch
import Foundation
import Synchronization

/// Prepares the next batches on a thread of its own during the current update.
package final class PrefetchedImages: BatchSource, Sendable {
  private let queue: Queue

  /// Starts the thread.
  ///
  /// - Parameters:
  ///   - images: the sequence
  ///   - position: the position to start from
  ///   - depth: the number of batches prepared ahead
  package init(_ images: TrainingImages, from position: DataPosition, depth: Int = 4) {
    let queue = Queue(depth: depth)
    self.queue = queue
    let thread = Thread {
      var position = position
      while queue.waitForRoom() {
        let batch = Result { try images.batch(after: position) }
        if case .success(let batch) = batch { position = batch.position }
        queue.put(batch)
        if case .failure = batch { return }
      }
    }
    thread.name = "training images"
    thread.start()
  }

  deinit { queue.close() }

  /// Returns the next batch; an error ends the sequence.
  package func next() throws -> TrainingBatch { try queue.take().get() }

  /// A bounded queue with one producer and one consumer.
  private final class Queue: Sendable {
    private struct State {
      var batches: [Result<TrainingBatch, any Error>] = []
      var isClosed = false
    }

    private let state = Mutex(State())
    private let room = DispatchSemaphore(value: 0)
    private let filled = DispatchSemaphore(value: 0)

    init(depth: Int) {
      for _ in 0..<depth { room.signal() }
    }

    /// Returns false once the consumer is gone.
    func waitForRoom() -> Bool {
      room.wait()
      return state.withLock { !$0.isClosed }
    }

    func put(_ batch: Result<TrainingBatch, any Error>) {
      state.withLock { $0.batches.append(batch) }
      filled.signal()
    }

    func take() -> Result<TrainingBatch, any Error> {
      filled.wait()
      let batch = state.withLock { state in
        // An error ends the sequence: it stays for whoever asks again.
        if case .failure = state.batches[0] { return state.batches[0] }
        return state.batches.removeFirst()
      }
      if case .failure = batch { filled.signal() } else { room.signal() }
      return batch
    }

    func close() {
      state.withLock { $0.isClosed = true }
      room.signal()
    }
  }
}
