internal import CDVAEKernels

/// One axis of the area resize: for each output cell the source cells that it covers, with weights.
private struct AreaAxis {
  let scale: Float
  /// Source cells of each output cell; beyond the last cell of the source, that cell is repeated.
  private(set) var starts: [Int32] = []
  private(set) var counts: [Int32] = []
  // The covered fractions of the first and the last cell; cells between them count whole.
  private var first: [Float] = []
  private var last: [Float] = []

  init(from input: Int, to output: Int) {
    let scale =
      output > 1 ? Float(input - 1) / Float(output - 1) : Float(input) / Float(output)
    self.scale = scale
    for index in 0..<output {
      let low = Float(index) * scale
      let high = Float(index + 1) * scale
      let start = Int(low.rounded(.down))
      // At least one cell, in case rounding makes the interval empty.
      let count = max(Int(high.rounded(.up)) - start, 1)
      func covered(_ cell: Int) -> Float {
        let cut = Float(cell + 1) > high
        if Float(cell) < low { return cut ? scale : Float(cell + 1) - low }
        return cut ? high - Float(cell) : 1
      }
      starts.append(Int32(start))
      counts.append(Int32(count))
      first.append(covered(start))
      last.append(covered(start + count - 1))
    }
  }

  /// Calls `body` with the axis in the kernels' form.
  func withTable(_ body: (UnsafePointer<dvae_area>) -> Void) {
    func call(
      _ from: UnsafePointer<Int32>, _ counts: UnsafePointer<Int32>, _ first: UnsafePointer<Float>,
      _ last: UnsafePointer<Float>
    ) {
      var table = dvae_area(
        outputs: Int32(starts.count), starts: from, counts: counts, first: first, last: last)
      body(&table)
    }
    call(starts, counts, first, last)
  }
}

extension PixelImage {
  // The source rows that are summed before their columns: few enough to stay in the cache.
  private static let bandRows = 64

  /// Resizes to a size no larger than the image, like TensorFlow 1's `resize_images` with
  /// `ResizeMethod.AREA` and `align_corners=True`, then clips, rounds half to even and converts to
  /// bytes (paper, listings 1 and 2).
  ///
  /// The arithmetic is float32 in TensorFlow's order. With aligned corners the scale of an axis is
  /// (in − 1) / (out − 1), so the last output cell starts at the last source cell and extends past
  /// it.
  package func areaResized(
    width: Int, height: Int, kernels: ImageKernels = .preferred
  ) -> PixelImage {
    precondition((1...self.width).contains(width) && (1...self.height).contains(height))
    if width == self.width && height == self.height { return self }
    let columns = AreaAxis(from: self.width, to: width)
    let rows = AreaAxis(from: self.height, to: height)
    let perBand = max(1, Int(Float(Self.bandRows) / rows.scale))
    let mostRows = min(self.height, Int((Float(perBand) * rows.scale).rounded(.up)) + 2)
    return PixelImage(width: width, height: height) { target in
      withUnsafeTemporaryAllocation(
        of: Float.self, capacity: Int(DVAE_PIXEL_SCRATCH) * self.width + 3 * width * mostRows
      ) { buffer in
        pixels.withUnsafeBufferPointer { source in
          guard let from = source.baseAddress, let cells = buffer.baseAddress,
            let to = target.baseAddress
          else { return }
          let lines = cells + Int(DVAE_PIXEL_SCRATCH) * self.width
          for start in stride(from: 0, to: height, by: perBand) {
            averageBand(
              start..<min(start + perBand, height), columns, rows, kernels, from, cells, lines, to)
          }
        }
      }
    }
  }

  /// Computes some output rows from the source rows that they cover.
  private func averageBand(
    _ outputs: Range<Int>, _ columns: AreaAxis, _ rows: AreaAxis, _ kernels: ImageKernels,
    _ source: UnsafePointer<UInt8>, _ cells: UnsafeMutablePointer<Float>,
    _ lines: UnsafeMutablePointer<Float>, _ target: UnsafeMutablePointer<UInt8>
  ) {
    let last = outputs.upperBound - 1
    let base = min(Int(rows.starts[outputs.lowerBound]), height - 1)
    let end = min(Int(rows.starts[last] + rows.counts[last]), height)
    let stride = 3 * columns.starts.count
    columns.withTable { table in
      kernels.table.area_rows(
        source + 3 * base * width, 3 * width, Int32(max(end, base + 1) - base),
        Int32(width), table, cells, lines, stride)
    }
    rows.withTable { table in
      kernels.table.area_columns(
        lines, Int32(base), Int32(height), Int32(stride), table,
        Int32(outputs.lowerBound), Int32(outputs.upperBound), 1 / (rows.scale * columns.scale),
        target + outputs.lowerBound * stride)
    }
  }
}
