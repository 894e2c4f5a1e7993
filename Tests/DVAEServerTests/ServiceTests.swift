import DVAEFiles
import DVAEImages
import DVAEKit
import DVAEServer
import DVAETestSupport
import Foundation
import Testing

/// Requests to responses, without sockets.
@Suite struct ServiceTests {
  @Test(arguments: [("kodim04", "jpg"), ("kodim23", "png"), ("odd_401x333", "png")])
  func tokenizeGivesTheReferencesTokens(_ name: String, _ format: String) throws {
    let service = try TestService.make()
    let image = try TestService.bytes("images/\(name).\(format)")
    let golden = try TestService.golden(name)
    let response = service.handle(HTTPRequest("POST", "/v1/tokenize", body: image))
    #expect(response.status == 200 && response.mediaType == "application/json")
    let json = try response.json
    #expect(json["shape"] as? [Int] == [32, 32])
    let rows = try #require(json["tokens"] as? [[Int]])
    #expect(rows.flatMap { $0 } == golden.tokens.map(Int.init))
    let provenance = try #require(json["provenance"] as? [String: Any])
    let inputs = try #require(provenance["inputs"] as? [String: Any])
    #expect(inputs["sha256"] as? String == FileHash.of(image))
  }

  @Test func acceptDecidesTheForm() throws {
    let service = try TestService.make()
    let image = try TestService.bytes("images/kodim23.png")
    let golden = try TestService.golden("kodim23")
    func tokenize(_ accept: String) -> HTTPResponse {
      service.handle(
        HTTPRequest("POST", "/v1/tokenize", headers: ["accept": accept], body: image))
    }
    let npy = tokenize("text/plain, application/x-npy;q=0.5, image/*")
    #expect(npy.mediaType == "application/x-npy")
    let array = try NpyArray.parse(npy.body, path: "npy")
    #expect(array.elementType == .uint16 && array.shape == [1, 32, 32])
    #expect(try array.int64s() == golden.tokens.map(Int64.init))
    let safetensors = tokenize("application/x-safetensors")
    #expect(safetensors.mediaType == "application/x-safetensors")
    #expect(
      safetensors.body.suffix(2048)
        == golden.tokens.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }[...])
    let folder = TemporaryFolder()
    let file = folder("tokens.safetensors")
    try Data(safetensors.body).write(to: URL(filePath: file))
    #expect(try TokenReader(contentsOf: file).checkSum())
    #expect(
      tokenize("application/*;q=0.2, application/json;q=0.1").mediaType == "application/x-npy")
    #expect(tokenize("*/*").mediaType == "application/json")
    let none = tokenize("image/png, application/json;q=0")
    #expect(none.status == 406 && none.message.contains("application/x-npy"))
  }

  @Test(arguments: [true, false]) func decodeGivesTheCommandsPicture(_ asJSON: Bool) throws {
    let service = try TestService.make()
    let grid = try TestService.golden("kodim04")
    let rows = (0..<32).map { row in (0..<32).map { Int(grid[row, $0]) } }
    let body =
      asJSON
      ? Array(try JSONSerialization.data(withJSONObject: ["tokens": rows, "more": [1, ["a": 2]]]))
      : NpyArray.encoded(grid.tokens, shape: [1, 32, 32])
    let response = service.handle(HTTPRequest("POST", "/v1/decode", body: body))
    #expect(response.status == 200 && response.mediaType == "image/png")
    #expect(response.body == (try encodePNG(TestService.model.get().decode(grid))))
    let flat = Array(
      try JSONSerialization.data(withJSONObject: [
        "shape": [32, 32], "tokens": rows.flatMap { $0 },
      ]))
    #expect(service.handle(HTTPRequest("POST", "/v1/decode", body: flat)).body == response.body)
  }

  /// Arrays have the shapes that files of one image have.
  @Test func arraysOfOneImageAreDecoded() throws {
    let service = try TestService.make()
    let grid = try TestService.golden("kodim04")
    func decode(_ shape: [Int]) -> HTTPResponse {
      let count = shape.reduce(1, *)
      let tokens = (0..<count).map { grid.tokens[$0 % 1024] }
      return service.handle(
        HTTPRequest("POST", "/v1/decode", body: NpyArray.encoded(tokens, shape: shape)))
    }
    let whole = decode([1, 32, 32])
    #expect(whole.status == 200)
    for shape in [[32, 32], [1, 1024], [1024]] { #expect(decode(shape).body == whole.body) }
    #expect(decode([1, 1, 1024]).body != whole.body)
    for (shape, told) in [
      ([2, 1024], "the tokens of one image"), ([3, 8, 8], "the tokens of one image"),
      ([1, 1025], "send an array of shape [1, height, width]"),
      ([2, 10], "send an array of shape [1, height, width]"),
    ] {
      let response = decode(shape)
      #expect(response.status == 422 && response.message.contains(told), "\(response.message)")
    }
  }

  @Test func reconstructGivesPictureAndNumbers() throws {
    let service = try TestService.make()
    let image = try TestService.bytes("images/kodim04.jpg")
    let png = service.handle(HTTPRequest("POST", "/v1/reconstruct", body: image))
    #expect(png.mediaType == "image/png")
    let grid = try TestService.golden("kodim04")
    let picture = try TestService.model.get().decode(grid)
    #expect(try decodeImage(png.body, name: "png") == picture)
    let response = service.handle(
      HTTPRequest(
        "POST", "/v1/reconstruct", headers: ["accept": "application/json"], body: image))
    let json = try response.json
    let data = { (key: String) in
      try #require((json[key] as? String).flatMap { Data(base64Encoded: $0) }.map { [UInt8]($0) })
    }
    #expect(try data("output") == png.body)
    let input = try decodeImage(data("input"), name: "input")
    let measures = PictureMeasures(of: picture, comparedTo: input)
    #expect(try abs(#require(json["psnr"] as? Double) - #require(measures.psnr)) < 1e-9)
    #expect(try abs(#require(json["ssim"] as? Double) - #require(measures.ssim)) < 1e-9)
    #expect((json["tokens"] as? [[Int]])?.flatMap { $0 } == grid.tokens.map(Int.init))
  }

  @Test func theQueryChoosesTheCrop() throws {
    let service = try TestService.make()
    let small = try encodePNG(
      PixelImage(width: 100, height: 90, pixels: (0..<27_000).map { UInt8($0 % 251) }))
    let post = { (target: String) in service.handle(HTTPRequest("POST", target, body: small)) }
    let refused = post("/v1/tokenize")
    #expect(refused.status == 422)
    #expect(
      refused.message
        == "image: is 100×90 pixels, expected at least 256×256; use a larger image, or allow it to "
        + "be enlarged")
    let center = try post("/v1/tokenize?upscale=true").json
    let stretched = try post("/v1/tokenize?upscale=true&crop=stretch").json
    #expect(center["shape"] as? [Int] == [32, 32] && stretched["shape"] as? [Int] == [32, 32])
    #expect(center["tokens"] as? [[Int]] != stretched["tokens"] as? [[Int]])
    let provenance = stretched["provenance"] as? [String: Any]
    let preprocessing = provenance?["preprocessing"] as? [String: Any]
    #expect(preprocessing?["crop"] as? String == "stretch")
    for target in ["?crop=none", "?crop=", "?size=8", "?upscale", "?="] {
      #expect(post("/v1/tokenize" + target).status == 400)
    }
    #expect(post("/v1/decode?a=b").status == 400)
  }

  @Test func patchesAreWhatCodesPaint() throws {
    let service = try TestService.make()
    let response = service.handle(
      HTTPRequest("POST", "/v1/patches", body: Array("{\"codes\": [5, 7, 5]}".utf8)))
    let sheet = try decodeImage(response.body, name: "sheet")
    #expect(sheet.width == 24 && sheet.height == 8)
    let patches = try TestService.model.get().patches(of: [5, 7])
    for (place, patch) in [(0, patches[0]), (1, patches[1]), (2, patches[0])] {
      #expect(sheet.cropped(x: 8 * place, y: 0, width: 8, height: 8) == patch)
    }
    for body in ["", "{}", "{\"codes\": []}", "{\"codes\": [8192]}", "{\"codes\": [-1]}", "[1]"] {
      let bad = service.handle(HTTPRequest("POST", "/v1/patches", body: Array(body.utf8)))
      #expect(bad.status == 422, "\(body)")
    }
  }

  @Test func theSameLineAsOnTheCommandLine() throws {
    let service = try TestService.make()
    let text = Array("hello".utf8)
    let response = service.handle(HTTPRequest("POST", "/v1/tokenize", body: text))
    #expect(response.status == 422)
    let error = try #require(throws: DVAEError.self) { try decodeImage(text, name: "image") }
    #expect(response.message == error.description)
    let json = try #require(response.json["error"] as? [String: String])
    #expect(json["kind"] == "badData" && json["code"] == "not-an-image")
  }

  @Test func tokensThatAreNotAreRefused() throws {
    let service = try TestService.make()
    let most = 64 * 64
    for (body, part) in [
      ("", "an empty body"), ("{", "byte"), ("{}", "\"tokens\""), ("[]", "no '{'"),
      ("{\"tokens\": [[1, 2], [3]]}", "a row of 1 tokens"), ("{\"tokens\": [1, 2]}", "\"shape\""),
      ("{\"tokens\": [[1, 2]], \"shape\": [2, 1]}", "[2, 1]"),
      ("{\"tokens\": [[1.5]]}", "integer"), ("{\"tokens\": [[-1]]}", "integer"),
      ("{\"tokens\": [[8192]]}", "not in the vocabulary"),
      ("{\"tokens\": [[70000]]}", "not a token"),
      ("{\"tokens\": [[]]}", "row of 0"), ("{\"tokens\": []}", "shape"),
      ("{\"tokens\": [[1], 2]}", "beside rows"), ("{\"tokens\": [[1]]} x", "more behind"),
      (
        "{\"tokens\": [\(Array(repeating: "0", count: most + 1).joined(separator: ","))]}",
        "\(most)"
      ),
      ("{\"tokens\": [1, 2], \"shape\": [4611686018427387904, 4]}", "2"),
    ] {
      let response = service.handle(HTTPRequest("POST", "/v1/decode", body: Array(body.utf8)))
      #expect(
        response.status == 422 && response.message.contains(part), "\(body): \(response.message)")
      #expect(response.message.hasPrefix("tokens: "))
    }
    let floats = NpyArray.encoded([Float](repeating: 0, count: 4), shape: [2, 2])
    let many = NpyArray.encoded([UInt16](repeating: 0, count: most + 64), shape: [65, 64])
    for body in [floats, many, Array(many.prefix(100)), [0x93]] {
      #expect(service.handle(HTTPRequest("POST", "/v1/decode", body: body)).status == 422)
    }
  }

  /// Requests with random damage never end the process and never cause an internal error.
  @Test func damagedBodiesAreRefused() throws {
    let service = try TestService.make()
    let json = Array(
      "{\"tokens\": [[1, 2], [3, 4]], \"shape\": [2, 2], \"x\": {\"y\": [null]}}".utf8)
    let npy = NpyArray.encoded([UInt16](repeating: 3, count: 16), shape: [4, 4])
    var random = SystemRandomNumberGenerator()
    for _ in 0..<2000 {
      for seed in [json, npy] {
        var body = seed
        for _ in 0..<Int.random(in: 1...4, using: &random) {
          let place = Int.random(in: 0..<body.count, using: &random)
          switch Int.random(in: 0..<3, using: &random) {
          case 0: body[place] = UInt8.random(in: 0...255, using: &random)
          case 1: body.remove(at: place)
          default: body.insert(body[Int.random(in: 0..<body.count, using: &random)], at: place)
          }
        }
        let status = service.refusedStatus(HTTPRequest("POST", "/v1/decode", body: body))
        #expect([200, 422].contains(status), "\(status): \(body)")
      }
    }
  }

  /// `curl -F` and web forms send these.
  @Test(arguments: [
    ("/v1/tokenize", "photo.jpg"), ("/v1/reconstruct", "photo.jpg"), ("/v1/decode", "tokens.json"),
    ("/v1/patches", "codes.json"),
  ])
  func formsAreToldWhatToSend(_ path: String, _ file: String) throws {
    let service = try TestService.make()
    let form = HTTPRequest(
      "POST", path, headers: ["content-type": "Multipart/form-data; boundary=x"],
      body: Array("--x\r\n\r\n\r\n--x--\r\n".utf8))
    for response in [service.handle(form), try #require(service.refusal(of: form))] {
      #expect(response.status == 415, "\(response.message)")
      #expect(response.message.contains("curl --data-binary @\(file)"), "\(response.message)")
    }
    // Its own name for a body of any kind, and none.
    for type in ["application/x-www-form-urlencoded", "application/octet-stream", nil] {
      var other = HTTPRequest("POST", path)
      other.headers["content-type"] = type
      #expect(service.refusal(of: other) == nil)
      #expect(service.handle(other).status == 422)
    }
  }

  @Test func theOtherPaths() throws {
    let service = try TestService.make()
    let model = try service.handle(HTTPRequest("GET", "/v1/model")).json
    #expect((model["architecture"] as? [String: Int])?["vocab_size"] == 128)
    #expect(model["grid"] as? [Int] == [32, 32])
    #expect(service.handle(HTTPRequest("GET", "/healthz")).status == 200)
    #expect(service.handle(HTTPRequest("HEAD", "/healthz")).status == 200)
    service.drain()
    #expect(service.handle(HTTPRequest("GET", "/healthz")).status == 503)
    let photo = service.handle(HTTPRequest("GET", "/examples/plane.jpg"))
    #expect(try decodeImage(photo.body, name: "plane").height >= 256)
  }

  @Test func nothingElseIsServed() throws {
    let service = try TestService.make()
    for target in [
      "/v1", "/v1/tokenize/", "/../Package.swift", "/etc/passwd", "//", "", "/%2e%2e/x", "*",
      "/examples/../openapi.json", "http://127.0.0.1/healthz",
    ] {
      #expect(service.handle(HTTPRequest("GET", target)).status == 404, "\(target)")
    }
    for (method, target) in [("GET", "/v1/tokenize"), ("POST", "/"), ("PUT", "/v1/decode")] {
      let request = HTTPRequest(method, target)
      #expect(service.handle(request).status == 405)
      let refusal = try #require(service.refusal(of: request))
      #expect(refusal.status == 405 && refusal.header("Allow") != nil)
    }
  }

  @Test func aModelWithoutADecoderIsRefused() throws {
    let encoder = try DiscreteVAE.load(WeightsLocation(Fixture.tiny), only: .encoder)
    let assets = try Assets(folder: TestService.resources)
    #expect(throws: DVAEError.self) { try Service(encoder, .init(), assets) }
    var settings = Service.Settings()
    settings.preprocessing.crop = .none
    #expect(throws: DVAEError.self) { try Service(TestService.model.get(), settings, assets) }
  }
}

extension Service {
  /// Returns the status of a response.
  fileprivate func refusedStatus(_ request: HTTPRequest) -> Int { handle(request).status }
}
