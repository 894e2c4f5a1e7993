import DVAEFiles
import Dispatch
import Synchronization

/// The requests that need the network, from their arrival to their response.
///
/// Images are decoded and resized on a few threads, the network works on all requests that are ready
/// by then, up to a batch, and the responses are encoded while it goes on.
final class RequestQueue: Sendable {
  /// One request.
  struct Entry: Sendable {
    /// Does what needs no network.
    var prepare: @Sendable () throws(DVAEError) -> ServiceTask
    /// Whether the client has gone away.
    var isGone: @Sendable () -> Bool
    /// Takes the response.
    var answer: @Sendable (HTTPResponse) -> Void
  }

  typealias Computation =
    @Sendable ([ServiceTask]) -> [Result<ServiceResult, DVAEError>]

  private struct State {
    var waiting: [Entry] = []
    var ready: [(entry: Entry, task: ServiceTask)] = []
    /// Requests that were taken and not answered.
    var count = 0
    var preparations = 0
    var isComputing = false
    var isDraining = false
    /// The time that the network takes for one request, in seconds; a moving average.
    var seconds = 0.1
  }

  private let capacity: Int
  private let batchSize: Int
  private let preparations: Int
  private let metrics: ServiceMetrics
  private let current = Mutex(State())
  private let network = DispatchQueue(label: "dvae.network")
  private let others = DispatchQueue(label: "dvae.images", attributes: .concurrent)

  init(_ settings: Service.Settings, _ metrics: ServiceMetrics) {
    capacity = settings.queue
    batchSize = settings.batchSize
    preparations = settings.preparations
    self.metrics = metrics
  }

  /// Whether no further request is taken.
  var isFull: Bool { current.withLock { $0.count >= capacity } }

  /// Whether the service is about to end.
  var isDraining: Bool { current.withLock { $0.isDraining } }

  /// The number of requests and of places for them.
  var state: (count: Int, capacity: Int) { (current.withLock { $0.count }, capacity) }

  /// The seconds after which there is likely to be a place: when half of the queue is done.
  var seconds: Int {
    current.withLock { min(60, max(1, Int((Double($0.count) / 2 * $0.seconds).rounded(.up)))) }
  }

  /// Notes that the service is about to end.
  func drain() { current.withLock { $0.isDraining = true } }

  /// Takes a request; false where there is no place for it.
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
          defer { state.isComputing = true }
          return !state.isComputing
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
        if batch.isEmpty { state.isComputing = false }
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

  /// Whether nobody waits for a request any more; it is then done.
  private func isAbandoned(_ entry: Entry) -> Bool {
    guard entry.isGone() else { return false }
    metrics.countCancelled()
    // Nobody reads the response; it ends the connection.
    finish(entry, HTTPResponse(status: 499, MediaType.json, []))
    return true
  }

  private func finish(_ entry: Entry, _ response: HTTPResponse) {
    entry.answer(response)
    current.withLock { $0.count -= 1 }
  }
}
