internal import CWebFetch
// For threads, which FoundationEssentials lacks.
import Foundation
import Synchronization

/// Fetches images: so many at a time, so many of them from one host, each within its limits.
///
/// A fetch blocks a thread of its own, outside the pool that decodes; which one goes next is
/// decided by the order of asking among the hosts that are not at their bound.
package final class Fetcher: Sendable {
  /// A fetch that has not begun.
  private struct Waiting {
    var address: String
    var host: Substring
    var continuation: CheckedContinuation<Outcome, Never>
  }

  private struct State {
    var running = 0
    var byHost: [Substring: Int] = [:]
    var waiting: [Waiting] = []
    var idle: [Handle] = []
  }

  /// What became of one try.
  private enum Outcome {
    case bytes([UInt8])
    case failure(Failure)
  }

  /// Why a fetch failed.
  package struct Failure: Error {
    /// What it is counted under.
    package var kind: String
    /// What the server or the library said.
    package var detail: String
    /// Whether another try may help.
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

  private static let userAgent = "swift-dvae (image fetcher of dvae prepare)"
  // Seconds that a connection may stay below the slowest speed.
  private static let slowSeconds = 10
  private static let longestRetryAfter = 30

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

  /// Whether an address in digits is one that can be fetched from without being asked to.
  package static func isPublic(_ digits: String) -> Bool { dvae_fetch_address_kind(digits) == 0 }

  /// Fetches a file, with as many tries as the settings allow.
  package func fetch(_ address: String) async throws(Failure) -> [UInt8] {
    var (attempt, pause) = (0, settings.pause)
    while true {
      let outcome = await withCheckedContinuation { continuation in
        let waiting = Waiting(
          address: address, host: Self.host(of: address), continuation: continuation)
        state.withLock { $0.waiting.append(waiting) }
        startWaiting()
      }
      switch outcome {
      case .bytes(let bytes): return bytes
      case .failure(let failure):
        guard failure.mayPass, attempt < settings.retries else { throw failure }
        let wait = max(pause, Double(min(failure.retryAfter, Self.longestRetryAfter)))
        (attempt, pause) = (attempt + 1, pause * 2)
        // A job that is given up stops waiting at once.
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
          let left = (state.byHost[next.host] ?? 1) - 1
          state.byHost[next.host] = left == 0 ? nil : left
        }
        next.continuation.resume(returning: outcome)
        startWaiting()
      }
    }
  }

  private func takeNext() -> Waiting? {
    state.withLock { state in
      guard state.running < settings.connections,
        let place = state.waiting.firstIndex(where: {
          (state.byHost[$0.host] ?? 0) < settings.perHost
        })
      else { return nil }
      let next = state.waiting.remove(at: place)
      state.running += 1
      state.byHost[next.host, default: 0] += 1
      return next
    }
  }

  /// Scheme, name and port of an address: what politeness goes by.
  private static func host(of address: String) -> Substring {
    guard let slashes = address.firstRange(of: "://") else { return "" }
    return address[slashes.upperBound...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }
  }

  private func perform(_ address: String) -> Outcome {
    guard let handle = takeHandle() else {
      return .failure(
        Failure(kind: "fetch-failed", detail: "no memory", mayPass: false, retryAfter: 0))
    }
    defer { state.withLock { $0.idle.append(handle) } }
    var result = dvae_fetch_result()
    let status = Self.userAgent.withCString { agent in
      var limits = dvae_fetch_limits(
        connect_milliseconds: Int(settings.connectTimeout * 1000),
        total_milliseconds: Int(settings.timeout * 1000), slow_bytes: settings.slowest,
        slow_seconds: Self.slowSeconds, redirects: settings.redirects, bytes: maxBytes,
        allow_private: settings.allowPrivate ? 1 : 0, user_agent: agent)
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
      case Int32(DVAE_FETCH_REDIRECTS.rawValue): ("too-many-redirects", false)
      default: ("fetch-failed", false)
      }
    return Failure(
      kind: kind, detail: message.isEmpty ? kind : message, mayPass: mayPass,
      retryAfter: Int(result.retry_after))
  }
}
