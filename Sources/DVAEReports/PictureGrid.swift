package import DVAEImages

extension PixelImage {
  /// Arranges pictures of one size in rows.
  ///
  /// - Parameters:
  ///   - pictures: all of the first one's size
  ///   - columns: the number of pictures in a row, at least 1
  ///   - gap: the pixels between them
  ///   - background: the grey of the gaps and of empty places in the last row
  /// - Returns: one picture; nil for none
  package static func tiled(
    _ pictures: [PixelImage], columns: Int, gap: Int = 0, background: UInt8 = 0
  ) -> PixelImage? {
    guard let first = pictures.first else { return nil }
    let (width, height) = (first.width, first.height)
    precondition(
      columns > 0 && pictures.allSatisfy { $0.width == width && $0.height == height },
      "tiled: pictures of several sizes")
    let columns = min(columns, pictures.count)
    let rows = (pictures.count + columns - 1) / columns
    let fullWidth = columns * (width + gap) - gap
    let fullHeight = rows * (height + gap) - gap
    var pixels = [UInt8](repeating: background, count: 3 * fullWidth * fullHeight)
    for (index, picture) in pictures.enumerated() {
      let (row, column) = (index / columns, index % columns)
      for y in 0..<height {
        let to = 3 * ((row * (height + gap) + y) * fullWidth + column * (width + gap))
        let from = 3 * y * width
        pixels.replaceSubrange(to..<to + 3 * width, with: picture.pixels[from..<from + 3 * width])
      }
    }
    return PixelImage(width: fullWidth, height: fullHeight, pixels: pixels)
  }

  /// Returns the absolute difference from another picture of the same size, times four.
  package func difference(from other: PixelImage) -> PixelImage {
    PixelImage(
      width: width, height: height,
      pixels: zip(pixels, other.pixels).map { UInt8(min(255, 4 * abs(Int($0) - Int($1)))) })
  }
}
