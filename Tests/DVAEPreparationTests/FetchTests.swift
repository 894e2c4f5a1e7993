import DVAETestSupport
import DVAEFiles
import DVAEPreparation
import DVAEWeb
import Foundation
import DVAEImages
import Synchronization
import Testing

@Suite struct FetchTests {
  let folder = TemporaryFolder()

  /// Prepares a table of addresses; counts the drops by reason, and the rest under "".
  private func prepare(
    _ addresses: [String], _ fetch: FetchSettings, maxBytes: Int = 1 << 20
  ) async throws -> [String: Int] {
    // With an image that is there, no failure ends the job.
    try write(
      encodeJPEG(testPicture(99, width: 8, height: 8), quality: 80), to: folder("there.jpg"))
    let lines = (addresses + ["there.jpg"]).map { "a picture of something\t\($0)\n" }
    try write(Array(lines.joined().utf8), to: folder("t.tsv"))
    var settings = PreparationSettings(
      sources: [folder("t.tsv")], filters: FilterSettings(.none))
    settings.image.maxBytes = maxBytes
    settings.source.captionColumn = "1"
    settings.source.imageColumn = "2"
    let job = try Preparation(settings, fetch: fetch, threads: 2)
    let output = folder("out-\(UUID().uuidString)")
    let funnel = try await job.run(output, progress: { _ in }).funnel
    var drops: [String: Int] = ["": funnel.left - 1]
    for reason in funnel.stages.flatMap(\.drops) where reason.count > 0 {
      drops[reason.reason] = reason.count
    }
    return drops
  }

  private var quick: FetchSettings {
    var settings = FetchSettings()
    settings.allowPrivate = true
    settings.timeout = 1
    settings.pause = 0.01
    settings.redirects = 3
    settings.hostDelay = 0
    return settings
  }

  /// A server that is gone stops the job, which goes on where the server was lost, to the same bytes.
  @Test func aNetworkThatGoesAwayLeavesTheRestToBeDone() async throws {
    let pictures = try (0..<40).map {
      try encodeJPEG(testPicture($0, width: 8, height: 8), quality: 80)
    }
    @Sendable func picture(_ request: LoopbackServer.Request) -> LoopbackServer.Answer {
      .init(body: pictures[Int(request.path.dropFirst()) ?? 0])
    }
    let isGone = Mutex(false)
    var server: LoopbackServer? = try LoopbackServer { request, number in
      // In the second job images are fetched ahead, but not all of them.
      while number >= 56, !isGone.withLock(\.self) { usleep(1000) }
      return picture(request)
    }
    let port = try #require(server?.port)
    let lines = (0..<40).map { "picture number \($0) of some\thttp://127.0.0.1:\(port)/\($0)\n" }
    try write(Array(lines.joined().utf8), to: folder("t.tsv"))
    var settings = PreparationSettings(
      sources: [folder("t.tsv")], filters: FilterSettings(.none))
    settings.source.captionColumn = "1"
    settings.source.imageColumn = "2"
    var fetch = quick
    // No image is lost to a time-out on a busy machine.
    (fetch.perHost, fetch.retries, fetch.timeout) = (1, 0, 60)
    let job = try Preparation(settings, fetch: fetch, threads: 2)
    _ = try await job.run(folder("whole"), progress: { _ in })

    for start in [JobStart.fresh, .resuming] {
      let error = await #expect(throws: DVAEError.self) {
        try await job.run(folder("out"), start: start, rowsPerCommit: 1) { rows in
          guard rows == 12 else { return }
          server = nil
          isGone.withLock { $0 = true }
        }
      }
      #expect(error?.kind == .inputOutput)
      #expect(!FileManager.default.fileExists(atPath: folder("out")))
    }
    server = try LoopbackServer(port: port) { request, _ in picture(request) }
    let summary = try await job.run(folder("out"), start: .resuming, progress: { _ in })
    #expect(summary.resumed >= 12 && summary.resumed < 32)
    #expect(summary.funnel.left == 40)
    for name in try FileManager.default.contentsOfDirectory(atPath: folder("whole")) {
      #expect(try bytes(folder("out/\(name)")) == bytes(folder("whole/\(name)")), "\(name)")
    }
    server = nil
  }

  /// A host's limits apply to all spellings of its address.
  @Test(arguments: [
    ("http://HOST.example:80/a", "host.example:80"), ("http://u1@host.example/", "host.example:80"),
    ("http://u:p@host.example./a?b@c", "host.example:80"),
    ("https://host.example", "host.example:443"),
    ("https://host.example:8443/", "host.example:8443"),
    ("http://h%6Fst.example/", "host.example:80"),
    ("http://127.1/", "127.0.0.1:80"), ("http://[::1]:80/", "[::1]:80"), ("nothing", ""),
  ])
  func hostsHaveOneSpelling(_ address: String, _ host: String) {
    let found = WebConnection.host(of: address)
    #expect(found == host || (host.isEmpty && !found.contains("://")))
  }

  #if os(Linux)
  /// Names in other scripts are converted whatever the locale; other libcurls may lack this.
  @Test func namesInOtherScriptsAreFetched() async throws {
    let jpeg = try encodeJPEG(testPicture(1), quality: 80)
    let server = try LoopbackServer { _, _ in .init(body: jpeg) }
    let base = server.base.replacingOccurrences(of: "127.0.0.1", with: "b\u{FC}cher.localhost")
    #expect(WebConnection.host(of: base).hasPrefix("xn--bcher-kva.localhost:"))
    #expect(try await prepare([base + "/a"], quick) == ["": 1])
    // The check of the address follows the conversion.
    var careful = quick
    careful.allowPrivate = false
    #expect(try await prepare([base + "/a"], careful) == ["": 0, "private-address": 1])
  }
  #endif

  /// C would fetch what precedes the byte.
  @Test func addressesWithANULByteAreRefused() async throws {
    let server = try LoopbackServer { _, _ in .init() }
    #expect(WebConnection.host(of: server.base + "/a\0b").isEmpty)
    let drops = try await prepare([server.base + "/a\0b"], quick)
    #expect(drops == ["": 0, "bad-address": 1] && server.requests.isEmpty)
  }

  /// Stray bytes after an answer precede the next one on the same connection; a new one helps.
  @Test func strayBytesCostNoImage() async throws {
    let jpeg = try encodeJPEG(testPicture(1), quality: 80)
    let server = try LoopbackServer { _, _ in .init(body: jpeg, stray: Array("\r\n\n".utf8)) }
    var settings = quick
    settings.connections = 1
    settings.perHost = 1
    settings.retries = 0
    let addresses = (0..<4).map { "\(server.base)/\($0)" }
    #expect(try await prepare(addresses, settings) == ["": 4])
  }

  /// Unrequested compression, and unknown encodings.
  @Test func compressedAnswersAreDecoded() async throws {
    let jpeg = try encodeJPEG(testPicture(1), quality: 80)
    @Sendable func deflate(_ content: [UInt8]) -> [UInt8] {
      let count = UInt16(content.count)
      return [1] + littleEndian(count) + littleEndian(~count) + content
    }
    @Sendable func gzip(_ content: [UInt8]) -> [UInt8] {
      [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3] + deflate(content)
        + littleEndian(content.withUnsafeBytes(ZipArchive.crc32))
        + littleEndian(UInt32(content.count))
    }
    let members = gzip(Array(jpeg[..<100])) + gzip([]) + gzip(Array(jpeg[100...]))
    // 4096 zeros.
    let bomb: [UInt8] = [
      0x1F, 0x8B, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xED, 0xC1, 0x01, 0x0D, 0x00,
      0x00, 0x00, 0xC2, 0xA0, 0xF7, 0x4F, 0x6D, 0x0F, 0x07, 0x14, 0x00, 0x00, 0x00, 0xF0, 0x6E,
      0x11, 0x00, 0x1C, 0xC7, 0x00, 0x10, 0x00, 0x00,
    ]
    let server = try LoopbackServer { request, _ in
      switch request.path {
      case "/bomb": .init(headers: ["Content-Encoding: gzip"], body: bomb)
      case "/gzip": .init(headers: ["Content-Encoding: gzip"], body: gzip(jpeg))
      case "/members": .init(headers: ["Content-Encoding: x-gzip"], body: members)
      case "/twice": .init(headers: ["Content-Encoding: deflate, gzip"], body: gzip(deflate(jpeg)))
      case "/none": .init(headers: ["Content-Encoding: utf-8"], body: jpeg)
      case "/behind": .init(headers: ["Content-Encoding: gzip"], body: members + [0, 0, 0])
      case "/lie": .init(headers: ["Content-Encoding: gzip"], body: jpeg)
      default: .init(body: jpeg)
      }
    }
    let names = ["gzip", "none", "behind", "lie", "plain", "members", "twice"]
    let addresses = names.map { "\(server.base)/\($0)" }
    #expect(try await prepare(addresses, quick) == ["": names.count])
    #expect(try await prepare(["  \(addresses[4])  "], quick) == ["": 1])
    #expect(server.requests.allSatisfy { $0.headers["accept-encoding"] == "identity" })
    #expect(try await prepare([addresses[0]], quick, maxBytes: jpeg.count - 1)["too-large"] == 1)
    // The limit is named, and what it is compared with.
    let limit = "more bytes than the limit of \(jpeg.count - 1)"
    for (name, ending) in [("bomb", limit + " after decompression"), ("plain", limit)] {
      var request = WebRequest("\(server.base)/\(name)", maxBytes: jpeg.count - 1)
      (request.allowPrivate, request.decompress) = (true, true)
      let connection = try #require(WebConnection())
      let failure = #expect(throws: WebFailure.self) { try connection.fetch(request) }
      #expect(failure?.detail.hasSuffix(ending) == true, "\(failure?.detail ?? "")")
    }
  }

  /// Every kind of server failure is survived and counted under its kind.
  @Test func everyFailureIsCounted() async throws {
    let jpeg = try encodeJPEG(testPicture(1), quality: 80)
    let server = try LoopbackServer { request, _ in
      switch request.path {
      case "/good", "/good-again": .init(headers: ["Content-Type: image/jpeg"], body: jpeg)
      // The content decides, not the headers.
      case "/called-html": .init(headers: ["Content-Type: text/html"], body: jpeg)
      case "/called-jpeg":
        .init(headers: ["Content-Type: image/jpeg"], body: Array("<html>gone</html>".utf8))
      case "/moved": .init(status: "302 Found", headers: ["Location: /good"])
      case "/itself": .init(status: "302 Found", headers: ["Location: /itself"])
      case "/metadata":
        .init(status: "302 Found", headers: ["Location: http://169.254.169.254/latest"])
      case "/file": .init(status: "302 Found", headers: ["Location: file:///etc/passwd"])
      case "/forbidden": .init(status: "403 Forbidden")
      case "/broken": .init(status: "503 Service Unavailable")
      case "/cut": .init(body: jpeg, cut: jpeg.count / 2)
      case "/slow": .init(body: jpeg, drip: 0.05)
      case "/large": .init(headers: ["Content-Length: 2000000"], cut: 0)
      case "/endless":
        .init(headers: ["Content-Length-Unknown: yes"], body: [UInt8](repeating: 1, count: 2 << 20))
      default: .init(status: "404 Not Found")
      }
    }
    let paths = [
      "good", "called-html", "called-jpeg", "moved", "itself", "metadata", "file", "forbidden",
      "broken", "cut", "slow", "large", "endless", "missing", "good-again",
    ]
    let others = [
      // A closed port; a server without TLS; a label of a name has at most 63 letters.
      "http://127.0.0.1:1/", server.base.replacingOccurrences(of: "http:", with: "https:") + "/",
      "http://" + String(repeating: "a", count: 64) + ".test/", "ftp://127.0.0.1/a.jpg", "http://",
    ]
    let drops = try await prepare(paths.map { server.base + "/" + $0 } + others, quick)
    #expect(
      drops == [
        "": 4, "not-an-image": 1, "too-many-redirects": 1, "reserved-address": 1,
        "bad-address": 3,
        "http-403": 1, "http-503": 1, "cut-connection": 1, "timeout": 1, "too-large": 2,
        "http-404": 1, "no-connection": 1, "tls": 1, "dns": 1,
      ])
    // Temporary failures are tried twice, permanent ones once.
    let tries = { path in server.requests.count { $0.path == path } }
    #expect(tries("/broken") == 2 && tries("/cut") == 2 && tries("/slow") == 2)
    #expect(tries("/forbidden") == 1 && tries("/missing") == 1 && tries("/itself") == 4)
  }

  @Test func privateAddressesAreNotAsked() async throws {
    let server = try LoopbackServer { _, _ in .init() }
    var settings = quick
    settings.allowPrivate = false
    let port = server.base.split(separator: ":").last ?? ""
    let hosts = ["127.0.0.1", "localhost", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]", "0"]
    #expect(
      try await prepare(hosts.map { "http://\($0):\(port)/" }, settings)
        == ["": 0, "private-address": 5, "reserved-address": 1])
    #expect(server.requests.isEmpty)
  }

  @Test(arguments: [
    ("8.8.8.8", true), ("172.15.0.1", true), ("172.32.0.1", true), ("2606:4700::1", true),
    ("9.255.255.255", true), ("11.0.0.0", true), ("100.128.0.1", true),
    ("10.0.0.1", false), ("127.8.9.1", false), ("172.16.0.1", false), ("172.31.255.255", false),
    ("192.168.1.1", false), ("169.254.169.254", false), ("100.64.0.1", false), ("0.0.0.0", false),
    ("224.0.0.1", false), ("255.255.255.255", false), ("198.18.0.1", false), ("::1", false),
    ("::", false), ("fe80::1", false), ("fd00::1", false), ("::ffff:10.0.0.1", false),
    ("64:ff9b::a00:1", false), ("64:ff9b:1::808:808", false), ("64:ff9b::808:808", true),
    ("3fff::1", false), ("3fff:fff::1", false), ("3fff:1000::1", true), ("2002:a00:1::", false),
    ("2001:db8::1", false), ("ff02::1", false),
  ])
  func publicAddressesAreTold(_ address: String, _ isPublic: Bool) {
    #expect(WebConnection.isPublic(address) == isPublic)
  }

  /// No host gets more requests at a time than allowed, and none waits for another.
  @Test func hostsAreTreatedPolitely() async throws {
    let jpeg = try encodeJPEG(testPicture(1), quality: 80)
    let running = Mutex((now: 0, most: 0))
    let server = try LoopbackServer { _, _ in
      running.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
      Thread.sleep(forTimeInterval: 0.02)
      running.withLock { $0.now -= 1 }
      return .init(body: jpeg)
    }
    var settings = quick
    settings.perHost = 3
    settings.timeout = 30
    let addresses = (0..<24).map { "\(server.base)/\($0)" }
    #expect(try await prepare(addresses, settings) == ["": 24])
    #expect((2...3).contains(running.withLock { $0.most }))
  }

  /// Fetches from one host start with pauses between them; those from another do not wait.
  @Test func fetchesOfAHostBeginApart() async throws {
    let jpeg = try encodeJPEG(testPicture(1), quality: 80)
    let times = Mutex<[ContinuousClock.Instant]>([])
    let slow = try LoopbackServer { _, _ in
      times.withLock { $0.append(.now) }
      return .init(body: jpeg)
    }
    let other = try LoopbackServer { _, _ in .init(body: jpeg) }
    var settings = quick
    settings.hostDelay = 0.1
    settings.timeout = 30
    let start = ContinuousClock.now
    let addresses = (0..<8).map { "\(slow.base)/\($0)" } + ["\(other.base)/a"]
    #expect(try await prepare(addresses, settings) == ["": 9])
    // However late a request arrives, the last one started after seven pauses.
    #expect(try #require(times.withLock { $0.max() }) - start >= .milliseconds(700))
    #expect(other.requests.count == 1)
  }

  /// If a host asks for a pause, all its fetches wait.
  @Test func hostsMayAskForAPause() async throws {
    let jpeg = try encodeJPEG(testPicture(1), quality: 80)
    let times = Mutex<[ContinuousClock.Instant]>([])
    let server = try LoopbackServer { _, number in
      times.withLock { $0.append(.now) }
      return number == 0
        ? .init(status: "429 Too Many Requests", headers: ["Retry-After: 1"]) : .init(body: jpeg)
    }
    var settings = quick
    settings.perHost = 1
    settings.timeout = 30
    #expect(try await prepare((0..<3).map { "\(server.base)/\($0)" }, settings) == ["": 3])
    let found = times.withLock { $0 }
    #expect(found.count == 4 && found[1] - found[0] >= .seconds(1))
  }

  /// A server's robots tag applies to the answer with the file, for every robot or for this one.
  @Test func robotsTagsAreHeeded() async throws {
    let jpeg = try encodeJPEG(testPicture(1), quality: 80)
    let tags: [(String, Bool)] = [
      ("noai", true), ("noimageai", true), ("NoIndex", true), ("noimageindex", true),
      ("none", true), ("nofollow,  noai ,noarchive", true), ("swift-dvae: noindex", true),
      ("googlebot: noindex", false), ("nofollow", false), ("noaim", false), ("", false),
      ("unavailable_after: 25 Jun 2010 15:00:00 PST", false), (":", false), (",,", false),
      // A colon behind a directive makes no robot's name of it.
      ("noindex, max-snippet:-1, max-image-preview:large", true), ("max-snippet: -1, noai", true),
      ("unavailable_after: 25 Jun 2010 15:00:00 PST, noai", true),
      ("googlebot: nofollow, swift-dvae: noai", true), ("googlebot: nofollow, noai", false),
      ("googlebot: max-snippet:-1, noai", false), ("swift-dvae: max-snippet:-1, noai", true),
      ("*: noai", true),
    ]
    let server = try LoopbackServer { request, _ in
      switch request.path {
      case "/moved":
        return .init(status: "302 Found", headers: ["X-Robots-Tag: noai", "Location: /8"])
      case "/gone": return .init(status: "404 Not Found", headers: ["X-Robots-Tag: noai"])
      case "/two": return .init(headers: ["X-Robots-Tag: all", "x-robots-tag:noai"], body: jpeg)
      default:
        let number = Int(request.path.dropFirst()) ?? 0
        return .init(headers: ["X-Robots-Tag: \(tags[number].0)"], body: jpeg)
      }
    }
    for (index, (tag, refused)) in tags.enumerated() {
      let drops = try await prepare(["\(server.base)/\(index)"], quick)
      #expect(drops == (refused ? ["": 0, "robots-tag": 1] : ["": 1]), "\(tag)")
    }
    let others = ["moved", "gone", "two"].map { "\(server.base)/\($0)" }
    #expect(try await prepare(others, quick) == ["": 1, "http-404": 1, "robots-tag": 1])
    var careless = quick
    careless.heedsRobotsTag = false
    #expect(try await prepare(["\(server.base)/0"], careless) == ["": 1])
  }

  /// A cancelled job asks no server again, and keeps the rows that are done.
  @Test(.timeLimit(.minutes(5))) func cancelledJobsStopFetching() async throws {
    let server = try LoopbackServer { _, _ in .init(status: "503 Service Unavailable") }
    var fetch = quick
    fetch.retries = 3
    fetch.pause = 1000
    try write(
      encodeJPEG(testPicture(9, width: 8, height: 8), quality: 80), to: folder("there.jpg"))
    try write(Array("a\tthere.jpg\nb\t\(server.base)/b.jpg\n".utf8), to: folder("t.tsv"))
    var settings = PreparationSettings(sources: [folder("t.tsv")], filters: FilterSettings(.none))
    settings.source.captionColumn = "1"
    settings.source.imageColumn = "2"
    let job = try Preparation(settings, fetch: fetch, threads: 2)
    let output = folder("out")
    let rows = Mutex(0)
    let task = Task {
      try await job.run(output, rowsPerCommit: 1000) { done in rows.withLock { $0 = done } }
    }
    while server.requests.isEmpty || rows.withLock({ $0 }) == 0 {
      try await Task.sleep(for: .milliseconds(5))
    }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(server.requests.count == 1)
    let state = try String(decoding: bytes(output + ".partial/state.json"), as: UTF8.self)
    #expect(state.contains(#""rows":1"#))
  }

  @Test func nameOfTwoLinesIsRefused() {
    var settings = quick
    settings.userAgent = "two\r\nlines"
    #expect(throws: DVAEError.self) { try settings.validate() }
  }
}
