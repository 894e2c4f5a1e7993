import DVAEFiles
import Dispatch
import Synchronization

/// The requests that need the network, from their arrival to their response.
///
/// A few threads decode and resize images, the network computes all requests that are ready, up to
/// a batch, and responses are encoded in the meantime.
struct RequestQueue {
  /// One request.
  struct Entry: Sendable {
    var request: HTTPRequest
    /// Whether the client has closed its connection.
    var isGone: @Sendable () -> Bool
    /// Sends the response.
    var answer: @Sendable (HTTPResponse) -> Void
  }

  var waiting: [Entry] = []
  var ready: [(entry: Entry, task: ServiceTask)] = []
  /// The number of requests that are accepted and not answered.
  var count = 0
  /// The number of images that are decoded and resized now.
  var preparations = 0
  /// The number of batches that are computed now.
  var computations = 0
  /// Whether the service is shutting down.
  var isDraining = false
  /// A moving average of the network's time per request, in seconds.
  var secondsPerRequest = 0.1

  /// The number of images that are decoded and resized at a time.
  static let mostPreparations = 2

  /// The estimated seconds until there is room: when half of the queue is done.
  var seconds: Int { min(60, max(1, Int((Double(count) / 2 * secondsPerRequest).rounded(.up)))) }
}

private let network = DispatchQueue(label: "dvae.network", attributes: .concurrent)
private let others = DispatchQueue(label: "dvae.images", attributes: .concurrent)

extension Service {
  /// Accepts a request that needs the network; returns false if the queue is full.
  func submit(_ entry: RequestQueue.Entry) -> Bool {
    let (isTaken, starts) = queue.withLock { queue in
      guard queue.count < settings.queue else { return (false, false) }
      queue.count += 1
      queue.waiting.append(entry)
      guard queue.preparations < RequestQueue.mostPreparations else { return (true, false) }
      queue.preparations += 1
      return (true, true)
    }
    if starts { others.async { [self] in prepareWaiting() } }
    return isTaken
  }

  private func prepareWaiting() {
    while true {
      let next: RequestQueue.Entry? = queue.withLock { queue in
        guard !queue.waiting.isEmpty else {
          queue.preparations -= 1
          return nil
        }
        return queue.waiting.removeFirst()
      }
      guard let entry = next else { return }
      if isAbandoned(entry) { continue }
      do throws(DVAEError) {
        let task = try prepare(entry.request)
        let starts = queue.withLock { queue in
          queue.ready.append((entry, task))
          guard queue.computations < settings.computations else { return false }
          queue.computations += 1
          return true
        }
        if starts { network.async { [self] in computeReady() } }
      } catch {
        finish(entry, HTTPResponse(error))
      }
    }
  }

  private func computeReady() {
    while true {
      let batch = queue.withLock { queue in
        let batch = Array(queue.ready.prefix(settings.batchSize))
        queue.ready.removeFirst(batch.count)
        if batch.isEmpty { queue.computations -= 1 }
        return batch
      }
      if batch.isEmpty { return }
      let wanted = batch.filter { !isAbandoned($0.entry) }
      if wanted.isEmpty { continue }
      let start = ContinuousClock.now
      let results = compute(wanted.map(\.task))
      let seconds = (ContinuousClock.now - start) / .seconds(1) / Double(wanted.count)
      queue.withLock { $0.secondsPerRequest += (seconds - $0.secondsPerRequest) / 8 }
      others.async { [self] in
        for ((entry, task), result) in zip(wanted, results) {
          finish(entry, Self.response(task, result))
        }
      }
    }
  }

  /// Returns whether the client of a request has gone; the request is then finished.
  private func isAbandoned(_ entry: RequestQueue.Entry) -> Bool {
    guard entry.isGone() else { return false }
    metrics.withLock { $0.cancelled += 1 }
    // Nobody reads this response; it closes the connection.
    finish(entry, HTTPResponse(status: 499, MediaType.json, []))
    return true
  }

  private func finish(_ entry: RequestQueue.Entry, _ response: HTTPResponse) {
    entry.answer(response)
    queue.withLock { $0.count -= 1 }
  }
}
