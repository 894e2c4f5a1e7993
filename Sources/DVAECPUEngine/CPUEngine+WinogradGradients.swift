import CDVAEKernels
import DVAETensors

// The transposed Winograd algorithm: dU = Σ over tiles of (A dy Aᵀ) ⊙ (Bᵀ d B), 36 products over
// all tiles; dw = Gᵀ dU G. V = Bᵀ d B has a row of input channels per tile, M = A dy Aᵀ one of
// output channels.

extension CPUEngine {
  /// The size in floats of the transformed tiles of one round, and of the sums of one pass:
  /// together they fit the shared cache.
  private static let roundFloats = 2_000_000
  private static let sumFloats = 2_500_000
  /// The number of tiles that one task transforms.
  private static let tilesPerTask = 8

  /// For many channels: passes over blocks of input channels; each has rounds over the tiles, in
  /// which all threads transform, then multiply.
  func winogradGradientByRounds(_ g: WeightGradient) {
    let (inputs, outputs) = (g.shape.inputChannels, g.shape.outputChannels)
    let width = min(inputs, max(64, Self.sumFloats / (36 * outputs) / 64 * 64))
    let plan = WinogradGradient(g, kernels, inputs: width, floats: Self.roundFloats, atLeast: 64)
    let scratch = pool.scratch(plan.size + plan.rounds * outputs)
    let dBias = scratch.pointer + plan.size
    dBias.update(repeating: 0, count: plan.rounds * outputs)
    let rowsPerTask = panelRows * 8
    let rowTasks = (outputs + rowsPerTask - 1) / rowsPerTask

    for first in stride(from: 0, to: inputs, by: width) {
      let channels = first..<min(first + width, inputs)
      for round in 0..<plan.rounds {
        let tiles = plan.tiles(of: round)
        team.runChunks(of: tiles.count, size: Self.tilesPerTask) {
          plan.transform(tiles, $0, channels, scratch.pointer)
        }
        team.run(36 * rowTasks) { task, _ in
          let (element, block) = task.quotientAndRemainder(dividingBy: rowTasks)
          let top = block * rowsPerTask
          plan.multiply(
            element, tiles.count, top..<min(top + rowsPerTask, outputs), channels,
            accumulate: round > 0, dBias: first == 0 ? dBias + round * outputs : nil,
            scratch.pointer)
        }
      }
      team.run(outputs) { output, _ in
        plan.finish(
          output, channels, scale: g.scale, scratch.pointer, to: g.dWeights.pointer)
      }
    }
    addBias(UnsafePointer(dBias), parts: plan.rounds, g)
  }

  /// The size in floats of the transformed tiles in one step of a thread: half of its L2 cache.
  private static let stepFloats = 100_000
  /// The number of runs of steps, each with its own sums: enough for the largest machines.
  private static let slots = 32

  /// For few channels and many tiles: each task takes a run of tiles through all steps in its
  /// core's cache; the sums of the runs are added in order.
  func winogradGradientBySlots(_ g: WeightGradient) {
    let (inputs, outputs) = (g.shape.inputChannels, g.shape.outputChannels)
    let plan = WinogradGradient(
      g, kernels, inputs: inputs, floats: Self.stepFloats, atLeast: panelRows)
    let slots = min(Self.slots, plan.rounds)
    let scratch = pool.scratch(team.threads * plan.size)
    let count = g.shape.weightCount
    let partial = pool.scratch(slots * (count + outputs))
    partial.elements.update(repeating: 0)
    let dBias = partial.pointer + slots * count
    team.run(slots) { slot, worker in
      let memory = scratch.pointer + worker * plan.size
      let rounds = slot * plan.rounds / slots..<(slot + 1) * plan.rounds / slots
      for round in rounds {
        let tiles = plan.tiles(of: round)
        plan.transform(tiles, 0..<tiles.count, 0..<inputs, memory)
        for element in 0..<36 {
          plan.multiply(
            element, tiles.count, 0..<outputs, 0..<inputs, accumulate: round > rounds.lowerBound,
            dBias: dBias + slot * outputs, memory)
        }
      }
      for output in 0..<outputs {
        plan.finish(output, 0..<inputs, scale: 1, memory, to: partial.pointer + slot * count)
      }
    }
    for slot in 0..<slots {
      kernels.add_scaled(
        UnsafePointer(g.dWeights.pointer), partial.pointer + slot * count, g.scale, count,
        g.dWeights.pointer)
    }
    addBias(UnsafePointer(dBias), parts: slots, g)
  }
}

/// The steps of the algorithm on the tiles of a round.
private struct WinogradGradient {
  let rounds: Int
  /// The size in floats of the memory that the steps share: V, M and dU.
  let size: Int
  private let g: WeightGradient
  private let kernels: dvae_kernels
  private let inputTiles: Tiles
  private let outputTiles: Tiles
  private let tilesPerRound: Int
  // The sizes in floats of a row of V and of M, and of each of the 36 matrices.
  private let (vRow, mRow): (Int, Int)
  private let (vBatch, mBatch, uBatch): (Int, Int, Int)

  /// Plans for `inputs` input channels at once and rounds with about this many floats in V and M.
  init(
    _ g: WeightGradient, _ kernels: dvae_kernels, inputs: Int, floats: Int, atLeast fewest: Int
  ) {
    self.g = g
    self.kernels = kernels
    inputTiles = Tiles(g.x.shape)
    outputTiles = Tiles(g.dy.shape)
    (vRow, mRow) = (unevenLines(inputs), unevenLines(g.shape.outputChannels))
    tilesPerRound = min(inputTiles.count, max(fewest, floats / (36 * (vRow + mRow))))
    rounds = (inputTiles.count + tilesPerRound - 1) / tilesPerRound
    (vBatch, mBatch) = (tilesPerRound * vRow, tilesPerRound * mRow)
    uBatch = g.shape.outputChannels * inputs
    size = 36 * (vBatch + mBatch + uBatch)
  }

  func tiles(of round: Int) -> Range<Int> {
    round * tilesPerRound..<min((round + 1) * tilesPerRound, inputTiles.count)
  }

  /// Rows of V and M for some tiles of a round.
  func transform(
    _ tiles: Range<Int>, _ rows: Range<Int>, _ channels: Range<Int>,
    _ v: UnsafeMutablePointer<Float>
  ) {
    let m = v + 36 * vBatch
    for row in rows {
      let (image, input) = inputTiles[tiles.lowerBound + row]
      let output = outputTiles[tiles.lowerBound + row].tile
      withUnsafePointer(to: input) {
        kernels.winograd_input_rows(
          g.x.image(image), $0, Int32(channels.lowerBound), Int32(roundUp(channels.count, 16)),
          g.reluInput ? 1 : 0, v + row * vRow, vBatch)
      }
      withUnsafePointer(to: output) {
        kernels.winograd_output_backward(
          g.dy.image(image), $0, Int32(g.shape.outputChannels), m + row * mRow, mBatch)
      }
    }
  }

  /// Computes one of the 36 products for some output channels, and their part of db if it contains
  /// it.
  func multiply(
    _ element: Int, _ count: Int, _ outputs: Range<Int>, _ channels: Range<Int>, accumulate: Bool,
    dBias: UnsafeMutablePointer<Float>?, _ v: UnsafeMutablePointer<Float>
  ) {
    let m = v + 36 * vBatch
    let u = m + 36 * mBatch
    let a = m + element * mBatch + outputs.lowerBound
    // Element (1, 1) of A dy Aᵀ is the sum of the tile.
    if let dBias, element == 7 {
      kernels.add_column_sums(a, mRow, count, Int32(outputs.count), dBias + outputs.lowerBound)
    }
    let product = dvae_gemm(
      a: a, b: v + element * vBatch,
      c: u + element * uBatch + outputs.lowerBound * channels.count, k: count,
      rows: outputs.count, columns: channels.count, accumulate: accumulate,
      aPanel: Int(kernels.rows), bPanel: Int(kernels.columns), aRow: mRow, bRow: vRow,
      cRow: channels.count)
    withUnsafePointer(to: product) { kernels.gemm_transposed($0) }
  }

  /// Adds scale·dw of one output channel.
  func finish(
    _ output: Int, _ channels: Range<Int>, scale: Float, _ v: UnsafeMutablePointer<Float>,
    to dw: UnsafeMutablePointer<Float>
  ) {
    let u = v + 36 * (vBatch + mBatch)
    kernels.winograd_weights_backward(
      u + output * channels.count, uBatch, Int32(channels.count), scale,
      dw + (output * g.shape.inputChannels + channels.lowerBound) * 9)
  }
}
