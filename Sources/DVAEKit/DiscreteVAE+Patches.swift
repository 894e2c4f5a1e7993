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
    guard let decoder else { throw missing(.decoder) }
    guard !codes.isEmpty else { return [] }
    let (side, edge) = (Self.patchGrid, Self.patchGrid * 8)
    try checkMemory(codes.count, edge, edge)
    let tokens = codes.flatMap { [Int32](repeating: Int32($0), count: side * side) }
    let statistics = try decoder.statistics(
      tokens: tokens, batch: codes.count, height: side, width: side)
    let pictures = Self.medians(statistics, decoder.engine)
    let size = edge * edge * 3
    return codes.indices.map { index in
      let values = UnsafeBufferPointer(
        rebasing: pictures.elements[index * size..<(index + 1) * size])
      return unmapPixels(values, width: edge, height: edge)
        .cropped(x: side / 2 * 8, y: side / 2 * 8, width: 8, height: 8)
    }
  }
}

extension PixelImage {
  /// Pictures of one size in rows, without gaps; what the last row lacks is black.
  ///
  /// - Parameters:
  ///   - pictures: all of the size of the first
  ///   - columns: pictures in a row, at least 1
  /// - Returns: one picture; nil for none
  public static func tiled(_ pictures: [PixelImage], columns: Int) -> PixelImage? {
    guard let first = pictures.first else { return nil }
    let (width, height) = (first.width, first.height)
    precondition(
      columns > 0 && pictures.allSatisfy { $0.width == width && $0.height == height },
      "tiled: pictures of several sizes")
    let columns = min(columns, pictures.count)
    let rows = (pictures.count + columns - 1) / columns
    var pixels = [UInt8](repeating: 0, count: 3 * width * columns * height * rows)
    for (index, picture) in pictures.enumerated() {
      let (row, column) = (index / columns, index % columns)
      for y in 0..<height {
        let to = 3 * ((row * height + y) * width * columns + column * width)
        let from = 3 * y * width
        pixels.replaceSubrange(to..<to + 3 * width, with: picture.pixels[from..<from + 3 * width])
      }
    }
    return PixelImage(width: width * columns, height: height * rows, pixels: pixels)
  }
}
