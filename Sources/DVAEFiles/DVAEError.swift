/// What went wrong, in one line that names the file, what was expected, what was found and what to
/// do, and whose fault it was.
public struct DVAEError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Whose fault an error is; the command line makes its exit status of it.
  public enum Kind: String, Hashable, Sendable {
    /// The request makes no sense: a wrong value, settings that contradict each other.
    case usage
    /// A file was read and is not what it should be.
    case badData
    /// A file that should be read is not there.
    case missing
    /// A file cannot be made, or may not be.
    case cannotCreate
    /// Reading or writing failed half-way: a full disk, say.
    case inputOutput
    /// A mistake of this package.
    case `internal`
  }

  /// Whose fault it is.
  public let kind: Kind
  /// One line.
  public let description: String

  /// Makes an error.
  public init(_ kind: Kind, _ description: String) {
    self.kind = kind
    self.description = description
  }
}
