import CDVAEKernels
import EngineModule
import TensorModule

// 3×3 convolutions by Winograd's F(4×4, 3×3): transform the input tiles, multiply 36 matrices,
// transform back. Two orders of the same work: by tiles where an image has many of them and the
// transformed weights stay in the cache, by panels of output channels where it has few.

extension CPUEngine {
  /// Floats that one task may keep in its core's second-level cache.
  private static let cacheFloats = 190_000

  /// The order for wide images: one task takes a block of tiles through all three steps.
  func winogradByTiles(
    _ x: Tensor, _ weights: PackedWeights, reluInput: Bool, _ output: Output
  ) {
    let tiles = Tiles(x.shape)
    let (rows, columns, k) = (panelRows, panelColumns, weights.k)
    let panels = (weights.outputs + columns - 1) / columns
    // Tiles of a task: as many panels of rows as fit beside the products.
    let single = Self.cacheFloats / (36 * (k + columns) * rows)
    let blockRows = rows * max(1, min(4, single))
    // Few rows would fit with all input channels: take the channels in blocks and add up instead.
    let blocked = single < 1 && k > 64
    let depth =
      blocked ? max(64, (Self.cacheFloats / (36 * rows) - panels * columns) / 16 * 16) : k
    let kept = blocked ? panels : 1
    let vSize = 36 * blockRows * depth
    let mSize = 36 * blockRows * columns * kept
    let scratch = pool.scratch(team.threads * (vSize + mSize))
    let tasks = (tiles.count + blockRows - 1) / blockRows
    let kernels = kernels

    team.run(tasks) { task, worker in
      let v = scratch.pointer + worker * (vSize + mSize)
      let m = v + vSize
      let range = task * blockRows..<min((task + 1) * blockRows, tiles.count)
      for first in stride(from: 0, to: k, by: depth) {
        let count = min(depth, k - first)
        for (row, index) in range.enumerated() {
          let (image, tile) = tiles[index]
          withUnsafePointer(to: tile) {
            kernels.winograd_input(
              x.image(image), $0, Int32(first), Int32(count), reluInput ? 1 : 0,
              v + row / rows * rows * count, blockRows * count, Int32(row % rows))
          }
        }
        for panel in 0..<panels {
          var product = dvae_gemm()
          product.a = UnsafePointer(v)
          product.b = UnsafePointer(
            weights.weights.pointer + panel * weights.panel + first * columns)
          product.c = m + (blocked ? panel : 0) * 36 * blockRows * columns
          product.k = Int32(count)
          product.rows = Int32(range.count)
          product.columns = Int32(columns)
          product.batch = 36
          product.accumulate = first > 0 ? 1 : 0
          product.a_panel = rows * count
          product.a_batch = blockRows * count
          product.b_batch = k * columns
          product.c_batch = blockRows * columns
          product.c_row = columns
          withUnsafePointer(to: product) { kernels.gemm($0) }
          if first + count == k {
            writeTiles(
              range, tiles, from: UnsafePointer(product.c), batch: blockRows * columns,
              panel: panel, weights, output)
          }
        }
      }
    }
  }

  /// Tiles of one round of the order by panels.
  private static let tilesPerRound = 128

  /// The order for deep layers: all input tiles of a round are transformed once; then each task
  /// takes one panel of output channels, transforming its weights as it goes.
  func winogradByPanels(
    _ x: Tensor, _ weights: PackedWeights, reluInput: Bool, _ output: Output
  ) {
    let tiles = Tiles(x.shape)
    let (rows, columns, k) = (panelRows, panelColumns, weights.k)
    let panels = (weights.outputs + columns - 1) / columns
    let roundRows = roundUp(min(Self.tilesPerRound, tiles.count), rows)
    let v = pool.scratch(36 * roundRows * k)
    let depth = min(k, 32)
    let uSize = 36 * depth * columns
    let mSize = 36 * roundRows * columns
    let scratch = pool.scratch(team.threads * (uSize + mSize))
    let kernels = kernels

    for start in stride(from: 0, to: tiles.count, by: Self.tilesPerRound) {
      let range = start..<min(start + Self.tilesPerRound, tiles.count)
      team.run(range.count) { row, _ in
        let (image, tile) = tiles[start + row]
        withUnsafePointer(to: tile) {
          kernels.winograd_input(
            x.image(image), $0, 0, Int32(k), reluInput ? 1 : 0,
            v.pointer + row / rows * rows * k, roundRows * k, Int32(row % rows))
        }
      }
      team.run(panels) { panel, worker in
        let u = scratch.pointer + worker * (uSize + mSize)
        let m = u + uSize
        for first in stride(from: 0, to: k, by: depth) {
          let count = min(depth, k - first)
          kernels.winograd_weights(
            weights.weights.pointer + panel * weights.panel + first * 9 * columns, Int32(count), u,
            depth * columns)
          var product = dvae_gemm()
          product.a = UnsafePointer(v.pointer + first * rows)
          product.b = UnsafePointer(u)
          product.c = m
          product.k = Int32(count)
          product.rows = Int32(range.count)
          product.columns = Int32(columns)
          product.batch = 36
          product.accumulate = first > 0 ? 1 : 0
          product.a_panel = rows * k
          product.a_batch = roundRows * k
          product.b_batch = depth * columns
          product.c_batch = roundRows * columns
          product.c_row = columns
          withUnsafePointer(to: product) { kernels.gemm($0) }
        }
        writeTiles(
          range, tiles, from: UnsafePointer(m), batch: roundRows * columns, panel: panel, weights,
          output)
      }
    }
  }

  /// Transforms the products of one panel of channels back and writes them.
  private func writeTiles(
    _ range: Range<Int>, _ tiles: Tiles, from m: UnsafePointer<Float>, batch: Int, panel: Int,
    _ weights: PackedWeights, _ output: Output
  ) {
    let first = panel * panelColumns
    let count = min(panelColumns, weights.outputs - first)
    let imageSize = tiles.shape.height * tiles.shape.width * weights.outputs
    for (row, index) in range.enumerated() {
      var (image, tile) = tiles[index]
      tile.channels = Int32(weights.outputs)
      output.withEpilogue(at: image * imageSize + first, column: first) { y, epilogue in
        withUnsafePointer(to: tile) {
          kernels.winograd_output(m + row * panelColumns, batch, $0, Int32(count), y, epilogue)
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

  /// The image that holds tile `index`, and the tile within it.
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
