/// The arithmetic that a model computes with.
public enum Precision: String, Codable, CaseIterable, Sendable {
  /// float32, as in the reference.
  case float32
  /// int8 in the residual branches: faster; a few tokens differ.
  case int8
  /// float32 with products of 10 mantissa bits, on devices that have them.
  case tf32
  /// 16-bit floats with the range of float32, on devices; on some CPUs for training.
  case bfloat16
  /// 16-bit floats with 10 mantissa bits, on devices.
  case float16
}
