/// The tokens of one image: `height` rows of `width` numbers, row-major, each below the vocabulary
/// size.
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
  package var littleEndianBytes: [UInt8] { tokens.withUnsafeBytes(Array.init) }

  /// The tokens row by row.
  package var rows: [[UInt16]] {
    (0..<height).map { Array(tokens[$0 * width..<($0 + 1) * width]) }
  }
}

extension TokenGrid: RandomAccessCollection {
  /// 0.
  public var startIndex: Int { 0 }
  /// The number of tokens.
  public var endIndex: Int { tokens.count }
  /// The token at a position, row by row.
  public subscript(position: Int) -> UInt16 { tokens[position] }
}

extension TokenGrid: Codable {
  private enum CodingKeys: String, CodingKey { case shape, tokens }

  /// Reads `{"shape": [H, W], "tokens": [[…], …]}`.
  ///
  /// - Throws: `DecodingError` if there are not H rows of W tokens each.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let shape = try container.decode([Int].self, forKey: .shape)
    let rows = try container.decode([[UInt16]].self, forKey: .tokens)
    guard shape.count == 2, rows.count == shape[0], shape[1] >= 0,
      rows.allSatisfy({ $0.count == shape[1] })
    else {
      throw DecodingError.dataCorruptedError(
        forKey: .tokens, in: container,
        debugDescription: "expected rows of tokens of shape \(shape)")
    }
    self.init(height: shape[0], width: shape[1], tokens: Array(rows.joined()))
  }

  /// Writes `{"shape": [H, W], "tokens": [[…], …]}`.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode([height, width], forKey: .shape)
    try container.encode(rows, forKey: .tokens)
  }
}
