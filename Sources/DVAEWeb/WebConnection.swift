internal import CDVAEWebFetch

/// A client of web servers that keeps connections open between fetches.
///
/// A fetch blocks its thread; one thread at a time may use a connection.
package final class WebConnection: @unchecked Sendable {
  private let handle: OpaquePointer

  /// Opens a client; nil if memory is exhausted.
  package init?() {
    guard let handle = dvae_fetch_open() else { return nil }
    self.handle = handle
  }

  deinit { dvae_fetch_close(handle) }

  /// Returns whether a numeric address may be fetched from without permission.
  package static func isPublic(_ digits: String) -> Bool { dvae_fetch_address_kind(digits) == 0 }

  /// Returns the host and port of an address in canonical form, by which limits apply; empty if it
  /// has no host.
  ///
  /// `http://me@HOST:80/`, `http://host./` and `http://host/` are the same host, and so are
  /// `http://bücher.example/` and `http://xn--bcher-kva.example/`.
  package static func host(of address: String) -> String {
    // C would take the address for one that ends there.
    guard !address.utf8.contains(0) else { return "" }
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { host in
      host.initialize(repeating: 0)
      guard dvae_fetch_host(address, host.baseAddress, host.count) == 0 else { return "" }
      return host.baseAddress.map { String(cString: $0) } ?? ""
    }
  }

  /// Fetches a file into memory.
  package func fetch(_ request: WebRequest) throws(WebFailure) -> [UInt8] {
    var bytes: [UInt8] = []
    try fetch(request) { _, more in
      bytes.append(contentsOf: more)
      return true
    }
    return bytes
  }

  /// Fetches a file piece by piece.
  ///
  /// - Parameters:
  ///   - request: the address and the limits
  ///   - take: takes the head of an answer with a status of 2xx and the next bytes of its body;
  ///     returns whether to go on
  /// - Returns: the head of the answer
  /// - Throws: a failure, also for a status other than 2xx; `WebFailure.stopped` if `take` ended it
  @discardableResult
  package func fetch(
    _ request: WebRequest, take: (WebAnswer, UnsafeBufferPointer<UInt8>) -> Bool
  ) throws(WebFailure) -> WebAnswer {
    guard !request.address.utf8.contains(0) else {
      throw WebFailure(kind: "bad-address", detail: "the address has a NUL byte")
    }
    var result = dvae_fetch_result()
    let (status, answer) = withoutActuallyEscaping(take) { take in
      let receiver = Receiver(take)
      let status = perform(request, receiver, &result)
      return (status, receiver.answer)
    }
    if status == Int32(DVAE_FETCH_OK.rawValue) { return answer }
    throw Self.failure(status, result)
  }

  private func perform(
    _ request: WebRequest, _ receiver: Receiver, _ result: inout dvae_fetch_result
  ) -> Int32 {
    withCStrings(
      [request.address, request.userAgent, request.robotsName] + request.headers
    ) { strings in
      let headers = Array(strings[3...]) + [nil]
      return headers.withUnsafeBufferPointer { headers in
        var c = dvae_fetch_request()
        c.address = strings[0]
        c.user_agent = strings[1]
        c.headers = headers.baseAddress
        c.connect_milliseconds = Int(request.connectTimeout * 1000)
        c.total_milliseconds = request.timeout.map { Int($0 * 1000) } ?? 0
        c.slow_bytes = request.slowest
        c.slow_seconds = request.slowSeconds
        c.redirects = request.redirects
        c.bytes = request.maxBytes
        c.allow_private = request.allowPrivate ? 1 : 0
        c.allow_proxy = request.allowProxy ? 1 : 0
        c.decompress = request.decompress ? 1 : 0
        c.robots_name = strings[2]
        c.context = Unmanaged.passUnretained(receiver).toOpaque()
        c.header = { context, line, count in
          Receiver.at(context).answer.add(UnsafeRawBufferPointer(start: line, count: count))
        }
        c.take = { context, bytes, count in
          let receiver = Receiver.at(context)
          let bytes = UnsafeBufferPointer(start: bytes, count: count)
          return receiver.take(receiver.answer, bytes) ? 0 : 1
        }
        return withExtendedLifetime(receiver) { dvae_fetch(handle, &c, &result) }
      }
    }
  }

  private static func failure(_ status: Int32, _ result: dvae_fetch_result) -> WebFailure {
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
      case Int32(DVAE_FETCH_RESERVED.rawValue): ("reserved-address", false)
      case Int32(DVAE_FETCH_CONNECTION.rawValue): ("no-connection", true)
      case Int32(DVAE_FETCH_TIMEOUT.rawValue): ("timeout", true)
      case Int32(DVAE_FETCH_TLS.rawValue): ("tls", false)
      case Int32(DVAE_FETCH_CUT.rawValue): ("cut-connection", true)
      case Int32(DVAE_FETCH_TOO_LARGE.rawValue): ("too-large", false)
      case Int32(DVAE_FETCH_ROBOTS.rawValue): ("robots-tag", false)
      case Int32(DVAE_FETCH_REDIRECTS.rawValue): ("too-many-redirects", false)
      case Int32(DVAE_FETCH_STOPPED.rawValue): (WebFailure.stopped, false)
      default: ("fetch-failed", false)
      }
    return WebFailure(
      kind: kind, detail: message.isEmpty ? kind : message, status: Int(result.http_status),
      mayPass: mayPass,
      retryAfter: Int(result.retry_after))
  }
}

/// The receiver of an answer, as C's callbacks see it.
private final class Receiver {
  var answer = WebAnswer()
  let take: (WebAnswer, UnsafeBufferPointer<UInt8>) -> Bool

  init(_ take: @escaping (WebAnswer, UnsafeBufferPointer<UInt8>) -> Bool) { self.take = take }

  static func at(_ context: UnsafeMutableRawPointer!) -> Receiver {
    Unmanaged<Receiver>.fromOpaque(context).takeUnretainedValue()
  }
}

/// Passes texts to C, nil as a null pointer.
private func withCStrings<Result>(
  _ texts: [String?], _ body: ([UnsafePointer<CChar>?]) -> Result
) -> Result {
  func next(_ pointers: [UnsafePointer<CChar>?]) -> Result {
    guard pointers.count < texts.count else { return body(pointers) }
    guard let text = texts[pointers.count] else { return next(pointers + [nil]) }
    return text.withCString { next(pointers + [$0]) }
  }
  return next([])
}
