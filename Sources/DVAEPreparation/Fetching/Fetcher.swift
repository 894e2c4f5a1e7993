import DVAEFiles
// For threads, which FoundationEssentials lacks.
import Foundation
import Synchronization
package import DVAEWeb

/// Fetches images with limits on concurrency, on connections per host, on the rate per host, and on
/// each fetch.
///
/// A fetch blocks a thread of its own, outside the pool that decodes; fetches start in order of
/// request, skipping hosts at their limit.
package final class Fetcher: Sendable {
  private struct Waiting {
    var address: String
    var host: String
    var continuation: CheckedContinuation<Outcome, Never>
  }

  private typealias Outcome = Result<[UInt8], WebFailure>

  private struct Host {
    var running = 0
    /// The time when the next fetch may start.
    var next = ContinuousClock.now
  }

  private struct State {
    var running = 0
    var hosts: [String: Host] = [:]
    var waiting: [Waiting] = []
    var idle: [WebConnection] = []
    /// The time of the next call of `startWaiting`, when a host's pause ends.
    var alarm: ContinuousClock.Instant?
  }

  let settings: FetchSettings
  private let maxBytes: Int
  private let state = Mutex(State())

  private static let longestRetryAfter = 30
  // The number of hosts above which those without any remaining state are removed.
  private static let manyHosts = 10_000

  // A connection, and what libcurl opens to wait for it.
  private static let filesPerFetch = 4
  // The files that the rest of the program may have open.
  private static let otherFiles = 64

  /// Makes a fetcher of files of at most `maxBytes` bytes.
  package init(_ settings: FetchSettings, maxBytes: Int) {
    var settings = settings
    // With too few descriptors, neither connections nor outputs could be opened.
    let room = max(1, (ResourceLimits.openFiles - Self.otherFiles) / Self.filesPerFetch)
    settings.connections = min(settings.connections, room)
    self.settings = settings
    self.maxBytes = maxBytes
  }

  /// Fetches a file, with as many tries as the settings allow.
  package func fetch(_ address: String) async throws(WebFailure) -> [UInt8] {
    var (attempt, pause) = (0, settings.pause)
    let host = WebConnection.host(of: address)
    // An address without a host is refused at once, and does not wait for others of its kind.
    if host.isEmpty { return try perform(address).get() }
    while true {
      let outcome = await withCheckedContinuation { continuation in
        let waiting = Waiting(
          address: address, host: host, continuation: continuation)
        state.withLock { $0.waiting.append(waiting) }
        startWaiting()
      }
      do throws(WebFailure) {
        return try outcome.get()
      } catch {
        let failure = error
        guard failure.mayPass, attempt < settings.retries else { throw failure }
        let wait = max(pause, Double(min(failure.retryAfter, Self.longestRetryAfter)))
        (attempt, pause) = (attempt + 1, pause * 2)
        // A cancelled job stops waiting at once.
        try? await Task.sleep(for: .seconds(wait))
        guard !Task.isCancelled else { throw failure }
      }
    }
  }

  /// Starts every fetch that may run now.
  private func startWaiting() {
    while let next = takeNext() {
      Thread.detachNewThread { [self] in
        let outcome = perform(next.address)
        state.withLock { state in
          state.running -= 1
          state.hosts[next.host]?.running -= 1
          guard case .failure(let failure) = outcome, failure.retryAfter > 0 else { return }
          let pause = Duration.seconds(min(failure.retryAfter, Self.longestRetryAfter))
          state.hosts[next.host]?.next = .now + pause
        }
        next.continuation.resume(returning: outcome)
        startWaiting()
      }
    }
  }

  private func takeNext() -> Waiting? {
    let now = ContinuousClock.now
    return state.withLock { state in
      guard state.running < settings.connections else { return nil }
      if state.hosts.count > Self.manyHosts {
        state.hosts = state.hosts.filter { $0.value.running > 0 || $0.value.next > now }
      }
      var soonest: ContinuousClock.Instant?
      for place in state.waiting.indices {
        var host = state.hosts[state.waiting[place].host] ?? Host(next: now)
        guard host.running < settings.perHost else { continue }
        guard host.next <= now else {
          soonest = min(soonest ?? host.next, host.next)
          continue
        }
        let next = state.waiting.remove(at: place)
        host.running += 1
        host.next = now + .seconds(settings.hostDelay)
        state.hosts[next.host] = host
        state.running += 1
        return next
      }
      if let soonest { setAlarm(soonest, &state) }
      return nil
    }
  }

  /// Schedules a call for the end of a host's pause.
  private func setAlarm(_ time: ContinuousClock.Instant, _ state: inout State) {
    if let alarm = state.alarm, alarm <= time { return }
    state.alarm = time
    Task { [self] in
      try? await Task.sleep(until: time, clock: .continuous)
      self.state.withLock { if $0.alarm == time { $0.alarm = nil } }
      startWaiting()
    }
  }

  private func perform(_ address: String) -> Outcome {
    guard let connection = state.withLock({ $0.idle.popLast() }) ?? WebConnection() else {
      return .failure(WebFailure(kind: "fetch-failed", detail: "no memory"))
    }
    defer { state.withLock { $0.idle.append(connection) } }
    var request = WebRequest(address, maxBytes: maxBytes)
    request.connectTimeout = settings.connectTimeout
    request.timeout = settings.timeout
    // Below it, for ten seconds, a connection counts as dead.
    request.slowest = 100
    request.redirects = settings.redirects
    request.allowPrivate = settings.allowPrivate
    request.decompress = true
    request.userAgent = settings.userAgent
    request.robotsName = settings.heedsRobotsTag ? WebRequest.programName : nil
    return Outcome { () throws(WebFailure) in try connection.fetch(request) }
  }
}
