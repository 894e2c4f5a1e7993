import DVAEFiles
import Dispatch
import Synchronization

/// The queue of requests that need the network, from their arrival to their response.
///
/// A few threads decode and resize images, the network computes all requests that are ready, up to
/// a batch, and responses are encoded in the meantime.
final class RequestQueue: Sendable {
  /// One request.
  struct Entry: Sendable {
    /// Does the work that does not need the network.
    var prepare: @Sendable () throws(DVAEError) -> ServiceTask
    /// Whether the client has closed its connection.
    var isGone: @Sendable () -> Bool
    /// Sends the response.
    var answer: @Sendable (HTTPResponse) -> Void
  }

  typealias Computation =
    @Sendable ([ServiceTask]) -> [Result<ServiceResult, DVAEError>]

  private struct State {
    var waiting: [Entry] = []
    var ready: [(entry: Entry, task: ServiceTask)] = []
    /// The number of requests that are accepted and not answered.
    var count = 0
    var preparations = 0
    /// The number of batches that are computed now.
    var computations = 0
    var isDraining = false
    /// A moving average of the network's time per request, in seconds.
    var seconds = 0.1
  }

  private let capacity: Int
  private let batchSize: Int
  // Images that are decoded and resized at a time.
  private let preparations = 2
  private let computations: Int
  private let metrics: ServiceMetrics
  private let current = Mutex(State())
  private let network = DispatchQueue(label: "dvae.network", attributes: .concurrent)
  private let others = DispatchQueue(label: "dvae.images", attributes: .concurrent)

  init(_ settings: Service.Settings, _ metrics: ServiceMetrics) {
    capacity = settings.queue
    batchSize = settings.batchSize
    computations = settings.computations
    self.metrics = metrics
  }

  /// Whether the queue is full.
  var isFull: Bool { current.withLock { $0.count >= capacity } }

  /// Whether the service is shutting down.
  var isDraining: Bool { current.withLock { $0.isDraining } }

  /// The number of requests, and the capacity.
  var state: (count: Int, capacity: Int) { (current.withLock { $0.count }, capacity) }

  /// The estimated seconds until there is room: when half of the queue is done.
  var seconds: Int {
    current.withLock { min(60, max(1, Int((Double($0.count) / 2 * $0.seconds).rounded(.up)))) }
  }

  /// Records that the service is shutting down.
  func drain() { current.withLock { $0.isDraining = true } }

  /// Accepts a request; returns false if the queue is full.
  func submit(_ entry: Entry, compute: @escaping Computation) -> Bool {
    let (isTaken, starts) = current.withLock { state in
      guard state.count < capacity else { return (false, false) }
      state.count += 1
      state.waiting.append(entry)
      guard state.preparations < preparations else { return (true, false) }
      state.preparations += 1
      return (true, true)
    }
    if starts { others.async { [self] in prepare(compute) } }
    return isTaken
  }

  private func prepare(_ compute: @escaping Computation) {
    while true {
      let next: Entry? = current.withLock { state in
        guard !state.waiting.isEmpty else {
          state.preparations -= 1
          return nil
        }
        return state.waiting.removeFirst()
      }
      guard let entry = next else { return }
      if isAbandoned(entry) { continue }
      do throws(DVAEError) {
        let task = try entry.prepare()
        let starts = current.withLock { state in
          state.ready.append((entry, task))
          guard state.computations < computations else { return false }
          state.computations += 1
          return true
        }
        if starts { network.async { [self] in run(compute) } }
      } catch {
        finish(entry, HTTPResponse(error))
      }
    }
  }

  private func run(_ compute: Computation) {
    while true {
      let batch = current.withLock { state in
        let batch = Array(state.ready.prefix(batchSize))
        state.ready.removeFirst(batch.count)
        if batch.isEmpty { state.computations -= 1 }
        return batch
      }
      if batch.isEmpty { return }
      let wanted = batch.filter { !isAbandoned($0.entry) }
      if wanted.isEmpty { continue }
      let start = ContinuousClock.now
      let results = compute(wanted.map(\.task))
      let seconds = (ContinuousClock.now - start) / .seconds(1) / Double(wanted.count)
      current.withLock { $0.seconds += (seconds - $0.seconds) / 8 }
      others.async { [self] in
        for ((entry, task), result) in zip(wanted, results) {
          finish(entry, Service.response(task, result))
        }
      }
    }
  }

  /// Returns whether the client of a request has gone; the request is then finished.
  private func isAbandoned(_ entry: Entry) -> Bool {
    guard entry.isGone() else { return false }
    metrics.countCancelled()
    // Nobody reads this response; it closes the connection.
    finish(entry, HTTPResponse(status: 499, MediaType.json, []))
    return true
  }

  private func finish(_ entry: Entry, _ response: HTTPResponse) {
    entry.answer(response)
    current.withLock { $0.count -= 1 }
  }
}
