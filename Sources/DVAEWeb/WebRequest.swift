import Foundation

/// A request for one file over HTTP, with its limits.
package struct WebRequest: Sendable {
  /// The address, with its scheme.
  package var address: String
  /// Further lines of the request's head, such as `Range: bytes=100-`.
  package var headers: [String] = []
  /// The timeout of establishing a connection in seconds.
  package var connectTimeout = 10.0
  /// The timeout of the whole fetch in seconds; nil if it has none.
  package var timeout: Double?
  /// Bytes per second below which, for `slowSeconds`, a connection counts as dead.
  package var slowest = 1
  /// Seconds that a connection may stay below the slowest speed.
  package var slowSeconds = 10
  /// The largest number of redirections.
  package var redirects = 5
  /// The largest number of bytes of the body.
  package var maxBytes: Int
  /// Whether addresses of this machine and of private networks are allowed.
  package var allowPrivate = false
  /// Whether proxies that the environment names are used.
  ///
  /// With a proxy, the address of the connection is not the server's, so that `allowPrivate` does
  /// not apply to it.
  package var allowProxy = false
  /// Whether a body that arrives compressed is decompressed.
  package var decompress = false
  /// The user agent sent to servers.
  package var userAgent = WebRequest.programName
  /// The name in an X-Robots-Tag whose directives are followed; nil ignores such tags.
  package var robotsName: String?

  /// The name of this program for servers.
  package static let programName = "swift-dvae"

  /// Makes a request for a file of at most `maxBytes` bytes.
  package init(_ address: String, maxBytes: Int) {
    self.address = address
    self.maxBytes = maxBytes
  }
}

/// The head of an answer.
package struct WebAnswer: Sendable {
  /// The status, such as 200.
  package private(set) var status = 0
  /// The fields by name in lower case.
  private var fields: [String: String] = [:]
  // More are ignored, so that a server cannot fill the memory.
  private static let mostFields = 256

  /// The value of a field; nil if the answer lacks it.
  package subscript(_ name: String) -> String? { fields[name] }

  /// Adds a line as it arrived.
  ///
  /// A line with a status begins another answer, after a redirection.
  mutating func add(_ line: some Collection<UInt8>) {
    let text = String(decoding: line, as: UTF8.self)
    if text.hasPrefix("HTTP/") {
      let parts = text.split(whereSeparator: \.isWhitespace)
      self = WebAnswer()
      status = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
    } else if fields.count < Self.mostFields, let colon = text.firstIndex(of: ":") {
      fields[text[..<colon].lowercased()] = text[text.index(after: colon)...]
        .trimmingCharacters(in: .whitespacesAndNewlines)
    }
  }
}

/// The reason of a failed fetch.
package struct WebFailure: Error {
  /// The kind, such as `timeout` or `http-404`.
  package var kind: String
  /// The message of the server or the library.
  package var detail: String
  /// The status of the answer; 0 without one.
  package var status: Int
  /// Whether another try may help.
  package var mayPass: Bool
  /// The seconds that the server asks to wait; 0 if it does not.
  package var retryAfter: Int

  /// Makes a failure.
  package init(
    kind: String, detail: String, status: Int = 0, mayPass: Bool = false, retryAfter: Int = 0
  ) {
    (self.kind, self.detail, self.status) = (kind, detail, status)
    (self.mayPass, self.retryAfter) = (mayPass, retryAfter)
  }

  /// The kinds of failures without an answer from a server.
  package static let unreachable: Set<String> = ["dns", "no-connection", "timeout"]
  /// Whether a server answered; nil if none was asked.
  package var isAnswered: Bool? {
    if Self.unreachable.contains(kind) { return false }
    let unasked = ["bad-address", "private-address", "reserved-address", "fetch-failed"]
    return unasked.contains(kind) ? nil : true
  }
  /// The kind of a fetch that its receiver ended.
  package static let stopped = "stopped"
}
