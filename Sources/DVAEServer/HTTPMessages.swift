/// A request, without the socket that it came from.
package struct HTTPRequest: Sendable {
  /// GET, POST.
  package var method: String
  /// The path, as the client sent it.
  package var path: String
  /// The settings behind the question mark, in their order.
  package var query: [(name: String, value: String)]
  /// The headers that the service reads, by their names in lower case.
  package var headers: [String: String]
  /// The body.
  package var body: [UInt8]

  /// The headers that the service reads.
  package static let readHeaders = ["accept", "content-length", "host", "origin"]

  /// Makes a request.
  ///
  /// - Parameters:
  ///   - method: GET or POST, for example
  ///   - target: the path and the query
  ///   - headers: by their names in lower case
  ///   - body: empty unless given
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
  /// The status: 200 if all is well.
  package var status: Int
  /// Headers beside the media type and those of every response.
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

  /// Returns the type that a client wants most, the first of equals; nil if it takes none of them
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

/// One entry of an Accept header: a type, `image/*` or `*/*`, and how much it is wanted.
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

  /// The number of parts that are named.
  var precision: Int { type == "*/*" ? 0 : type.hasSuffix("/*") ? 1 : 2 }

  func covers(_ offered: String) -> Bool {
    switch precision {
    case 0: true
    case 1: offered.hasPrefix(type.dropLast())
    default: offered == type
    }
  }
}
