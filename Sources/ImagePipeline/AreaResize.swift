/// One axis of the area resize: the source cells that each output cell covers, as weights.
private struct AreaAxis {
  /// Source cells of one output cell.
  ///
  /// Those that lie past the last cell of the source stand for the last one.
  struct Window {
    var start: Int
    var count: Int
    /// Parts of the first and of the last cell that are covered; those between count whole.
    var first: Float
    var last: Float
  }

  let scale: Float
  let windows: [Window]

  init(from input: Int, to output: Int) {
    let scale =
      output > 1 ? Float(input - 1) / Float(output - 1) : Float(input) / Float(output)
    self.scale = scale
    windows = (0..<output).map { index in
      let low = Float(index) * scale
      let high = Float(index + 1) * scale
      let start = Int(low.rounded(.down))
      // At least the cell in which the interval starts, should rounding leave the interval empty.
      let count = max(Int(high.rounded(.up)) - start, 1)
      func covered(_ cell: Int) -> Float {
        let cut = Float(cell + 1) > high
        if Float(cell) < low { return cut ? scale : Float(cell + 1) - low }
        return cut ? high - Float(cell) : 1
      }
      return Window(
        start: start, count: count, first: covered(start), last: covered(start + count - 1))
    }
  }
}

extension PixelImage {
  /// The picture at a size no larger than its own, as TensorFlow 1's `resize_images` gives it with
  /// `ResizeMethod.AREA` and `align_corners=True`, then clipped, rounded half to even and cast to
  /// bytes (paper, listings 1 and 2).
  ///
  /// The arithmetic is float32 in TensorFlow's order. With aligned corners the scale of an axis is
  /// (in − 1) / (out − 1), so the last output cell starts at the last source cell and runs past it.
  package func areaResized(width: Int, height: Int) -> PixelImage {
    precondition((1...self.width).contains(width) && (1...self.height).contains(height))
    if width == self.width && height == self.height { return self }
    let columns = AreaAxis(from: self.width, to: width)
    let rows = AreaAxis(from: self.height, to: height)
    let norm = 1 / (rows.scale * columns.scale)
    let stride = 3 * width
    return PixelImage(width: width, height: height) { target in
      // The horizontal sum of a source row does not depend on the output row: one buffer for it and
      // the number of the row it holds, since neighbouring output rows share a source row.
      withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * stride) { buffer in
        let line = UnsafeMutableBufferPointer(rebasing: buffer[..<stride])
        let sums = UnsafeMutableBufferPointer(rebasing: buffer[stride...])
        var held = -1
        for y in 0..<height {
          let window = rows.windows[y]
          sums.update(repeating: 0)
          for index in 0..<window.count {
            let row = min(window.start + index, self.height - 1)
            if row != held { sumCells(ofRow: row, columns, into: line) }
            held = row
            let weight =
              index == 0 ? window.first : index == window.count - 1 ? window.last : 1
            for x in 0..<stride { sums[x] += line[x] * weight }
          }
          for x in 0..<stride {
            let value = (sums[x] * norm).rounded(.toNearestOrEven)
            target[stride * y + x] = UInt8(min(max(value, 0), 255))
          }
        }
      }
    }
  }

  private func sumCells(
    ofRow row: Int, _ columns: AreaAxis, into line: UnsafeMutableBufferPointer<Float>
  ) {
    pixels.withUnsafeBufferPointer { source in
      let base = 3 * row * width
      let end = width - 1
      for (x, window) in columns.windows.enumerated() {
        for channel in 0..<3 {
          var sum = Float(source[base + 3 * min(window.start, end) + channel]) * window.first
          if window.count > 1 {
            for cell in window.start + 1..<window.start + window.count - 1 {
              sum += Float(source[base + 3 * min(cell, end) + channel])
            }
            let last = min(window.start + window.count - 1, end)
            sum += Float(source[base + 3 * last + channel]) * window.last
          }
          line[3 * x + channel] = sum
        }
      }
    }
  }
}
