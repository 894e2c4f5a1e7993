/// The released code's mapping of bytes to the open interval in which the model works (paper,
/// appendix A.3, with ε = 0.1).
///
/// Each step is rounded to float32 as in PyTorch, so the results have the same bits.
package enum PixelMapping {
  /// ε: bytes are mapped to [ε, 1 − ε].
  package static let epsilon = 0.1
  /// 1 − 2ε: the length of the interval.
  package static let range = 1 - 2 * epsilon
  /// The same in float32.
  package static let scale = Float(range)

  /// (1 − 2ε) · (byte / 255) + ε, for every byte.
  package static let table: [Float] = (0...255).map { byte in
    scale * (Float(byte) / 255) + Float(epsilon)
  }

  /// Returns the inverse, clamped to [0, 1]: (x − ε) / (1 − 2ε).
  package static func unmapped(_ x: Float) -> Float {
    let value = (x - Float(epsilon)) / scale
    // This form maps NaN to 0.
    return value >= 1 ? 1 : value > 0 ? value : 0
  }

  /// Returns the byte of a mapped number: the inverse times 255, truncated as in the released code.
  package static func byte(_ x: Float) -> UInt8 { UInt8(unmapped(x) * 255) }
}
