package import DVAEImages
import DVAETensors

/// A 64-bit hash that changes little with compression or resizing, and much between images.
///
/// The image's luma is averaged to 32×32 cells (over about eight rows of each). Of its discrete
/// cosine transform the 8×8 lowest frequencies count, without the constant row and column; each bit
/// says whether a coefficient is above their median (Zauner 2010, "pHash"). The distance of two
/// hashes is the number of differing bits.
package enum PerceptualHash {
  private static let cells = 32
  private static let frequencies = 8

  /// Returns the hash of an image.
  package static func of(_ image: PixelImage) -> UInt64 {
    let rows = transformed(lumaCells(image), count: cells)
    // Rounding noise of a flat image counts as zero, so that flat images are equal.
    let coefficients = transformed(transposed(rows), count: frequencies)
      .map { abs($0) < 1e-6 ? 0 : $0 }
    let sorted = coefficients.sorted()
    let median = (sorted[31] + sorted[32]) / 2
    return coefficients.reduce(0) { $0 << 1 | ($1 > median ? 1 : 0) }
  }

  /// Returns the mean luma of 32×32 cells; in small images a pixel belongs to several cells.
  private static func lumaCells(_ image: PixelImage) -> [Double] {
    let stride = 3 * image.width
    var result: [Double] = []
    result.reserveCapacity(cells * cells)
    image.pixels.withUnsafeBufferPointer { pixels in
      withUnsafeTemporaryAllocation(of: UInt16.self, capacity: stride) { sums in
        for row in 0..<cells {
          let rows = sampledRows(bounds(row, image.height))
          // At most 15 rows, so that their sums fit 16 bits.
          sums.update(repeating: 0)
          for y in rows {
            let line = UnsafeBufferPointer(rebasing: pixels[y * stride..<(y + 1) * stride])
            for x in 0..<stride { sums[x] &+= UInt16(truncatingIfNeeded: line[x]) }
          }
          for column in 0..<cells {
            let (left, right) = bounds(column, image.width)
            var (red, green, blue) = (0, 0, 0)
            for x in left..<right {
              red &+= Int(sums[3 &* x])
              green &+= Int(sums[3 &* x &+ 1])
              blue &+= Int(sums[3 &* x &+ 2])
            }
            let luma = 0.299 * Double(red) + 0.587 * Double(green) + 0.114 * Double(blue)
            result.append(luma / Double(rows.count * (right - left)))
          }
        }
      }
    }
    return result
  }

  /// Samples about eight rows of a cell, which suffice.
  private static func sampledRows(_ bounds: (start: Int, end: Int)) -> [Int] {
    Array(stride(from: bounds.start, to: bounds.end, by: max(1, (bounds.end - bounds.start) / 8)))
  }

  private static func bounds(_ cell: Int, _ side: Int) -> (Int, Int) {
    let start = min(cell * side / cells, side - 1)
    return (start, max(start + 1, (cell + 1) * side / cells))
  }

  /// Returns frequencies 1 to 8 of each of `count` lines of 32 values, line by line.
  private static func transformed(_ lines: [Double], count: Int) -> [Double] {
    (0..<count).flatMap { line in
      cosines.map { row in
        (0..<cells).reduce(0) { $0 + row[$1] * lines[line * cells + $1] }
      }
    }
  }

  /// Transposes 8 lines.
  private static func transposed(_ lines: [Double]) -> [Double] {
    (0..<frequencies).flatMap { column in (0..<cells).map { lines[$0 * frequencies + column] } }
  }

  private static let cosines: [[Double]] = (1...frequencies).map { frequency in
    (0..<cells).map { place in
      cosine(.pi * Double(frequency) * (Double(place) + 0.5) / Double(cells))
    }
  }
}
