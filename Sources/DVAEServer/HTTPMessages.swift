/// A request, independent of its socket.
package struct HTTPRequest: Sendable {
  /// The method, such as GET or POST.
  package var method: String
  /// The path as the client sent it.
  package var path: String
  /// The query parameters in their order.
  package var query: [(name: String, value: String)]
  /// The headers that the service uses, by their names in lower case.
  package var headers: [String: String]
  /// The body.
  package var body: [UInt8]

  /// The names of the headers that the service uses.
  package static let readHeaders = ["accept", "content-length", "content-type", "host", "origin"]

  /// Makes a request.
  ///
  /// - Parameters:
  ///   - method: GET or POST, for example
  ///   - target: the path and the query
  ///   - headers: by their names in lower case
  ///   - body: empty by default
  package init(
    _ method: String, _ target: String, headers: [String: String] = [:], body: [UInt8] = []
  ) {
    self.method = method
    let parts = target.utf8.split(separator: UInt8(ascii: "?"), maxSplits: 1)
    path = target.utf8.first == UInt8(ascii: "?") ? "" : parts.first.map { String($0) ?? "" } ?? ""
    query = (parts.count > 1 ? parts[1] : "".utf8[...])
      .split(separator: UInt8(ascii: "&"))
      .map { setting in
        let pair = setting.split(
          separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
        return (String(pair[0]) ?? "", pair.count > 1 ? String(pair[1]) ?? "" : "")
      }
    self.headers = headers
    self.body = body
  }
}

/// A response.
package struct HTTPResponse: Sendable {
  /// The status; 200 for success.
  package var status: Int
  /// Headers in addition to the media type and those of every response.
  package var headers: [(name: String, value: String)] = []
  /// The media type of the body.
  package var mediaType: String
  /// The body.
  package var body: [UInt8]

  /// Makes a response.
  package init(status: Int = 200, _ mediaType: String, _ body: [UInt8]) {
    self.status = status
    self.mediaType = mediaType
    self.body = body
  }
}

/// The media types that the service reads and writes.
package enum MediaType {
  package static let html = "text/html; charset=utf-8"
  package static let jpeg = "image/jpeg"
  package static let json = "application/json"
  package static let metrics = "text/plain; version=0.0.4; charset=utf-8"
  package static let npy = "application/x-npy"
  package static let png = "image/png"
  package static let safetensors = "application/x-safetensors"

  /// Returns the type that a client prefers, the first of equals; nil if it accepts none of them
  /// (RFC 9110, section 12.5.1).
  package static func preferred(_ offered: [String], accept: String?) -> String? {
    guard let accept, !accept.isEmpty else { return offered.first }
    let ranges = accept.utf8.split(separator: UInt8(ascii: ",")).prefix(64).map(AcceptedRange.init)
    var best: (type: String, quality: Double)?
    for type in offered {
      let match = ranges.filter { $0.covers(type) }.max { $0.precision < $1.precision }
      guard let match, match.quality > 0, match.quality > best?.quality ?? 0 else { continue }
      best = (type, match.quality)
    }
    return best?.type
  }
}

/// One entry of an Accept header: a type, `image/*` or `*/*`, and its quality value.
private struct AcceptedRange {
  let type: String
  let quality: Double

  init(_ text: Substring.UTF8View) {
    let parts = text.split(separator: UInt8(ascii: ";")).map { part in
      String(decoding: part.filter { $0 != 0x20 && $0 != 0x09 }, as: UTF8.self).lowercased()
    }
    type = parts.first ?? ""
    let quality = parts.dropFirst().first { $0.hasPrefix("q=") }
    self.quality = quality.map { Double($0.dropFirst(2)) ?? 0 } ?? 1
  }

  /// The number of parts that are not wildcards.
  var precision: Int { type == "*/*" ? 0 : type.hasSuffix("/*") ? 1 : 2 }

  func covers(_ offered: String) -> Bool {
    switch precision {
    case 0: true
    case 1: offered.hasPrefix(type.dropLast())
    default: offered == type
    }
  }
}
