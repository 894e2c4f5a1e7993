import DVAEFiles

/// The paths of the service.
package enum Route: String, CaseIterable, Sendable {
  case page = "/"
  case openAPI = "/openapi.json"
  case examplePlane = "/examples/plane.jpg"
  case exampleParrots = "/examples/parrots.jpg"
  case health = "/healthz"
  case metrics = "/metrics"
  case model = "/v1/model"
  case tokenize = "/v1/tokenize"
  case decode = "/v1/decode"
  case reconstruct = "/v1/reconstruct"
  case patches = "/v1/patches"

  /// The method of the path; where GET is allowed, HEAD is too.
  package var method: String { example == nil ? "GET" : "POST" }

  /// The media types of its responses; the first one is the default.
  package var mediaTypes: [String] {
    switch self {
    case .page: [MediaType.html]
    case .examplePlane, .exampleParrots: [MediaType.jpeg]
    case .openAPI, .model, .health: [MediaType.json]
    case .metrics: [MediaType.metrics]
    case .tokenize: [MediaType.json, MediaType.npy, MediaType.safetensors]
    case .reconstruct: [MediaType.png, MediaType.json]
    case .decode, .patches: [MediaType.png]
    }
  }

  /// Finds the route of a request.
  ///
  /// - Throws: for an unknown path or another method.
  init(_ request: HTTPRequest) throws(DVAEError) {
    guard let route = Route(rawValue: request.path) else {
      throw DVAEError(
        .missing, file: request.path, "there is no such path",
        advice: "see \(Route.openAPI.rawValue)")
    }
    guard request.method == route.method || (request.method == "HEAD" && route.method == "GET")
    else {
      throw DVAEError(
        .usage, code: .methodNotAllowed, file: request.path, expected: route.method,
        found: request.method)
    }
    self = route
  }

  /// An example of a file to send, for the paths that read one; nil for the others.
  private var example: (content: String, name: String)? {
    switch self {
    case .tokenize, .reconstruct: ("an image", "photo.jpg")
    case .decode: ("tokens", "tokens.json")
    case .patches: ("codes", "codes.json")
    default: nil
    }
  }

  /// Refuses the form of a web page, which wraps the file.
  ///
  /// Other media types are not compared: curl names a wrong one unless it is told the right one.
  ///
  /// - Throws: for a body of several parts.
  func checkBody(_ request: HTTPRequest) throws(DVAEError) {
    guard let example, let type = request.headers["content-type"],
      type.lowercased().hasPrefix("multipart/")
    else { return }
    throw DVAEError(
      .usage, code: .unsupportedMediaType, file: rawValue,
      expected: "\(example.content) as the body of the request",
      found: String(type.prefix { $0 != ";" }),
      advice: "send the file itself: curl --data-binary @\(example.name)")
  }

  /// Chooses the media type of the response.
  ///
  /// A path with only one type ignores the client's preferences.
  ///
  /// - Throws: if the client accepts none of several.
  func mediaType(_ request: HTTPRequest) throws(DVAEError) -> String {
    if mediaTypes.count == 1 { return mediaTypes[0] }
    guard let type = MediaType.preferred(mediaTypes, accept: request.headers["accept"]) else {
      throw DVAEError(
        .usage, code: .notAcceptable, file: rawValue,
        expected: "an Accept header with \(mediaTypes.joined(separator: ", ")) or */*",
        found: request.headers["accept"] ?? "")
    }
    return type
  }
}
