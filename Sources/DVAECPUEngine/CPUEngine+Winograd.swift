import CDVAEKernels
import DVAETensors

// 3×3 convolutions by Winograd's F(4×4, 3×3): transform the input tiles, multiply 36 matrices,
// transform back. Two schedules with the same order of sums: by tiles if an image has many and the
// transformed weights stay in the cache, by panels of output channels if it has few.

extension CPUEngine {
  /// The number of input channels that are summed at a time: shorter sums round less, and the
  /// transformed weights of this many channels fit the L2 cache.
  private static let channelsPerStep = 64

  /// The padding in floats of the 36 matrices: sizes that are powers of two would map to the same
  /// few sets of the first-level cache.
  private static let padding = 16

  /// The schedule for wide images: one task takes a block of tiles through all three steps.
  func winogradByTiles(
    _ x: Tensor, _ weights: PackedWeights, reluInput: Bool, _ output: Output
  ) {
    let tiles = Tiles(x.shape)
    let (rows, columns, k) = (panelRows, panelColumns, weights.k)
    let panels = (weights.outputs + columns - 1) / columns
    let blockRows =
      rows * max(1, min(4, caches.floats(of: 0.72) / (36 * (k + columns) * rows)))
    let vBatch = blockRows * k + Self.padding
    let mBatch = blockRows * columns + Self.padding
    let size = 36 * (vBatch + mBatch)
    let scratch = pool.scratch(team.threads * size)
    let kernels = kernels

    team.run((tiles.count + blockRows - 1) / blockRows) { task, worker in
      let v = scratch.pointer + worker * size
      let m = v + 36 * vBatch
      let range = task * blockRows..<min((task + 1) * blockRows, tiles.count)
      for (row, index) in range.enumerated() {
        let (image, tile) = tiles[index]
        withUnsafePointer(to: tile) {
          kernels.winograd_input(
            x.image(image), $0, 0, Int32(k), reluInput ? 1 : 0, v + row / rows * rows * k, vBatch,
            Int32(row % rows))
        }
      }
      for panel in 0..<panels {
        let product = dvae_gemm(
          a: v, b: weights.weights.pointer + panel * weights.panel, c: m, k: k,
          slice: Self.channelsPerStep, rows: range.count,
          columns: min(columns, roundUp(weights.outputs - panel * columns, 16)), batch: 36,
          aPanel: rows * k, aBatch: vBatch, bBatch: k * columns, cBatch: mBatch, cRow: columns)
        withUnsafePointer(to: product) { kernels.gemm($0) }
        writeTiles(
          range, tiles, from: UnsafePointer(m), batch: mBatch, row: columns, panel: panel, weights,
          output)
      }
    }
  }

  /// The number of tiles in one round of the schedule by panels.
  private static let tilesPerRound = 128

  /// The schedule for deep layers: all input tiles of a round are transformed once; then each task
  /// takes a few panels of output channels and transforms their weights on the fly.
  func winogradByPanels(
    _ x: Tensor, _ weights: PackedWeights, reluInput: Bool, _ output: Output
  ) {
    let tiles = Tiles(x.shape)
    let (rows, columns, k) = (panelRows, panelColumns, weights.k)
    let panels = (weights.outputs + columns - 1) / columns
    let roundRows = roundUp(min(Self.tilesPerRound, tiles.count), rows)
    let depth = min(k, Self.channelsPerStep)
    // Two panels of transformed weights if they fit the cache: half as many passes over the tiles.
    let panelsPerTask = 2 * 36 * depth * columns <= caches.floats(of: 0.6) ? 2 : 1
    // V in slices of `depth` channels, [slice][36][rows][depth], so that each is read sequentially.
    let vBatch = roundRows * depth + Self.padding
    let slice = 36 * vBatch
    let v = pool.scratch((k + depth - 1) / depth * slice)
    let uBatch = depth * columns + Self.padding
    let mBatch = roundRows * columns * panelsPerTask + Self.padding
    let (uSize, mSize) = (36 * uBatch * panelsPerTask, 36 * mBatch)
    let scratch = pool.scratch(team.threads * (uSize + mSize))
    let kernels = kernels

    for start in stride(from: 0, to: tiles.count, by: Self.tilesPerRound) {
      let range = start..<min(start + Self.tilesPerRound, tiles.count)
      team.run(range.count) { row, _ in
        let (image, tile) = tiles[start + row]
        withUnsafePointer(to: tile) {
          for first in stride(from: 0, to: k, by: depth) {
            let count = min(depth, k - first)
            kernels.winograd_input(
              x.image(image), $0, Int32(first), Int32(count), reluInput ? 1 : 0,
              v.pointer + first / depth * slice + row / rows * rows * count, vBatch,
              Int32(row % rows))
          }
        }
      }
      team.run((panels + panelsPerTask - 1) / panelsPerTask) { task, worker in
        let u = scratch.pointer + worker * (uSize + mSize)
        let m = u + uSize
        let first = task * panelsPerTask
        let taken = first..<min(first + panelsPerTask, panels)
        for channel in stride(from: 0, to: k, by: depth) {
          let count = min(depth, k - channel)
          for panel in taken {
            kernels.winograd_weights(
              weights.weights.pointer + panel * weights.panel + channel * 9 * columns,
              Int32(count), u + (panel - first) * 36 * uBatch, uBatch)
          }
          let product = dvae_gemm(
            a: v.pointer + channel / depth * slice, b: u, c: m, k: count, rows: range.count,
            columns: columns * taken.count, batch: 36, accumulate: channel > 0, prefetch: true,
            aPanel: rows * count, bPanel: 36 * uBatch, aBatch: vBatch, bBatch: uBatch,
            cBatch: mBatch, cRow: columns * panelsPerTask)
          withUnsafePointer(to: product) { kernels.gemm($0) }
        }
        for panel in taken {
          writeTiles(
            range, tiles, from: UnsafePointer(m + (panel - first) * columns),
            batch: mBatch, row: columns * panelsPerTask,
            panel: panel, weights, output)
        }
      }
    }
  }

  /// Transforms the products of one panel of channels back and writes them.
  private func writeTiles(
    _ range: Range<Int>, _ tiles: Tiles, from m: UnsafePointer<Float>, batch: Int, row: Int,
    panel: Int, _ weights: PackedWeights, _ output: Output
  ) {
    let first = panel * panelColumns
    let count = min(panelColumns, weights.outputs - first)
    let imageSize = tiles.shape.height * tiles.shape.width * weights.outputs
    for (at, index) in range.enumerated() {
      var (image, tile) = tiles[index]
      tile.channels = Int32(weights.outputs)
      output.withEpilogue(at: image * imageSize + first, column: first) { y, epilogue in
        withUnsafePointer(to: tile) {
          kernels.winograd_output(m + at * row, batch, $0, Int32(count), y, epilogue)
        }
      }
    }
  }
}

/// The 4×4 tiles of a batch, row-major, image after image.
struct Tiles {
  let shape: Shape
  private let across: Int
  private let perImage: Int

  init(_ shape: Shape) {
    self.shape = shape
    across = (shape.width + 3) / 4
    perImage = across * ((shape.height + 3) / 4)
  }

  var count: Int { shape.batch * perImage }

  /// The image of tile `index`, and the tile within it.
  subscript(index: Int) -> (image: Int, tile: dvae_tile) {
    let within = index % perImage
    return (
      index / perImage,
      dvae_tile(
        height: Int32(shape.height), width: Int32(shape.width), channels: Int32(shape.channels),
        row: Int32(within / across * 4), column: Int32(within % across * 4))
    )
  }
}
