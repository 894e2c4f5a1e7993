/// What an encoder computes with.
public enum Precision: String, Codable, CaseIterable, Sendable {
  /// Single precision, as the reference does.
  case float32
  /// Whole numbers, of 8 bits in the residual branches: faster, and a few tokens differ.
  case int8
}
