package import DVAEFiles

extension DVAEError.Code {
  /// The path has no such method.
  static let methodNotAllowed = Self(rawValue: "method-not-allowed")
  /// The client takes none of the media types that there are.
  static let notAcceptable = Self(rawValue: "not-acceptable")
  /// The request is addressed to another host, or comes from a page of another host.
  static let foreignHost = Self(rawValue: "foreign-host")
  /// So many requests wait that no further one is taken.
  static let busy = Self(rawValue: "busy")
  /// The service is about to end.
  static let draining = Self(rawValue: "draining")
}

extension DVAEError {
  /// The error of a request for which there is no room.
  static func busy(_ problem: String, seconds: Int) -> DVAEError {
    DVAEError(.inputOutput, code: .busy, problem, advice: "try again in \(seconds) s")
  }

  /// The error of a body of more bytes than allowed.
  static func bodyTooLarge(limit: Int) -> DVAEError {
    DVAEError(
      .badData, code: .tooManyBytes, "the body has more bytes than the limit of \(limit)",
      advice: "make the image smaller")
  }
}

extension HTTPResponse {
  /// The response to a request that failed: the line that the command line prints, as JSON.
  package init(_ error: DVAEError) {
    let body = ErrorBody(
      error: .init(
        code: error.code.rawValue, kind: error.kind.rawValue, message: error.description))
    // Strings can always be encoded.
    let text = (try? jsonLine(body)) ?? []
    self.init(status: Self.status(of: error), MediaType.json, text)
  }

  /// The status that an error stands for.
  ///
  /// This is the only place that decides it.
  package static func status(of error: DVAEError) -> Int {
    switch error.code {
    case .methodNotAllowed: return 405
    case .notAcceptable: return 406
    case .foreignHost: return 403
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

  private struct ErrorBody: Encodable {
    struct Message: Encodable {
      var code: String
      var kind: String
      var message: String
    }
    var error: Message
  }
}
