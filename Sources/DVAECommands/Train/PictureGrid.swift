import DVAETraining
import DVAEImages
import DVAETensors

/// Validation pictures as one image: a row per image; original, soft, hard and the error of hard.
struct PictureGrid {
  /// The grid; nil without pictures.
  let image: PixelImage?

  /// Draws the grid.
  init(_ pictures: ValidationPictures) {
    let rows = zip(pictures.originals, zip(pictures.soft, pictures.hard)).map { original, made in
      let row = [original, made.0, made.1].map(Self.picture)
      return row + [Self.difference(row[0], row[2])]
    }
    image = Self.join(rows)
  }

  private static func picture(_ mapped: Tensor) -> PixelImage {
    unmapPixels(
      UnsafeBufferPointer(mapped.elements), width: mapped.shape.width, height: mapped.shape.height)
  }

  /// |a − b|, four times as bright.
  private static func difference(_ a: PixelImage, _ b: PixelImage) -> PixelImage {
    PixelImage(
      width: a.width, height: a.height,
      pixels: zip(a.pixels, b.pixels).map { UInt8(min(255, 4 * abs(Int($0) - Int($1)))) })
  }

  /// Pictures of one size side by side and one above the other, with white lines between.
  private static func join(_ rows: [[PixelImage]]) -> PixelImage? {
    guard let first = rows.first?.first else { return nil }
    let gap = 4
    let width = rows[0].count * (first.width + gap) - gap
    let height = rows.count * (first.height + gap) - gap
    var pixels = [UInt8](repeating: 255, count: 3 * width * height)
    for (r, row) in rows.enumerated() {
      for (c, picture) in row.enumerated() {
        for y in 0..<picture.height {
          let to = 3 * ((r * (first.height + gap) + y) * width + c * (first.width + gap))
          let from = 3 * y * picture.width
          pixels.replaceSubrange(
            to..<to + 3 * picture.width, with: picture.pixels[from..<from + 3 * picture.width])
        }
      }
    }
    return PixelImage(width: width, height: height, pixels: pixels)
  }
}
