import DVAEDeviceModel
package import DVAEFiles
package import DVAEImages
import DVAEModel
import DVAETensors
package import DVAETokens

extension DiscreteVAE {
  // Rows and columns of a code's grid: wide enough that its border hardly reaches the middle.
  private static let patchGrid = 5

  /// The picture that tokens stand for, 8 times as high and wide as their grid.
  ///
  /// It is the median of the model's distribution, sigmoid(μ) without noise, cut to bytes as the
  /// released code does.
  ///
  /// - Throws: a token beyond the vocabulary, or a model without a decoder.
  public func decode(_ grid: TokenGrid) throws -> PixelImage {
    guard let picture = try decode([grid]).first else {
      throw DVAEError(.internal, "no picture was made")
    }
    return picture
  }

  /// The pictures that grids of tokens stand for, in one pass through the network.
  ///
  /// - Parameter grids: all of one size; may be empty
  /// - Returns: a picture for each, 8 times as high and wide as its grid
  /// - Throws: other sizes, a token beyond the vocabulary, or a model without a decoder.
  public func decode(_ grids: [TokenGrid]) throws -> [PixelImage] {
    guard has(.decoder) else { throw missing(.decoder) }
    guard let first = grids.first else { return [] }
    for grid in grids {
      try check(grid)
      guard grid.height == first.height, grid.width == first.width else {
        throw DVAEError(
          .usage,
          "grids of \(first.height)×\(first.width) and \(grid.height)×\(grid.width) tokens do "
            + "not fit into one batch")
      }
    }
    return try pictures(
      of: grids.flatMap { $0.tokens.map(Int32.init) }, batch: grids.count, height: first.height,
      width: first.width)
  }

  /// What each code paints: the middle 8×8 pixels of the picture of a grid of nothing but it.
  ///
  /// - Parameter codes: of the vocabulary; so many at a time as memory allows
  /// - Returns: 8×8 pixels for each
  /// - Throws: a code beyond the vocabulary, or a model without a decoder.
  public func patches(of codes: [UInt16]) throws -> [PixelImage] {
    guard has(.decoder) else { throw missing(.decoder) }
    guard !codes.isEmpty else { return [] }
    let side = Self.patchGrid
    let tokens = codes.flatMap { [Int32](repeating: Int32($0), count: side * side) }
    return try pictures(of: tokens, batch: codes.count, height: side, width: side).map {
      $0.cropped(x: side / 2 * 8, y: side / 2 * 8, width: 8, height: 8)
    }
  }

  /// Checks that every token of a grid is one of this model.
  ///
  /// - Throws: a token beyond the vocabulary.
  package func check(_ grid: TokenGrid) throws(DVAEError) {
    let vocabulary = architecture.vocabulary
    guard let position = grid.tokens.firstIndex(where: { Int($0) >= vocabulary }) else { return }
    throw DVAEError(
      .badData, code: .outsideVocabulary,
      "token \(grid.tokens[position]) in row \(position / grid.width), column "
        + "\(position % grid.width) is not in the vocabulary 0..<\(vocabulary): "
        + "these tokens are of another model")
  }

  /// The pictures of grids of one size, with tokens of the vocabulary.
  func pictures(
    of tokens: [Int32], batch: Int, height: Int, width: Int
  ) throws -> [PixelImage] {
    if let device, device.halves.contains(.decoder) {
      return try device.pictures(tokens, batch: batch, height: height, width: width)
    }
    guard let decoder else { throw missing(.decoder) }
    try checkMemory(batch, height * 8, width * 8)
    let statistics = try decoder.statistics(
      tokens: tokens, batch: batch, height: height, width: width)
    let medians = Self.medians(statistics, decoder.engine)
    let (shape, size) = (medians.shape, medians.count / batch)
    return (0..<batch).map { n in
      unmapPixels(
        UnsafeBufferPointer(rebasing: medians.elements[n * size..<(n + 1) * size]),
        width: shape.width, height: shape.height)
    }
  }

  /// The median of the model's distribution, sigmoid(μ): mapped pixels [N, H, W, 3] of the
  /// statistics [N, H, W, 6].
  static func medians(_ statistics: Tensor, _ engine: some HostEngine) -> Tensor {
    let means = Tensor(statistics.shape.with(channels: 3))
    for position in 0..<statistics.shape.positions {
      for channel in 0..<3 {
        means.pointer[position * 3 + channel] =
          statistics.pointer[position * statistics.shape.channels + channel]
      }
    }
    return engine.sigmoid(means)
  }
}
