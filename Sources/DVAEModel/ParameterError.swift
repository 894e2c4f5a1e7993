public import DVAEWeights

/// Why a weights file's tensors are not the parameters of a model.
public enum ParameterError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The file holds the other half.
  case wrongHalf(path: String, expected: NetworkPlan.Half, found: NetworkPlan.Half)
  /// Nothing in the file is named as a part of the model; these are the names.
  case noModel(path: String, found: [String])
  /// The shapes tell of numbers that no model has.
  case architecture(path: String, ArchitectureError)
  /// The tensors are not exactly those of the architecture.
  case mismatch(path: String, ParameterMismatch)
  /// The two halves belong to models that differ in a number.
  case disagreement(encoder: String, decoder: String, name: String, Int, Int)

  /// One line for people.
  public var description: String {
    switch self {
    case .wrongHalf(let path, let expected, let found):
      "\(path): this looks like \(found.withArticle), \(expected.withArticle) was expected; "
        + "are the two files swapped?"
    case .noModel(let path, let found):
      "\(path): expected a dVAE's tensors (blocks.input.w, …), found \(listing(found))"
    case .architecture(let path, let error):
      "\(path): the shapes are of no dVAE: \(error)"
    case .mismatch(let path, let mismatch):
      "\(path): \(mismatch)"
    case .disagreement(let encoder, let decoder, let name, let left, let right):
      "\(encoder) and \(decoder) are not of one model: \(name) is \(left) in the encoder and "
        + "\(right) in the decoder"
    }
  }
}

/// Every tensor of a file that is not as the architecture has it.
public struct ParameterMismatch: Hashable, Sendable, CustomStringConvertible {
  /// A tensor of a wrong shape, or of integers.
  public struct Misshapen: Hashable, Sendable, CustomStringConvertible {
    /// Half and official name.
    public let name: String
    /// The architecture's.
    public let expected: [Int]
    /// The file's.
    public let found: [Int]
    /// The type of the file's numbers.
    public let elementType: ElementType

    /// Name and both shapes.
    public var description: String {
      elementType.isFloatingPoint
        ? "\(name) is \(found), expected \(expected)"
        : "\(name) is \(elementType.rawValue) \(found), expected floating point \(expected)"
    }
  }

  /// Names that the file lacks.
  public var missing: [String] = []
  /// The file's own names that the model does not have.
  public var unexpected: [String] = []
  /// Tensors of wrong shapes.
  public var misshapen: [Misshapen] = []

  /// Whether all is as it should be.
  public var isEmpty: Bool { missing.isEmpty && unexpected.isEmpty && misshapen.isEmpty }

  /// One line: how many of each kind, and the first ones by name.
  public var description: String {
    var parts: [String] = []
    if !missing.isEmpty { parts.append("\(missing.count) missing: \(listing(missing))") }
    if !unexpected.isEmpty {
      parts.append("\(unexpected.count) unexpected: \(listing(unexpected))")
    }
    if !misshapen.isEmpty {
      let shown = misshapen.prefix(listed).map(\.description).joined(separator: ", ")
      let more = misshapen.count > listed ? " and \(misshapen.count - listed) more" : ""
      parts.append("\(misshapen.count) mis-shaped: \(shown)\(more)")
    }
    return "the tensors do not fit the model; " + parts.joined(separator: "; ")
  }
}

/// How many names a message shows of each kind.
private let listed = 6

/// The first few names, quoted and escaped: they come from a file.
private func listing(_ names: [String]) -> String {
  if names.isEmpty { return "nothing" }
  let shown = names.prefix(listed).map { String(reflecting: String($0.prefix(120))) }
  let more = names.count > listed ? " and \(names.count - listed) more" : ""
  return shown.joined(separator: ", ") + more
}

extension NetworkPlan.Half {
  fileprivate var withArticle: String { self == .encoder ? "an encoder" : "a decoder" }
}
