package import DVAEFiles

/// The extent of a transformer that predicts the tokens of a grid, row by row.
///
/// The letters of all comments here: N pictures, T = rows · columns positions of a picture, of which L
/// are computed at a time, C numbers at each position, H heads of D = C / H numbers, K codes.
package struct TransformerShape: Codable, Hashable, Sendable {
  /// K.
  package var codes: Int
  /// Rows of a grid.
  package var rows: Int
  /// Columns of a grid.
  package var columns: Int
  /// C.
  package var width: Int
  /// H.
  package var heads: Int
  /// Blocks of attention and perceptron.
  package var layers: Int

  /// Makes the shape.
  package init(codes: Int, rows: Int, columns: Int, width: Int, heads: Int, layers: Int) {
    self.codes = codes
    self.rows = rows
    self.columns = columns
    self.width = width
    self.heads = heads
    self.layers = layers
  }

  /// T.
  package var positions: Int { rows * columns }

  /// The bytes of one head's attention matrix over so many positions, in float32.
  package static func attentionBytes(positions: Int) -> Int { positions * positions * 4 }

  /// The bytes that drawing keeps of so many positions of one picture: a key and a value of C numbers for
  /// each layer.
  package func cacheBytes(positions: Int) -> Int { positions * layers * 2 * width * 4 }

  /// Checks that such a transformer can be made.
  package func validate() throws(DVAEError) {
    guard (1...1 << 16).contains(codes), (1...256).contains(rows), (1...256).contains(columns),
      (8...4096).contains(width), (1...64).contains(layers), heads > 0
    else { throw DVAEError(.usage, "a transformer of \(self) is not possible") }
    guard width % (8 * heads) == 0 else {
      throw DVAEError(
        .usage,
        "a width of \(width) for \(heads) heads: it must be a multiple of 8 times their number")
    }
  }
}
