import DVAEFiles
import DVAEImages
import DVAEKit
import DVAEPreparation
import DVAEWeb
import DVAEServer
import Foundation

extension Target {
  /// Requests, answers and addresses.
  static let network =
    [
      Target("service", requests, read: service),
      Target("fetch", answers, read: fetch),
      Target(
        "address", texts("http://me@Host.example.:80/a?b#c", "[::ffff:10.0.0.1]", "2002:7f00:1::")
      ) { bytes in
        let text = String(decoding: bytes.filter { $0 != 0 }, as: UTF8.self)
        _ = WebConnection.host(of: text)
        _ = WebConnection.isPublic(text)
      },
    ] + sockets

  // MARK: Servers

  private static let requests =
    texts(
      "GET /healthz?a=b HTTP/1.1\r\nHost: localhost\r\nAccept: application/json;q=0.5, */*\r\n\r\n",
      post("/v1/decode", #"{"tokens":[[1,2],[3,4]]}"#),
      post("/v1/decode", #"{"tokens":[1,2],"shape":[1,2]}"#),
      post("/v1/patches", #"{"codes":[0,1]}"#), post("/v1/tokenize?crop=center&upscale=true", ""))
    + ((try? fixtures("codecs", "8x8.jpg", "rgb8.png")) ?? []).map {
      Array(post("/v1/reconstruct?upscale=true", "", $0.count).utf8) + $0
    }

  private static func post(_ target: String, _ body: String, _ count: Int? = nil) -> String {
    "POST \(target) HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(count ?? body.utf8.count)\r\n\r\n"
      + body
  }

  private static let served = Result {
    var settings = Service.Settings()
    settings.preprocessing.resolution = 16
    settings.limits = limits
    let sources = URL(filePath: fixturesFolder).deletingLastPathComponent()
      .deletingLastPathComponent()
      .appending(path: "Sources/DVAEServer/Resources").path
    return try Service(
      DiscreteVAE.load(WeightsLocation(fixturesFolder + "tiny")), settings, Assets(folder: sources))
  }

  /// Answers a request, split at its blank line, without a socket.
  @Sendable private static func service(_ bytes: [UInt8]) throws {
    let end = bytes.firstRange(of: Array("\r\n\r\n".utf8))
    let lines = String(decoding: bytes[..<(end?.lowerBound ?? bytes.endIndex)], as: UTF8.self)
      .split(separator: "\r\n", omittingEmptySubsequences: false)
    let words = (lines.first ?? "").split(separator: " ", omittingEmptySubsequences: false)
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
      let parts = line.split(separator: ":", maxSplits: 1)
      if parts.count == 2 {
        headers[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces)
      }
    }
    let request = HTTPRequest(
      String(words.first ?? ""), String(words.dropFirst().first ?? ""), headers: headers,
      body: end.map { Array(bytes[$0.upperBound...]) } ?? [])
    let service = try served.get()
    let response = service.refusal(of: request) ?? service.handle(request)
    precondition(
      (200..<600).contains(response.status) && response.status != 500, "status \(response.status)")
  }

  #if Server
  private static let sockets = [Target("serve", requests, read: serve)]

  private static let server = Result {
    // Most inputs are incomplete requests: their connections last as long as the time limit.
    try HTTPServer(
      served.get(), host: "127.0.0.1", port: 0, connections: 512, seconds: 1)
  }

  /// Sends bytes to the server; it must close the connection.
  @Sendable private static func serve(_ bytes: [UInt8]) throws {
    let connection = try Loopback.connect(to: UInt16(server.get().port))
    connection.send(bytes)
    connection.endSending()
    connection.readToEnd()
  }
  #else
  private static let sockets: [Target] = []
  #endif

  // MARK: Clients

  private static let answers =
    texts(
      "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nETag: \"a\"\r\n\r\nbody",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Robots-Tag: swift-dvae: noai, none\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
      "HTTP/1.0 503 Busy\r\nRetry-After: 1\r\n\r\n", "HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n")
    + [
      Array("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n".utf8)
        + [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 0x4B, 4, 0, 0x43, 0xBE, 0xB7, 0xE8, 1, 0, 0, 0]
    ]

  /// A server that answers every request with the input.
  private static let answering = Result { try Loopback.Server() }

  private static let fetcher: Fetcher = {
    var settings = FetchSettings()
    settings.hostDelay = 0
    settings.allowPrivate = true
    settings.retries = 0
    settings.redirects = 0
    settings.timeout = 5
    return Fetcher(settings, maxBytes: limits.maximumBytes)
  }()

  @Sendable private static func fetch(_ bytes: [UInt8]) throws {
    let server = try answering.get()
    server.answer = bytes
    _ = try waiting {
      do throws(WebFailure) {
        return try await fetcher.fetch("http://127.0.0.1:\(server.port)/a.jpg").count
          <= limits.maximumBytes
      } catch {
        return error.kind.isEmpty
      }
    }
  }
}
