import DVAETestSupport
import DVAEFiles
import DVAEWeb
import Foundation
import Testing

@Suite struct DownloadTests {
  let folder = TemporaryFolder()
  let body = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 7) }

  private func download(_ server: LoopbackServer) throws -> Download {
    var download = Download(server.base + "/encoder.pkl", to: folder.path + "/models/encoder.pkl")
    download.pause = 0.01
    download.timeout = 5
    return download
  }

  private func run(_ download: Download) async throws {
    let body = body
    try await download.run(progress: { _, _ in }) { path in
      guard try [UInt8](Data(contentsOf: URL(fileURLWithPath: path))) == body else {
        throw DVAEError(.badData, "not the right bytes")
      }
    }
  }

  private func expectComplete(_ download: Download) throws {
    #expect(try [UInt8](Data(contentsOf: URL(fileURLWithPath: download.destination))) == body)
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path + "/models")
    #expect(names == ["encoder.pkl"])
  }

  /// libcurl before 8.1 continued the last line of an earlier answer, in memory that it had freed; only a
  /// memory checker sees that: `Scripts/fuzz.sh fetch`, with such an answer as a seed.
  @Test func firstLineThatContinuesNoneIsHarmless() throws {
    let server = try LoopbackServer { _, earlier in
      let folded = "\r\n " + String(repeating: "x", count: 40 + earlier % 64)
      return .init(status: "200 OK" + (earlier % 2 == 0 ? "" : folded), body: [1, 2], stray: [])
    }
    let connection = try #require(WebConnection())
    for number in 0..<200 {
      var request = WebRequest("\(server.base)/\(number)", maxBytes: 10)
      request.allowPrivate = true
      #expect(try connection.fetch(request) == [1, 2])
    }
  }

  @Test func wholeFileArrives() async throws {
    let body = body
    let server = try LoopbackServer { request, _ in .file(body, for: request) }
    let download = try download(server)
    try await run(download)
    try expectComplete(download)
    #expect(server.requests.map(\.path) == ["/encoder.pkl"])
  }

  @Test func cutConnectionsAreContinued() async throws {
    let body = body
    let server = try LoopbackServer { request, count in
      .file(body, for: request, cut: count < 2 ? 100_000 : nil)
    }
    let download = try download(server)
    try await run(download)
    try expectComplete(download)
    #expect(
      server.requests.map { $0.headers["range"] } == [nil, "bytes=100000-", "bytes=200000-"])
  }

  @Test func redirectionsWithoutEndAreSaidAsSuch() async throws {
    let server = try LoopbackServer { _, _ in
      .init(status: "302 Found", headers: ["Location: /encoder.pkl"])
    }
    let download = try download(server)
    let error = await #expect(throws: DVAEError.self) { try await run(download) }
    #expect(error?.kind == .inputOutput && error?.problem.contains("redirects") == true)
  }

  @Test func laterCommandContinuesWhatIsHere() async throws {
    let body = body
    let server = try LoopbackServer { request, count in
      .file(body, for: request, cut: count == 0 ? 123_456 : nil)
    }
    var download = try download(server)
    download.attempts = 1
    let error = await #expect(throws: DVAEError.self) { try await run(download) }
    #expect(error?.kind == .inputOutput && error?.advice?.contains("is kept") == true)
    #expect(!FileManager.default.fileExists(atPath: download.destination))
    try await run(download)
    try expectComplete(download)
    #expect(server.requests.last?.headers["range"] == "bytes=123456-")
  }

  @Test func completeFileIsNotFetchedAgain() async throws {
    let server = try LoopbackServer { _, _ in .init(status: "416 Range Not Satisfiable") }
    let download = try download(server)
    try FileManager.default.createDirectory(
      atPath: folder("models"), withIntermediateDirectories: true)
    try write(body, to: download.partial)
    let validator = #"{"url":"\#(download.address)","tag":"\"one\"","length":\#(body.count)}"#
    try write(Array(validator.utf8), to: download.partial + ".json")
    try await run(download)
    try expectComplete(download)
    #expect(server.requests.isEmpty)
  }

  @Test func changedFileStartsOver() async throws {
    let body = body
    let old = [UInt8](repeating: 7, count: 250_000)
    let server = try LoopbackServer { request, count in
      count == 0
        ? .file(old, for: request, tag: "\"old\"", cut: 50_000) : .file(body, for: request)
    }
    let download = try download(server)
    try await run(download)
    try expectComplete(download)
  }

  @Test func serverThatIgnoresRangesSendsAllAgain() async throws {
    let body = body
    let server = try LoopbackServer { _, count in
      .init(headers: ["ETag: \"one\""], body: body, cut: count == 0 ? 70_000 : nil)
    }
    let download = try download(server)
    try await run(download)
    try expectComplete(download)
  }

  @Test func serverWithoutTagsIsNeverContinued() async throws {
    let body = body
    let server = try LoopbackServer { _, count in .init(body: body, cut: count == 0 ? 70_000 : nil)
    }
    let download = try download(server)
    try await run(download)
    try expectComplete(download)
    #expect(server.requests.allSatisfy { $0.headers["range"] == nil })
  }

  @Test func wrongPlaceIsNotGlued() async throws {
    let body = body
    let server = try LoopbackServer { request, count in
      switch count {
      case 0: .file(body, for: request, cut: 60_000)
      case 1:
        .init(
          status: "206 Partial Content",
          headers: ["Content-Range: bytes 50000-299999/300000"], body: Array(body[50_000...]))
      default: .file(body, for: request)
      }
    }
    let download = try download(server)
    try await run(download)
    try expectComplete(download)
  }

  @Test func missingFileIsSaid() async throws {
    let server = try LoopbackServer { _, _ in .init(status: "404 Not Found") }
    let download = try download(server)
    let error = await #expect(throws: DVAEError.self) { try await run(download) }
    #expect(error?.kind == .missing)
    #expect(error?.description.contains("404") == true)
    #expect(server.requests.count == 1)
    #expect(!FileManager.default.fileExists(atPath: folder("models")))
  }

  /// A body without end is not kept.
  @Test func tooLargeFileIsRefused() async throws {
    let body = body
    let server = try LoopbackServer { request, _ in .file(body, for: request) }
    var download = try download(server)
    download.maxBytes = body.count - 1
    let error = await #expect(throws: DVAEError.self) { try await run(download) }
    #expect(error?.kind == .inputOutput)
    #expect(!FileManager.default.fileExists(atPath: download.destination))
  }

  /// A line break in the remembered version would begin another header.
  @Test func damagedVersionStartsOver() async throws {
    let body = body
    let server = try LoopbackServer { request, _ in .file(body, for: request) }
    let download = try download(server)
    try FileManager.default.createDirectory(
      atPath: folder("models"), withIntermediateDirectories: true)
    try write(Array(body[..<1000]), to: download.partial)
    let version = #"{"url":"\#(download.address)","tag":"a\r\nX-Injected: 1","length":300000}"#
    try write(Array(version.utf8), to: download.partial + ".json")
    try await run(download)
    try expectComplete(download)
    #expect(server.requests.map { $0.headers["range"] } == [nil])
    #expect(server.requests.allSatisfy { $0.headers["x-injected"] == nil })
  }

  @Test func webPageIsRefused() async throws {
    let server = try LoopbackServer { _, _ in
      .init(headers: ["Content-Type: text/html"], body: Array("<html>log in</html>".utf8))
    }
    let download = try download(server)
    let error = await #expect(throws: DVAEError.self) { try await run(download) }
    #expect(error?.kind == .badData)
    #expect(error?.description.contains("web page") == true)
    #expect(!FileManager.default.fileExists(atPath: folder("models")))
    #expect(!FileManager.default.fileExists(atPath: folder("models")))
  }

  @Test func contentThatFailsVerificationIsRemoved() async throws {
    let server = try LoopbackServer { _, _ in .init(body: Array("not weights".utf8)) }
    let download = try download(server)
    let error = await #expect(throws: DVAEError.self) { try await run(download) }
    #expect(error?.kind == .badData)
    #expect(!FileManager.default.fileExists(atPath: folder("models")))
  }

  @Test func busyServerIsTriedAgain() async throws {
    let body = body
    let server = try LoopbackServer { request, count in
      count == 0 ? .init(status: "503 Service Unavailable") : .file(body, for: request)
    }
    let download = try download(server)
    try await run(download)
    try expectComplete(download)
  }

  @Test func deadAddressIsAnErrorInTime() async throws {
    var download = Download(
      "http://127.0.0.1:1/encoder.pkl", to: folder.path + "/models/encoder.pkl")
    download.attempts = 1
    let error = await #expect(throws: DVAEError.self) { try await run(download) }
    #expect(error?.kind == .inputOutput && error?.advice?.contains("check the address") == true)
  }
}
