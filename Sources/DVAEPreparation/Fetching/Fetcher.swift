internal import CDVAEWebFetch
// For threads, which FoundationEssentials lacks.
import Foundation
import Synchronization

/// Fetches images with limits on concurrency, on connections per host, on the rate per host, and on
/// each fetch.
///
/// A fetch blocks a thread of its own, outside the pool that decodes; fetches start in order of
/// request, skipping hosts at their limit.
package final class Fetcher: Sendable {
  /// A fetch that has not started.
  private struct Waiting {
    var address: String
    var host: String
    var continuation: CheckedContinuation<Outcome, Never>
  }

  private struct Host {
    var running = 0
    /// The time when the next fetch may start.
    var next = ContinuousClock.now
  }

  private struct State {
    var running = 0
    var hosts: [String: Host] = [:]
    var waiting: [Waiting] = []
    var idle: [Handle] = []
    /// The time of the next call of `startWaiting`, when a host's pause ends.
    var alarm: ContinuousClock.Instant?

    /// Removes hosts without any remaining state.
    mutating func forget(now: ContinuousClock.Instant) {
      hosts = hosts.filter { $0.value.running > 0 || $0.value.next > now }
    }
  }

  /// The outcome of one try.
  private enum Outcome {
    case bytes([UInt8])
    case failure(Failure)

    func bytes() throws(Failure) -> [UInt8] {
      switch self {
      case .bytes(let bytes): return bytes
      case .failure(let failure): throw failure
      }
    }
  }

  /// The reason of a failed fetch.
  package struct Failure: Error {
    /// The kind under which it is counted.
    package var kind: String
    /// The message of the server or the library.
    package var detail: String
    /// Whether a retry may help.
    var mayPass: Bool
    /// Seconds that the server asks to wait.
    var retryAfter: Int
  }

  /// A library handle, used by one thread at a time.
  private struct Handle: @unchecked Sendable {
    let pointer: OpaquePointer
  }

  let settings: FetchSettings
  private let maxBytes: Int
  private let state = Mutex(State())

  // Seconds that a connection may stay below the slowest speed.
  private static let slowSeconds = 10
  private static let longestRetryAfter = 30
  // The number of hosts above which finished ones are removed.
  private static let manyHosts = 10_000

  /// The kinds of failures without an answer from a server.
  static let unreachable: Set<String> = ["dns", "no-connection", "timeout"]

  /// Makes a fetcher of files of at most `maxBytes` bytes.
  package init(_ settings: FetchSettings, maxBytes: Int) {
    self.settings = settings
    self.maxBytes = maxBytes
  }

  deinit {
    state.withLock { state in
      for handle in state.idle { dvae_fetch_close(handle.pointer) }
    }
  }

  /// Returns whether a numeric address may be fetched from without permission.
  package static func isPublic(_ digits: String) -> Bool { dvae_fetch_address_kind(digits) == 0 }

  /// Fetches a file, with as many tries as the settings allow.
  package func fetch(_ address: String) async throws(Failure) -> [UInt8] {
    var (attempt, pause) = (0, settings.pause)
    let host = Self.host(of: address)
    // An address without a host is refused at once, and does not wait for others of its kind.
    if host.isEmpty { return try perform(address).bytes() }
    while true {
      let outcome = await withCheckedContinuation { continuation in
        let waiting = Waiting(
          address: address, host: host, continuation: continuation)
        state.withLock { $0.waiting.append(waiting) }
        startWaiting()
      }
      do throws(Failure) {
        return try outcome.bytes()
      } catch {
        let failure = error
        guard failure.mayPass, attempt < settings.retries else { throw failure }
        let wait = max(pause, Double(min(failure.retryAfter, Self.longestRetryAfter)))
        (attempt, pause) = (attempt + 1, pause * 2)
        // A cancelled job stops waiting at once.
        try? await Task.sleep(for: .seconds(wait))
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
      if state.hosts.count > Self.manyHosts { state.forget(now: now) }
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

  /// Returns the host and port of an address in canonical form, by which limits apply.
  ///
  /// `http://me@HOST:80/`, `http://host./` and `http://host/` are the same host.
  package static func host(of address: String) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { host in
      host.initialize(repeating: 0)
      guard dvae_fetch_host(address, host.baseAddress, host.count) == 0 else { return "" }
      return host.baseAddress.map { String(cString: $0) } ?? ""
    }
  }

  private func perform(_ address: String) -> Outcome {
    guard let handle = takeHandle() else {
      return .failure(
        Failure(kind: "fetch-failed", detail: "no memory", mayPass: false, retryAfter: 0))
    }
    defer { state.withLock { $0.idle.append(handle) } }
    var result = dvae_fetch_result()
    let robotsName = settings.heedsRobotsTag ? FetchSettings.robotsName : nil
    let status = withCStrings(settings.userAgent, robotsName) { agent, robotsName in
      var limits = dvae_fetch_limits(
        connect_milliseconds: Int(settings.connectTimeout * 1000),
        total_milliseconds: Int(settings.timeout * 1000), slow_bytes: settings.slowest,
        slow_seconds: Self.slowSeconds, redirects: settings.redirects, bytes: maxBytes,
        allow_private: settings.allowPrivate ? 1 : 0, user_agent: agent, robots_name: robotsName)
      return dvae_fetch(handle.pointer, address, &limits, &result)
    }
    defer { dvae_fetch_free(&result) }
    guard status == Int32(DVAE_FETCH_OK.rawValue) else {
      return .failure(Self.failure(status, result))
    }
    return .bytes(Array(UnsafeBufferPointer(start: result.bytes, count: result.count)))
  }

  private func takeHandle() -> Handle? {
    if let handle = state.withLock({ $0.idle.popLast() }) { return handle }
    return dvae_fetch_open().map { Handle(pointer: $0) }
  }

  private static func failure(_ status: Int32, _ result: dvae_fetch_result) -> Failure {
    let message = withUnsafeBytes(of: result.message) {
      String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
    }
    let (kind, mayPass): (String, Bool) =
      switch status {
      case Int32(DVAE_FETCH_HTTP.rawValue):
        (
          "http-\(result.http_status)",
          [408, 425, 429].contains(result.http_status) || result.http_status >= 500
        )
      case Int32(DVAE_FETCH_BAD_ADDRESS.rawValue): ("bad-address", false)
      case Int32(DVAE_FETCH_DNS.rawValue): ("dns", false)
      case Int32(DVAE_FETCH_PRIVATE.rawValue): ("private-address", false)
      case Int32(DVAE_FETCH_CONNECTION.rawValue): ("no-connection", true)
      case Int32(DVAE_FETCH_TIMEOUT.rawValue): ("timeout", true)
      case Int32(DVAE_FETCH_TLS.rawValue): ("tls", false)
      case Int32(DVAE_FETCH_CUT.rawValue): ("cut-connection", true)
      case Int32(DVAE_FETCH_TOO_LARGE.rawValue): ("too-large", false)
      case Int32(DVAE_FETCH_ROBOTS.rawValue): ("robots-tag", false)
      case Int32(DVAE_FETCH_REDIRECTS.rawValue): ("too-many-redirects", false)
      default: ("fetch-failed", false)
      }
    return Failure(
      kind: kind, detail: message.isEmpty ? kind : message, mayPass: mayPass,
      retryAfter: Int(result.retry_after))
  }
}

/// Passes two texts to C; the second may be nil.
private func withCStrings<Result>(
  _ first: String, _ second: String?,
  _ body: (UnsafePointer<CChar>, UnsafePointer<CChar>?) -> Result
) -> Result {
  first.withCString { first in
    guard let second else { return body(first, nil) }
    return second.withCString { body(first, $0) }
  }
}
