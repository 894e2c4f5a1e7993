/// The numbers that a model computes with.
public enum Precision: String, Codable, CaseIterable, Sendable {
  /// Single precision, as the reference does.
  case float32
  /// Whole numbers, of 8 bits in the residual branches: faster, and a few tokens differ.
  case int8
  /// Single precision with products of 10 bits of mantissa, on devices that have them.
  case tf32
  /// 16-bit floats with the range of single precision, on devices.
  case bfloat16
  /// 16-bit floats with 10 bits of mantissa, on devices.
  case float16
}
