public import DVAEImages
import DVAETensors

extension DiscreteVAE {
  // Rows and columns of a code's grid: wide enough that its border hardly reaches the middle.
  private static let patchGrid = 5

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
}
