/// The first value of a JSON text that is not as its type demands.
package struct JSONMismatch: Error, CustomStringConvertible {
  /// The path of the value, keys joined by periods; empty for the whole text.
  package let path: String
  /// The kind of value that there must be, such as `a number`; nil if the problem is another.
  package let expected: String?
  /// The problem, for people.
  package let description: String

  init(_ error: any Error) {
    var expected: String?
    if case .typeMismatch(let type, _)? = error as? DecodingError { expected = Self.noun(type) }
    self.expected = expected
    let (context, problem): (DecodingError.Context?, String) =
      switch error as? DecodingError {
      case .typeMismatch(let type, let context)?: (context, "must be \(Self.noun(type))")
      case .valueNotFound(_, let context)?: (context, "must have a value")
      case .keyNotFound(let key, let context)?: (context, "lacks the key '\(key.stringValue)'")
      case .dataCorrupted(let context)?: (context, "is damaged: \(context.debugDescription)")
      default: (nil, "cannot be read: \(error)")
      }
    path = context.map { $0.codingPath.map(\.stringValue).joined(separator: ".") } ?? ""
    // Foundation calls an element of a list `Index 0`.
    let shown = path.replacing(".Index ", with: " number ")
    description = "\(path.isEmpty ? "the file" : "'\(shown)'") \(problem)"
  }

  /// Returns the kind of JSON value that a type is read from.
  private static func noun(_ type: any Any.Type) -> String {
    switch type {
    case is any Numeric.Type: "a number"
    case is String.Type: "a text"
    case is Bool.Type: "true or false"
    case is [Any].Type: "a list"
    default: "an object"
    }
  }

  /// Returns whether the value belongs to a key, or to one below it.
  package func isBelow(_ key: String) -> Bool { path == key || path.hasPrefix(key + ".") }
}
