internal import CDVAEKernels
internal import DVAETensors

/// The filters for resizing images.
///
/// When an image is made smaller, the filters widen, so that every pixel counts.
public enum ResamplingFilter: String, Sendable, Codable, CaseIterable {
  /// A triangle of radius 1.
  case bilinear
  /// Keys' cubic with a = −½, of radius 2.
  case bicubic
  /// A sinc windowed by a sinc, of radius 3; used by the released preprocessing.
  case lanczos

  var radius: Double {
    switch self {
    case .bilinear: 1
    case .bicubic: 2
    case .lanczos: 3
    }
  }

  func weight(_ x: Double) -> Double {
    let distance = abs(x)
    switch self {
    case .bilinear:
      return distance < 1 ? 1 - distance : 0
    case .bicubic:
      let a = -0.5
      if distance < 1 { return ((a + 2) * distance - (a + 3)) * distance * distance + 1 }
      if distance < 2 { return (((distance - 5) * distance + 8) * distance - 4) * a }
      return 0
    case .lanczos:
      return -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0
    }
  }

  private func sinc(_ x: Double) -> Double {
    if x == 0 { return 1 }
    return sine(x * .pi) / (x * .pi)
  }
}

extension PixelImage {
  /// Resizes with the same bytes as Pillow's `resize`.
  ///
  /// Rows are resized first, to 8 bits, then columns; an axis that keeps its size is not resampled.
  /// Both sides must be positive.
  public func resized(width: Int, height: Int, filter: ResamplingFilter = .lanczos) -> PixelImage {
    resized(
      width: width, height: height, filter: filter, columns: 0..<width, rows: 0..<height)
  }

  /// Resizes and crops to a non-empty part of the new size; only that part is computed.
  package func resized(
    width: Int, height: Int, filter: ResamplingFilter, columns: Range<Int>, rows: Range<Int>,
    kernels: ImageKernels = .preferred
  ) -> PixelImage {
    precondition(width > 0 && height > 0, "an empty picture")
    precondition(
      !columns.isEmpty && !rows.isEmpty && columns.lowerBound >= 0 && rows.lowerBound >= 0
        && columns.upperBound <= width && rows.upperBound <= height, "the part leaves the picture")
    let vertical =
      height == self.height
      ? nil : ResamplingAxis.from(self.height, to: height, rows, filter: filter)
    let needed = vertical?.source ?? rows
    let wide: PixelImage
    if width == self.width {
      wide = cropped(
        x: columns.lowerBound, y: needed.lowerBound, width: columns.count, height: needed.count)
    } else {
      let axis = ResamplingAxis.from(self.width, to: width, columns, filter: filter)
      wide = withRowsResized(needed, axis, kernels)
    }
    return vertical.map { wide.withColumnsResized($0, kernels) } ?? wide
  }

  private func withRowsResized(
    _ rows: Range<Int>, _ axis: ResamplingAxis, _ kernels: ImageKernels
  ) -> PixelImage {
    PixelImage(width: axis.count, height: rows.count) { target in
      let scratch = Int(DVAE_PIXEL_SCRATCH) * axis.source.count
      withUnsafeTemporaryAllocation(of: Int32.self, capacity: scratch) { words in
        pixels.withUnsafeBufferPointer { source in
          axis.withTable { table in
            guard let from = source.baseAddress, let words = words.baseAddress,
              let to = target.baseAddress
            else { return }
            kernels.table.resample_rows(
              from + 3 * (rows.lowerBound * width + axis.source.lowerBound), 3 * width,
              Int32(rows.count), Int32(axis.source.count), table, words, to, 3 * axis.count)
          }
        }
      }
    }
  }

  /// Resizes the columns; the axis must use all rows of the image.
  private func withColumnsResized(
    _ axis: ResamplingAxis, _ kernels: ImageKernels
  ) -> PixelImage {
    PixelImage(width: width, height: axis.count) { target in
      pixels.withUnsafeBufferPointer { source in
        axis.withTable { table in
          guard let from = source.baseAddress, let to = target.baseAddress else { return }
          kernels.table.resample_columns(from, 3 * width, Int32(3 * width), table, to, 3 * width)
        }
      }
    }
  }
}
