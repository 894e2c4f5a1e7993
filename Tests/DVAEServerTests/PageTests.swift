import DVAEFiles
import DVAEServer
import Foundation
import Testing

/// Headers, hosts, the page and the OpenAPI description.
@Suite struct PageTests {
  private func page() throws -> (text: String, response: HTTPResponse) {
    let response = try TestService.make().handle(HTTPRequest("GET", "/"))
    return (String(decoding: response.body, as: UTF8.self), response)
  }

  @Test func thePolicyAllowsThisPageOnly() throws {
    let (text, response) = try page()
    #expect(response.mediaType == "text/html; charset=utf-8")
    let policy = try #require(response.header("Content-Security-Policy"))
    #expect(policy.hasPrefix("default-src 'none'; script-src 'sha256-"))
    #expect(!policy.contains("unsafe") && !policy.contains("http"))
    for element in ["script", "style"] {
      let start = try #require(text.range(of: "<\(element)>"))
      let end = try #require(text.range(of: "</\(element)>"))
      let digest = hash(String(text[start.upperBound..<end.lowerBound]))
      #expect(policy.contains("\(element)-src 'sha256-\(digest)'"))
      // The hash would not cover a second one.
      #expect(text.components(separatedBy: "<\(element)").count == 2)
    }
    // Inline handlers and styles would be blocked, and no other host is contacted.
    #expect(text.range(of: #"\son[a-z]+="#, options: .regularExpression) == nil)
    #expect(text.range(of: #"\sstyle=""#, options: .regularExpression) == nil)
    for part in ["http://", "https://", "src=\"//", "innerHTML", "eval("] {
      #expect(!text.replacing("http://www.w3.org/2000/svg", with: "").contains(part), "\(part)")
    }
  }

  private func hash(_ text: String) -> String {
    var hash = FileHash()
    hash.update(Array(text.utf8))
    return Data(hash.bytes()).base64EncodedString()
  }

  @Test func hostsThatAreNotOursAreRefused() throws {
    let service = try TestService.make { $0.hosts = HostCheck(names: HostCheck.loopback) }
    func status(_ headers: [String: String], _ method: String = "GET") -> Int {
      let target = method == "GET" ? "/healthz" : "/v1/decode"
      return service.handle(HTTPRequest(method, target, headers: headers)).status
    }
    for host in ["127.0.0.1", "127.0.0.1:8000", "localhost:1", "LOCALHOST", "[::1]", "[::1]:80"] {
      #expect(status(["host": host]) == 200, "\(host)")
    }
    for host in ["", "evil.example", "127.0.0.1.evil.example:8000", "localhost.", "::1", "[::1"] {
      #expect(status(["host": host]) == 403, "\(host)")
    }
    #expect(status([:]) == 403)
    #expect(status(["host": "localhost:80", "origin": "http://localhost:80"], "POST") == 422)
    for origin in ["http://evil.example", "null", "http://localhost:81", "localhost:80", ""] {
      #expect(status(["host": "localhost:80", "origin": origin], "POST") == 403, "\(origin)")
    }
    #expect(service.refusal(of: HTTPRequest("GET", "/", headers: ["host": "x"]))?.status == 403)
  }

  @Test func namesOfHosts() {
    for name in ["a", "Photos.example:80", "10.0.0.1", "[::1]", "[fe80::1]:8000", "my_box-2"] {
      #expect(HostCheck.isName(name), "\(name)")
    }
    for name in ["", ":80", "a:", "a:b", "*.lan", "http://a", "a/b", "a b", "[]", "é", "a,b"] {
      #expect(!HostCheck.isName(name), "\(name)")
    }
    #expect(HostCheck.name(of: "Photos.example:80") == "photos.example")
  }

  /// Request heads of arbitrary bytes are refused or answered, and never end the process.
  @Test func headsOfAnyBytes() throws {
    let service = try TestService.make { $0.hosts = HostCheck(names: HostCheck.loopback) }
    var random = SystemRandomNumberGenerator()
    let parts = [
      "/", "?", "&", "=", "%", ":", "[", "]", ",", ";", "q", "*", " ", "crop", "upscale", "true",
      "/v1/tokenize", "localhost", "://", "http", "application/x-npy", "1e999", "-1", "nan",
      "\u{0}",
      "\u{301}", "é", "\u{FFFD}", "9223372036854775808",
    ]
    func text() -> String {
      (0..<Int.random(in: 0...6, using: &random)).compactMap { _ in
        parts.randomElement(using: &random)
      }.joined()
    }
    let known: Set<Int> = [200, 400, 403, 404, 405, 406, 413, 422]
    for _ in 0..<5000 {
      var headers: [String: String] = [:]
      for name in HTTPRequest.readHeaders where Bool.random(using: &random) {
        headers[name] = text()
      }
      if Bool.random(using: &random) { headers["host"] = "localhost" }
      let request = HTTPRequest(
        ["GET", "POST", text()].randomElement(using: &random) ?? "", text(), headers: headers)
      let refusal = service.refusal(of: request)
      #expect(known.contains(refusal?.status ?? 200))
      #expect(known.contains(service.handle(request).status))
    }
  }

  /// Every kind of error has one status.
  @Test func statuses() {
    let expected: [(DVAEError.Kind, Int)] = [
      (.usage, 400), (.badData, 422), (.missing, 404), (.cannotCreate, 500), (.inputOutput, 500),
      (.internal, 500),
    ]
    for (kind, status) in expected {
      #expect(HTTPResponse.status(of: DVAEError(kind, "x")) == status)
    }
    #expect(HTTPResponse.status(of: DVAEError(.badData, code: .tooManyBytes, "x")) == 413)
  }

  /// The description lists exactly the served paths with their methods and media types.
  @Test func theDescriptionIsWhatIsServed() throws {
    let service = try TestService.make()
    let description = try service.handle(HTTPRequest("GET", "/openapi.json")).json
    let paths = try #require(description["paths"] as? [String: [String: Any]])
    #expect(Set(paths.keys) == Set(Route.allCases.map(\.rawValue)))
    for route in Route.allCases {
      let operations = try #require(paths[route.rawValue])
      #expect(Array(operations.keys) == [route.method.lowercased()])
      let operation = try #require(operations.values.first as? [String: Any])
      let responses = try #require(operation["responses"] as? [String: [String: Any]])
      let content = try #require(responses["200"]?["content"] as? [String: Any])
      let types = route.mediaTypes.map { String($0.prefix { $0 != ";" }) }
      #expect(Set(content.keys) == Set(types), "\(route)")
      let status = service.handle(HTTPRequest(route.method, route.rawValue)).status
      #expect(responses["\(status)"] != nil, "\(route): \(status)")
    }
    try checkReferences(description, in: description)
    let schemas = try #require(
      (description["components"] as? [String: Any])?["schemas"] as? [String: [String: Any]])
    let model = try service.handle(HTTPRequest("GET", "/v1/model")).json
    #expect(schemas["Model"]?["required"] as? [String] == model.keys.sorted())
  }

  /// Checks that every reference has a target.
  private func checkReferences(_ value: Any, in root: [String: Any]) throws {
    if let object = value as? [String: Any] {
      if let reference = object["$ref"] as? String {
        var place: Any? = root
        for part in reference.split(separator: "/").dropFirst() {
          place = (place as? [String: Any])?[String(part)]
        }
        #expect(place != nil, "\(reference)")
      }
      for member in object.values { try checkReferences(member, in: root) }
    } else if let list = value as? [Any] {
      for element in list { try checkReferences(element, in: root) }
    }
  }
}
