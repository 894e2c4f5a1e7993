import DVAEFiles
import DVAEKit
import DVAEServer
import DVAETestSupport
import Foundation
import Synchronization
import Testing

/// Requests that arrive together.
@Suite struct QueueTests {
  private func responses(
    _ service: Service, _ requests: [HTTPRequest],
    isGone: @escaping @Sendable (Int) -> Bool = { _ in false }
  ) async -> [HTTPResponse] {
    await withTaskGroup(of: (Int, HTTPResponse).self) { group in
      for (index, request) in requests.enumerated() {
        group.addTask {
          let response = await withCheckedContinuation { continuation in
            service.respond(
              to: request, isGone: { isGone(index) }, { continuation.resume(returning: $0) })
          }
          return (index, response)
        }
      }
      var found: [Int: HTTPResponse] = [:]
      for await (index, response) in group { found[index] = response }
      return requests.indices.compactMap { found[$0] }
    }
  }

  private static func requests() throws -> [HTTPRequest] {
    let photos = try ["kodim04.jpg", "kodim23.png", "odd_401x333.png"].map {
      try TestService.bytes("images/\($0)")
    }
    let grid = try TestService.golden("kodim04")
    var requests: [HTTPRequest] = []
    for round in 0..<2 {
      requests += photos.map { HTTPRequest("POST", "/v1/tokenize", body: $0) }
      requests.append(
        HTTPRequest(
          "POST", "/v1/reconstruct", headers: ["accept": "application/json"], body: photos[round]))
      requests.append(HTTPRequest("POST", "/v1/tokenize", body: [1, 2, 3]))
      requests.append(
        HTTPRequest("POST", "/v1/decode", body: NpyArray.encoded(grid.tokens, shape: [32, 32])))
      requests.append(
        HTTPRequest(
          "POST", "/v1/decode",
          body: NpyArray.encoded(Array(grid.tokens.prefix(64)), shape: [8, 8])))
      requests.append(HTTPRequest("POST", "/v1/patches", body: Array("{\"codes\":[1,9]}".utf8)))
      requests.append(HTTPRequest("GET", "/healthz"))
    }
    return requests
  }

  /// Batching does not change the bytes of responses.
  @Test(arguments: [(1, 1), (3, 1), (3, 2), (16, 1)])
  func batchesDoNotShow(_ batchSize: Int, _ computations: Int) async throws {
    let service = try TestService.make {
      ($0.batchSize, $0.computations) = (batchSize, computations)
    }
    let requests = try Self.requests()
    let together = await responses(service, requests)
    for (request, response) in zip(requests, together) {
      let alone = service.handle(request)
      #expect(response.status == alone.status)
      #expect(response.body == alone.body, "\(request.path)")
    }
    let text = service.handle(HTTPRequest("GET", "/metrics")).body
    let metrics = String(decoding: text, as: UTF8.self)
    #expect(metrics.contains("dvae_requests_total{path=\"/v1/tokenize\",status=\"200\"} 6\n"))
    #expect(metrics.contains("dvae_requests_total{path=\"/v1/tokenize\",status=\"422\"} 2\n"))
    #expect(metrics.contains("\ndvae_queue_requests 0\n"))
  }

  @Test func aFullQueueRefuses() async throws {
    let service = try TestService.make { settings in
      settings.queue = 2
      settings.batchSize = 1
    }
    let photo = try TestService.bytes("images/kodim04.jpg")
    let gate = Gate()
    let answers = Mutex<[Int]>([])
    let request = HTTPRequest("POST", "/v1/tokenize", body: photo)
    for _ in 0..<2 {
      service.respond(
        to: request,
        isGone: {
          gate.wait()
          return false
        }, { response in answers.withLock { $0.append(response.status) } })
    }
    let head = HTTPRequest("POST", "/v1/tokenize")
    let early = try #require(service.refusal(of: head))
    #expect(early.status == 503 && early.message.contains("try again"))
    #expect(Int(early.header("Retry-After") ?? "") ?? 0 >= 1)
    let refused = await responses(service, [request])
    #expect(refused[0].status == 503 && refused[0].header("Retry-After") != nil)
    // Requests that do not need the network are answered.
    #expect(await responses(service, [HTTPRequest("GET", "/healthz")])[0].status == 200)
    gate.open()
    while answers.withLock({ $0.count }) < 2 { await Task.yield() }
    #expect(answers.withLock { $0 } == [200, 200])
    #expect(service.refusal(of: head) == nil)
  }

  @Test func aClientThatHasGoneCostsNothing() async throws {
    let service = try TestService.make()
    let photo = try TestService.bytes("images/kodim04.jpg")
    let requests = Array(repeating: HTTPRequest("POST", "/v1/tokenize", body: photo), count: 6)
    let found = await responses(service, requests) { $0 != 3 }
    #expect(found.map(\.status) == [499, 499, 499, 200, 499, 499])
    let metrics = service.handle(HTTPRequest("GET", "/metrics")).body
    let text = String(decoding: metrics, as: UTF8.self)
    #expect(text.contains("\ndvae_images_encoded_total 1\n"))
    #expect(text.contains("\ndvae_cancelled_requests_total 5\n"))
  }

  @Test func bodiesOverTheLimitAreRefused() throws {
    let service = try TestService.make { $0.limits.maximumBytes = 1000 }
    let head = { HTTPRequest("POST", "/v1/tokenize", headers: ["content-length": $0]) }
    let refusal = try #require(service.refusal(of: head("1001")))
    #expect(refusal.status == 413 && refusal.message.contains("1000"))
    #expect(service.refusal(of: head("1000")) == nil)
    #expect(service.refusal(of: head("1000"), isTooLarge: true).status == 413)
    #expect(service.refusal(of: head("1000"), isTooLarge: false).status == 503)
    let whole = HTTPRequest(
      "POST", "/v1/tokenize", body: try TestService.bytes("images/kodim04.jpg"))
    #expect(service.handle(whole).status == 413)
  }
}

/// Blocks threads until it is opened.
private final class Gate: Sendable {
  private let condition = NSCondition()
  private let isOpen = Mutex(false)

  func wait() {
    condition.lock()
    while !isOpen.withLock({ $0 }) { condition.wait() }
    condition.unlock()
  }

  func open() {
    condition.lock()
    isOpen.withLock { $0 = true }
    condition.broadcast()
    condition.unlock()
  }
}
