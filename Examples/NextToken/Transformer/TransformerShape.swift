package import DVAEFiles

/// The hyperparameters of a transformer that predicts the tokens of a grid, row by row.
///
/// The symbols in all comments here: N images, T = rows · columns positions in an image, of which L
/// are computed at a time, C channels per position, H heads of D = C / H channels, K codes.
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
  /// The number of blocks of attention and perceptron.
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

  /// Returns the size of one head's attention matrix for `positions` positions in bytes, in
  /// float32.
  package static func attentionBytes(positions: Int) -> Int { positions * positions * 4 }

  /// Returns the size of the cache for `positions` positions of one image in bytes: a key and a
  /// value of C channels for each layer.
  package func cacheBytes(positions: Int) -> Int { positions * layers * 2 * width * 4 }

  /// Checks that the shape is possible.
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
