/// The eight ways in which a camera can store an image (EXIF tag 0x0112).
///
/// Each case names the transformation that makes the stored image upright.
package enum Orientation: Int, Sendable, CaseIterable {
  /// As stored.
  case upright = 1
  /// Mirrored left to right.
  case mirrored
  /// Turned by 180°.
  case turned
  /// Mirrored top to bottom.
  case flipped
  /// Mirrored along the diagonal from the top left: rows become columns.
  case transposed
  /// Turned by 90° clockwise.
  case clockwise
  /// Mirrored along the diagonal from the top right.
  case transversed
  /// Turned by 90° counterclockwise.
  case counterclockwise

  /// Whether width and height are swapped.
  package var swapsSides: Bool { rawValue >= 5 }
}

extension PixelImage {
  /// Returns the image after a mirroring or a quarter turn.
  package func oriented(_ orientation: Orientation) -> PixelImage {
    if orientation == .upright { return self }
    let (stored, rows) = (width, height)
    // The stored pixel of (0, 0), and its offsets for one pixel to the right and one down.
    let (last, bottom) = (stored - 1, (rows - 1) * stored)
    let (start, right, down) =
      switch orientation {
      case .upright: (0, 1, stored)
      case .mirrored: (last, -1, stored)
      case .turned: (bottom + last, -1, -stored)
      case .flipped: (bottom, 1, -stored)
      case .transposed: (0, stored, 1)
      case .clockwise: (bottom, -stored, 1)
      case .transversed: (bottom + last, -stored, -1)
      case .counterclockwise: (last, stored, -1)
      }
    let (width, height) = orientation.swapsSides ? (rows, stored) : (stored, rows)
    return PixelImage(width: width, height: height) { target in
      pixels.withUnsafeBufferPointer { source in
        var to = 0
        for y in 0..<height {
          var from = 3 * (start + y * down)
          for _ in 0..<width {
            target[to] = source[from]
            target[to + 1] = source[from + 1]
            target[to + 2] = source[from + 2]
            to += 3
            from += 3 * right
          }
        }
      }
    }
  }
}
