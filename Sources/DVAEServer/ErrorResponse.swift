package import DVAEFiles

extension DVAEError.Code {
  /// The path has no such method.
  static let methodNotAllowed = Self(rawValue: "method-not-allowed")
  /// The client accepts none of the available media types.
  static let notAcceptable = Self(rawValue: "not-acceptable")
  /// The body is of a media type that is not read.
  static let unsupportedMediaType = Self(rawValue: "unsupported-media-type")
  /// The request is for another host, or comes from a page of another host.
  static let foreignHost = Self(rawValue: "foreign-host")
  /// The queue of requests is full.
  static let busy = Self(rawValue: "busy")
  /// The service is shutting down.
  static let draining = Self(rawValue: "draining")
}

extension DVAEError {
  /// Returns the error of a request for which there is no room.
  static func busy(_ problem: String, seconds: Int) -> DVAEError {
    DVAEError(.inputOutput, code: .busy, problem, advice: "try again in \(seconds) s")
  }

  /// Returns the error of a body that exceeds the size limit.
  static func bodyTooLarge(limit: Int) -> DVAEError {
    DVAEError(
      .badData, code: .tooManyBytes, "the body has more bytes than the limit of \(limit)",
      advice: "make the image smaller")
  }
}

extension HTTPResponse {
  /// Makes the response to a failed request: the line that the command would print, as JSON.
  package init(_ error: DVAEError) {
    let body = [
      "error": [
        "code": error.code.rawValue, "kind": error.kind.rawValue, "message": error.description,
      ]
    ]
    // Strings can always be encoded.
    let text = (try? jsonLine(body)) ?? []
    self.init(status: Self.status(of: error), MediaType.json, text)
  }

  /// Returns the HTTP status of an error.
  ///
  /// Only this function decides it.
  package static func status(of error: DVAEError) -> Int {
    switch error.code {
    case .methodNotAllowed: return 405
    case .notAcceptable: return 406
    case .foreignHost: return 403
    case .unsupportedMediaType: return 415
    case .tooManyBytes: return 413
    case .busy, .draining: return 503
    default: break
    }
    return switch error.kind {
    case .usage: 400
    case .missing: 404
    case .badData: 422
    case .cannotCreate, .inputOutput, .internal: 500
    }
  }
}
