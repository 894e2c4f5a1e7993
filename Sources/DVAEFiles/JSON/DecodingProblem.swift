/// Returns in one sentence why a `Decoder` refused a value, with the place in the JSON.
package func decodingProblem(_ error: any Error) -> String {
  func place(_ context: DecodingError.Context) -> String {
    let path = context.codingPath.map(\.stringValue).joined(separator: ".")
    return path.isEmpty ? "the file" : "'\(path)'"
  }
  switch error as? DecodingError {
  case .typeMismatch(let type, let context):
    return "\(place(context)) must be of type \(type)"
  case .valueNotFound(_, let context):
    return "\(place(context)) must have a value"
  case .keyNotFound(let key, let context):
    return "\(place(context)) lacks the key '\(key.stringValue)'"
  case .dataCorrupted(let context):
    return "\(place(context)) is damaged: \(context.debugDescription)"
  default: return "\(error)"
  }
}

extension DecodingError {
  /// Whether the value of a key, or one below it, was refused.
  package func isBelow(_ key: String) -> Bool {
    switch self {
    case .typeMismatch(_, let context), .valueNotFound(_, let context),
      .keyNotFound(_, let context), .dataCorrupted(let context):
      context.codingPath.first?.stringValue == key
    @unknown default: false
    }
  }
}
