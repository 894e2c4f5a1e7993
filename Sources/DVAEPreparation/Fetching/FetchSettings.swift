package import DVAEFiles
import DVAEWeb

/// The settings for fetching images.
package struct FetchSettings: Hashable, Sendable {
  /// The number of concurrent fetches.
  package var connections = 64
  /// The number of concurrent fetches from one host.
  package var perHost = 4
  /// Seconds between the starts of two fetches from one host.
  package var hostDelay = 0.1
  /// The user agent sent to servers.
  package var userAgent = WebRequest.programName
  /// Whether images are skipped if their server's X-Robots-Tag asks for it.
  package var heedsRobotsTag = true
  /// The timeout of establishing a connection in seconds.
  package var connectTimeout = 10.0
  /// The timeout of fetching the whole image in seconds.
  package var timeout = 30.0
  /// The number of retries after a temporary failure.
  package var retries = 1
  /// The largest number of redirections.
  package var redirects = 5
  /// Whether addresses of this machine and of private networks are allowed.
  package var allowPrivate = false
  /// Seconds before the first retry; they double before each further one.
  package var pause = 1.0

  package init() {}

  /// Checks that every number is possible.
  package func validate() throws(DVAEError) {
    let counts: [(String, Int, ClosedRange<Int>)] = [
      ("connections", connections, 1...4096), ("per_host", perHost, 1...4096),
      ("retries", retries, 0...10), ("redirects", redirects, 0...100),
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
    // A line break would begin another header.
    guard userAgent.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) else {
      throw DVAEError(.usage, "user_agent must be printable ASCII in one line")
    }
  }
}
