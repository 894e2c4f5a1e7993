#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// The error that everything in this package throws: which file, what was expected, what was found,
/// and what to do about it.
///
/// `description` is one line. Text that comes from files is escaped in it, so that it can be printed.
public struct DVAEError: Error, Sendable {
  /// The category of an error; it determines the exit status and the status of an HTTP response.
  public enum Kind: String, Hashable, Sendable {
    /// A wrong value, or settings that contradict each other.
    case usage
    /// A file was read, but its content is wrong.
    case badData
    /// An input cannot be opened.
    case missing
    /// An output cannot be created, or must not be.
    case cannotCreate
    /// Reading or writing failed midway, for example because the disk is full.
    case inputOutput
    /// A mistake in this package.
    case `internal`
  }

  /// A stable name of the error, such as `truncated`, for code that handles it.
  public struct Code: RawRepresentable, Hashable, Sendable {
    /// The name.
    public let rawValue: String

    /// Makes a code from a name.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// An error without a code of its own.
    public static let other = Code(rawValue: "other")
  }

  /// The category.
  public let kind: Kind
  /// The stable name of the error.
  public let code: Code
  /// The file, or the name of the item, that the error is about.
  public private(set) var file: String?
  /// The problem in one sentence.
  public let problem: String
  /// The expectation, if the problem is that something else was found.
  public private(set) var expected: String?
  /// The finding that does not meet the expectation.
  public private(set) var found: String?
  /// The remedy.
  public package(set) var advice: String?
  /// The error behind this one.
  public let cause: (any Error)?

  /// Makes an error.
  ///
  /// - Parameters:
  ///   - kind: the category
  ///   - code: the stable name of the error
  ///   - file: the file, or the name of the item
  ///   - problem: the problem in one sentence without a full stop
  ///   - advice: the remedy
  ///   - cause: the error behind this one
  public init(
    _ kind: Kind, code: Code = .other, file: String? = nil, _ problem: String,
    advice: String? = nil, cause: (any Error)? = nil
  ) {
    self.kind = kind
    self.code = code
    self.file = file
    self.problem = problem
    self.advice = advice
    self.cause = cause
  }

  /// Makes the error of a file that is not as expected.
  public init(
    _ kind: Kind, code: Code = .other, file: String? = nil, expected: String, found: String,
    advice: String? = nil, cause: (any Error)? = nil
  ) {
    self.init(
      kind, code: code, file: file, "expected \(expected), found \(found)", advice: advice,
      cause: cause)
    (self.expected, self.found) = (expected, found)
  }

  /// An error of any type as this one: an internal error if it is of another type.
  package init(_ error: any Error) {
    self = error as? DVAEError ?? DVAEError(.internal, "\(error)", cause: error)
  }

  /// Returns the same error about a file, unless it already names one.
  package func about(_ file: String) -> DVAEError {
    var error = self
    error.file = self.file ?? file
    return error
  }
}

extension DVAEError: CustomStringConvertible, LocalizedError {
  /// One line: the file, the problem, the remedy.
  public var description: String {
    oneLine(
      (file.map { ($0.isEmpty ? "''" : $0) + ": " } ?? "") + problem
        + (advice.map { "; " + $0 } ?? ""))
  }

  /// The same as `description`.
  public var errorDescription: String? { description }
}

extension DVAEError: Hashable {
  /// Returns whether two errors are equal; causes are not compared.
  public static func == (left: DVAEError, right: DVAEError) -> Bool {
    left.kind == right.kind && left.code == right.code && left.description == right.description
  }

  /// Hashes the compared properties.
  public func hash(into hasher: inout Hasher) { hasher.combine(description) }
}

/// Makes text safe to print: one line of at most `limit` scalars, without control characters.
///
/// Control characters become `\u{1b}`, so that a name from a file cannot move a terminal's cursor.
package func oneLine(_ text: String, limit: Int = 1000) -> String {
  printable(text, limit: limit, keeping: [])
}

/// Text of any number of lines, made safe to print likewise.
package func printable(
  _ text: String, limit: Int = .max, keeping kept: Set<Unicode.Scalar> = ["\n", "\t"]
) -> String {
  var line = String.UnicodeScalarView()
  for (count, scalar) in text.unicodeScalars.enumerated() {
    guard count < limit else {
      line.append("…")
      break
    }
    switch scalar.properties.generalCategory {
    case _ where kept.contains(scalar): line.append(scalar)
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate:
      line.append(contentsOf: "\\u{\(String(scalar.value, radix: 16))}".unicodeScalars)
    default: line.append(scalar)
    }
  }
  return String(line)
}

/// Returns text with the bytes that are not UTF-8 as `\xFF`, so that two such names differ.
package func visibleText(_ bytes: some Collection<UInt8>) -> String {
  var text = String.UnicodeScalarView()
  var rest = bytes[...]
  var (parser, iterator) = (Unicode.UTF8.ForwardParser(), bytes.makeIterator())
  while true {
    switch parser.parseScalar(from: &iterator) {
    case .valid(let encoded):
      text.append(Unicode.UTF8.decode(encoded))
      rest = rest.dropFirst(encoded.count)
    case .error(let length):
      for byte in rest.prefix(length) {
        text += "\\x\(hexadecimal([byte]).uppercased())".unicodeScalars
      }
      rest = rest.dropFirst(length)
    case .emptyInput: return String(text)
    }
  }
}
