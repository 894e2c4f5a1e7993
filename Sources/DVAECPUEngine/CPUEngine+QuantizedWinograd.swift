import CDVAEKernels
import DVAETensors

// int8 3×3 convolutions by Winograd's F(4×4, 3×3): the input transform is exact in 16 bits, the
// products in 32; the output transform is in float32.

extension CPUEngine {
  func winograd(
    _ x: ByteTensor, _ filter: CPUQuantizedFilter, outputScale: Float
  ) -> ByteTensor {
    precondition(
      x.shape.channels == filter.shape.inputChannels,
      "convolution: input \(x.shape) for \(filter.shape)")
    let y = ByteTensor(x.shape.with(channels: filter.shape.outputChannels), makeTensor)
    let tiles = Tiles(x.shape)
    let job = WinogradJob(
      x: x, y: y, filter: filter, inverse: 1 / outputScale, tiles: tiles, rows: panelRows,
      columns: panelColumns, kernels: kernels)
    // If the weights are small, each task takes its tiles through all steps in its core's cache;
    // else all tasks share the transformed tiles and divide the weights.
    if filter.panel * job.panels * MemoryLayout<Int32>.size <= caches.shared / 6 {
      multiplyByTiles(job)
    } else {
      multiplyByPanels(job)
    }
    return y
  }

  /// The number of tiles whose transforms are shared at a time.
  private static let tilesPerRound = 128

  private func multiplyByTiles(_ job: WinogradJob) {
    let perPanel = 36 * (job.filter.k + job.columns) * panelRows
    let rows = panelRows * max(1, min(4, caches.floats(of: 0.72) / perPanel))
    let v = job.vBatch(rows)
    let size = 36 * (v + job.mBatch(rows, panels: 1))
    let scratch = pool.scratch(team.threads * size)
    team.run((job.tiles.count + rows - 1) / rows) { task, worker in
      let at = scratch.words + worker * size
      let sums = UnsafeMutableRawPointer(at + 36 * v).assumingMemoryBound(to: Float.self)
      let range = task * rows..<min((task + 1) * rows, job.tiles.count)
      for index in range { job.transform(index, row: index - range.lowerBound, to: at, v) }
      for panel in 0..<job.panels {
        job.multiply(
          range, panel..<panel + 1, UnsafePointer(at), v, to: sums,
          job.mBatch(rows, panels: 1), prefetch: false)
      }
    }
  }

  private func multiplyByPanels(_ job: WinogradJob) {
    let rows = roundUp(min(Self.tilesPerRound, job.tiles.count), panelRows)
    let panelsPerTask = max(1, min(4, Self.tilesPerRound / rows * 32 / job.columns))
    let v = job.vBatch(rows)
    let transformed = pool.scratch(36 * v)
    let m = job.mBatch(rows, panels: panelsPerTask)
    let scratch = pool.scratch(team.threads * 36 * m)
    for start in stride(from: 0, to: job.tiles.count, by: Self.tilesPerRound) {
      let range = start..<min(start + Self.tilesPerRound, job.tiles.count)
      team.run(range.count) { row, _ in
        job.transform(start + row, row: row, to: transformed.words, v)
      }
      team.run((job.panels + panelsPerTask - 1) / panelsPerTask) { task, worker in
        let first = task * panelsPerTask
        job.multiply(
          range, first..<min(first + panelsPerTask, job.panels),
          UnsafePointer(transformed.words), v, to: scratch.pointer + worker * 36 * m, m,
          prefetch: true)
      }
    }
  }
}

/// One convolution and its steps.
private struct WinogradJob {
  let x: ByteTensor
  let y: ByteTensor
  let filter: CPUQuantizedFilter
  let inverse: Float
  let tiles: Tiles
  let rows: Int
  let columns: Int
  let kernels: dvae_kernels

  var panels: Int { (filter.shape.outputChannels + columns - 1) / columns }

  // The matrices are padded, because sizes that are powers of two would map to the same few sets of
  // the first-level cache.
  func vBatch(_ rows: Int) -> Int { rows * filter.k + 16 }
  func mBatch(_ rows: Int, panels: Int) -> Int { rows * columns * panels + 16 }

  /// Transforms tile `index` into row `row` of 36 A panels.
  func transform(_ index: Int, row: Int, to v: UnsafeMutablePointer<Int32>, _ batch: Int) {
    let (image, tile) = tiles[index]
    let size = x.shape.height * x.shape.width * x.shape.channels
    let panel = v + row / rows * rows * filter.k
    withUnsafePointer(to: tile) {
      kernels.winograd_input_bytes(
        x.pointer + image * size, $0, 0, Int32(2 * filter.k),
        UnsafeMutableRawPointer(panel).assumingMemoryBound(to: Int16.self), 2 * batch,
        Int32(row % rows))
    }
  }

  /// Multiplies the transformed tiles by some panels of weights and writes the outputs.
  func multiply(
    _ range: Range<Int>, _ taken: Range<Int>, _ v: UnsafePointer<Int32>, _ vBatch: Int,
    to m: UnsafeMutablePointer<Float>, _ mBatch: Int, prefetch: Bool
  ) {
    var product = dvae_word_gemm()
    product.a = v
    product.b = UnsafePointer(filter.weights.words + taken.lowerBound * filter.panel)
    product.c = m
    product.depth = Int32(QuantizedWeights.exactInputs / 2)
    product.k = Int32(filter.k)
    product.rows = Int32(range.count)
    product.columns = Int32(columns * taken.count)
    product.batch = 36
    product.prefetch = prefetch ? 1 : 0
    product.a_panel = rows * filter.k
    product.a_batch = vBatch
    product.b_panel = filter.panel
    product.b_batch = filter.k * columns
    product.c_batch = mBatch
    product.c_row = columns * taken.count
    withUnsafePointer(to: product) { kernels.gemm_words($0) }

    let first = taken.lowerBound * columns
    let count = min(columns * taken.count, filter.shape.outputChannels - first)
    let size = y.shape.height * y.shape.width * y.shape.channels
    for (at, index) in range.enumerated() {
      var (image, tile) = tiles[index]
      tile.channels = Int32(filter.shape.outputChannels)
      withUnsafePointer(to: tile) {
        kernels.winograd_output_bytes(
          m + at * columns * taken.count, mBatch, $0, Int32(count),
          y.pointer + image * size + first, filter.scales.pointer + first,
          filter.biases.pointer + first, inverse)
      }
    }
  }
}
