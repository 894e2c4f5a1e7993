/// The tokens of one image: `height` rows of `width` numbers, row-major, each below the vocabulary.
///
/// A 256×256 image has a grid of 32×32. Numbers start at 0 and carry no offset.
public struct TokenGrid: Hashable, Sendable {
  /// Rows: an eighth of the image's height.
  public let height: Int
  /// Columns: an eighth of the image's width.
  public let width: Int
  /// `height`·`width` tokens, row by row.
  public let tokens: [UInt16]

  /// Makes a grid; the count of tokens must be height·width.
  public init(height: Int, width: Int, tokens: [UInt16]) {
    precondition(
      height >= 0 && width >= 0 && tokens.count == height * width,
      "TokenGrid: \(tokens.count) tokens for \(height)×\(width)")
    self.height = height
    self.width = width
    self.tokens = tokens
  }

  /// The token at a row and column.
  public subscript(row: Int, column: Int) -> UInt16 { tokens[row * width + column] }

  /// The tokens as little-endian bytes, as every file stores them.
  package var littleEndianBytes: [UInt8] {
    [UInt8](unsafeUninitializedCapacity: tokens.count * 2) { buffer, count in
      for (i, token) in tokens.enumerated() {
        buffer[2 * i] = UInt8(truncatingIfNeeded: token)
        buffer[2 * i + 1] = UInt8(truncatingIfNeeded: token >> 8)
      }
      count = tokens.count * 2
    }
  }
}
