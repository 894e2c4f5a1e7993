import DVAEDeviceModel
package import DVAEFiles
package import DVAEImages
import DVAEModel
import DVAETensors
package import DVAETokens

extension DiscreteVAE {
  // The side of a code's grid: wide enough that its border hardly affects the middle.
  private static let patchGrid = 5
  private static let patchBatch = 16

  /// Decodes a grid of tokens to an image that is 8 times as high and wide.
  ///
  /// The image is the median of the model's distribution, sigmoid(μ) without noise, truncated to
  /// bytes as in the released code.
  ///
  /// - Throws: if a token is outside the vocabulary or the model has no decoder.
  public func decode(_ grid: TokenGrid) throws -> PixelImage {
    try decode([grid])[0]
  }

  /// Decodes grids of tokens to images, computed as one batch.
  ///
  /// - Parameter grids: all of one size; may be empty
  /// - Returns: an image per grid, 8 times as high and wide
  /// - Throws: if sizes differ, a token is outside the vocabulary, or the model has no decoder.
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

  /// Returns the patch of each code: the middle 8×8 pixels of a decoded grid filled with the code.
  ///
  /// - Parameters:
  ///   - codes: in the vocabulary; they are decoded in small batches
  ///   - progress: called with the number of finished patches after every batch; an error that it throws
  ///     ends the work
  /// - Returns: 8×8 pixels for each
  /// - Throws: if a code is outside the vocabulary or the model has no decoder.
  public func patches(
    of codes: [UInt16], progress: (Int) throws -> Void = { _ in }
  ) throws -> [PixelImage] {
    guard has(.decoder) else { throw missing(.decoder) }
    if let code = codes.first(where: { Int($0) >= architecture.vocabulary }) {
      throw outsideVocabulary("code \(code)")
    }
    let side = Self.patchGrid
    var patches: [PixelImage] = []
    while patches.count < codes.count {
      let part = codes[patches.count...].prefix(Self.patchBatch)
      let tokens = part.flatMap { [Int32](repeating: Int32($0), count: side * side) }
      patches += try pictures(of: tokens, batch: part.count, height: side, width: side).map {
        $0.cropped(x: side / 2 * 8, y: side / 2 * 8, width: 8, height: 8)
      }
      try progress(patches.count)
    }
    return patches
  }

  /// Checks that every token of a grid is in the vocabulary.
  ///
  /// - Throws: if a token is outside the vocabulary.
  package func check(_ grid: TokenGrid) throws(DVAEError) {
    let vocabulary = architecture.vocabulary
    guard let position = grid.tokens.firstIndex(where: { Int($0) >= vocabulary }) else { return }
    throw outsideVocabulary(
      "token \(grid.tokens[position]) in row \(position / grid.width), column "
        + "\(position % grid.width)")
  }

  private func outsideVocabulary(_ token: String) -> DVAEError {
    DVAEError(
      .badData, code: .outsideVocabulary,
      "\(token) is not in the vocabulary 0..<\(architecture.vocabulary): "
        + "these tokens are of another model")
  }

  /// Decodes grids of one size; all tokens must be in the vocabulary.
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
    let medians = decoder.engine.medians(of: statistics)
    let (shape, size) = (medians.shape, medians.count / batch)
    return (0..<batch).map { n in
      unmapPixels(
        UnsafeBufferPointer(rebasing: medians.elements[n * size..<(n + 1) * size]),
        width: shape.width, height: shape.height)
    }
  }
}
