package import DVAEFiles

/// How images are fetched.
package struct FetchSettings: Hashable, Sendable {
  /// Fetches at a time.
  package var connections = 64
  /// Of those, to one host.
  package var perHost = 4
  /// Seconds between the beginnings of two fetches from one host.
  package var hostDelay = 0.1
  /// What servers are told about who asks.
  package var userAgent = FetchSettings.robotsName
  /// Whether images are left alone whose server asks for it by an X-Robots-Tag.
  package var heedsRobotsTag = true
  /// Seconds until a connection must stand.
  package var connectTimeout = 10.0
  /// Seconds until the whole image must be there.
  package var timeout = 30.0
  /// Bytes per second below which, for ten seconds, a connection counts as dead.
  package var slowest = 100
  /// Further tries after a failure that may pass.
  package var retries = 1
  /// Redirections that are followed.
  package var redirects = 5
  /// Whether addresses of this machine and of private networks may be fetched from.
  package var allowPrivate = false
  /// Seconds before the second try, twice as many before each further one.
  package var pause = 1.0

  /// The name under which an X-Robots-Tag may speak to this program alone.
  package static let robotsName = "swift-dvae"

  /// The usual settings.
  package init() {}

  /// Checks that every number is possible.
  package func validate() throws(DVAEError) {
    let counts: [(String, Int, ClosedRange<Int>)] = [
      ("connections", connections, 1...4096), ("per_host", perHost, 1...4096),
      ("slowest", slowest, 0...1_000_000_000), ("retries", retries, 0...10),
      ("redirects", redirects, 0...100),
    ]
    for (name, count, range) in counts where !range.contains(count) {
      throw DVAEError(
        .usage, "\(name) must be from \(range.lowerBound) to \(range.upperBound), not \(count)")
    }
    for (name, seconds) in [
      ("connect_timeout", connectTimeout), ("timeout", timeout), ("pause", pause),
    ] where !(0.001...86400).contains(seconds) {
      throw DVAEError(.usage, "\(name) must be from 0.001 to 86400 seconds, not \(seconds)")
    }
    guard (0...86400).contains(hostDelay) else {
      throw DVAEError(.usage, "host_delay must be from 0 to 86400 seconds, not \(hostDelay)")
    }
    // A line break would begin a header of its own.
    guard userAgent.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) else {
      throw DVAEError(.usage, "user_agent must be printable ASCII in one line")
    }
  }
}
