import CDVAEKernels
import DVAETensors
import Synchronization

// The argmax of a 1×1 convolution without most of its float32 sums, with the same result.
//
// For one position let h be its features, m the mean of the positions in the block, v₁ … v₈ any
// vectors of length 1 or 0, c₁ … c₈ any numbers, and d = h − m − Σ cⱼ·vⱼ. For a code with weights w
// and bias b the exact logit is m·w + b + Σ cⱼ·(vⱼ·w) + d·w. With the int8 forms d̂ of d and ŵ of w:
//
//   d·w = d̂·ŵ + (d − d̂)·w + d̂·(w − ŵ) ≤ d̂·ŵ + ‖d − d̂‖·‖w‖ + ‖d̂‖·‖w − ŵ‖   (Cauchy–Schwarz)
//
// d̂·ŵ is an exact integer sum, m·w + b and vⱼ·w are computed once for all positions, and the norms
// belong to the position or to the code alone. The smaller d, the tighter the bound: the vⱼ are the
// directions in which the block's features differ most, and hold most of the difference.
//
// Rounding: with u = 2⁻²⁴, the error of a float32 sum of n products and a bias is at most
// (n + 2)·u·(‖h‖·‖w‖ + |b|), in any order. Let s = ‖m‖ + Σ|cⱼ| + ‖d‖, which is at least ‖h‖. The
// logit in float32 errs by (n + 2)·u·(s·‖w‖ + |b|), and m·w + b and the vⱼ·w together by as much;
// the sum of these nine by 17·u·s·‖w‖, d by 34·u·s; all else (d̂, ŵ and the bound itself) by less than
// 16·u·s·‖w‖, since rounding to 8 bits at most doubles a norm. So
//
//   logit in float32 ≤ m·w + b + Σ cⱼ·(vⱼ·w) + d̂·ŵ + (‖d − d̂‖ + γ)·‖w‖ + ‖d̂‖·‖w − ŵ‖ + κ,
//   γ = (n + 40)·u·1.01·2·s,  κ = (n + 40)·u·1.01·2·max|b| + 10⁻³⁰ (numbers that underflow)
//
// The kernels round norms up by a thousandth, which covers their own rounding for n ≤ 2¹³. A code
// whose bound is less than some code's logit in float32 neither wins nor ties. First the panel of
// columns with the largest bound is computed in float32, then every panel whose bound is not less
// than the best logit so far, by the kernel and in the order of `argmaxOfAll`, hence with its bits.
// Numbers that are not finite, or so large that a sum could overflow, are left to `argmaxOfAll`.
//
// 16-bit sums (without VNNI): the signed sum over a chunk is at most ‖q‖·‖p‖ for the integers q of
// the row and p of the weights in it, and the rows' steps are chosen so that this is at most 32767.

/// The work that remains after screening.
package struct ScreeningCounts: Sendable {
  /// The number of positions searched.
  package var positions = 0
  /// The number of logits of these positions.
  package var codes = 0
  /// The number of logits computed in float32.
  package var codesLeft = 0
  /// The number of positions for which screening excluded too little, so all logits were computed.
  package var fallbacks = 0

  package init() {}
}

/// The counts of an engine's searches.
final class ScreeningRecord: Sendable {
  private let counts = Mutex(ScreeningCounts())

  var value: ScreeningCounts { counts.withLock { $0 } }

  func add(_ more: ScreeningCounts) {
    counts.withLock { counts in
      counts.positions += more.positions
      counts.codes += more.codes
      counts.codesLeft += more.codesLeft
      counts.fallbacks += more.fallbacks
    }
  }
}

extension CPUEngine {
  /// The work that remained after screening so far; searches without screening do not count.
  package var screeningCounts: ScreeningCounts { screeningRecord.value }

  /// The number of positions that share a subspace and a pass over the weights.
  private static let screenedPositions = 1024

  /// Returns the screened weights if the search is large enough to profit from them.
  func screenedWeights(_ filter: CPUFilter, positions: Int) -> ScreenedWeights? {
    guard let weights = filter.forward, let cache = filter.screened, weights.k <= 8192,
      weights.factors == .float32
    else { return nil }
    let gains = positions >= 128 && weights.inputs >= 256 && weights.outputs >= 1024
    guard screening ?? (gains && kernels.screens != 0) else { return nil }
    return cache.weights { screen(weights) }
  }

  /// `argmaxOfAll` by screening, in blocks of positions.
  func argmaxScreened(
    _ x: Tensor, _ filter: CPUFilter, _ weights: PackedWeights, _ screened: ScreenedWeights,
    reluInput: Bool
  ) -> [Int32] {
    let (positions, channels) = (x.shape.positions, x.shape.channels)
    let parts = (positions + Self.screenedPositions - 1) / Self.screenedPositions
    let size = (positions + parts - 1) / max(parts, 1)
    var tokens: [Int32] = []
    tokens.reserveCapacity(positions)
    var isUseful = true
    for first in stride(from: 0, to: positions, by: max(size, 1)) {
      let count = min(size, positions - first)
      let part = Tensor(
        Shape(1, 1, count, channels), adopting: x.pointer + first * channels
      ) { [x] _ in _ = x }
      let h = reluInput ? relu(part) : part
      var counts = ScreeningCounts()
      (counts.positions, counts.codes) = (count, count * weights.outputs)
      let search = isUseful ? Search(self, h, weights, screened) : nil
      if let search, let found = search.tokens(&counts) {
        tokens += found
      } else {
        if search != nil {
          isUseful = screening == true
          if !isUseful { filter.screened?.giveUp() }
        }
        (counts.codesLeft, counts.fallbacks) = (counts.codes, count)
        tokens += argmaxOfAll(h, weights, reluInput: false)
      }
      screeningRecord.add(counts)
    }
    return tokens
  }
}

/// The search for the tokens of a block of positions.
private struct Search {
  let engine: CPUEngine
  let h: Tensor
  let weights: PackedWeights
  /// Upper bounds of the logits of a panel: [panel][position].
  let upper: Tensor
  let panels: Int
  var positions: Int { h.shape.positions }

  /// Computes the bounds; nil if numbers are not finite or too large.
  init?(_ engine: CPUEngine, _ h: Tensor, _ weights: PackedWeights, _ screened: ScreenedWeights) {
    self.engine = engine
    self.h = h
    self.weights = weights
    let columns = engine.panelColumns
    panels = (weights.outputs + columns - 1) / columns
    upper = engine.pool.scratch(panels * h.shape.positions)
    let subspace = engine.subspace(h)
    guard let rows = ScreenedRows(engine, h, subspace, screened) else { return nil }
    bound(rows, base(subspace), screened)
  }

  /// Returns m·w + b and the vⱼ·w, [1 + directions][code]; codes that fill up a panel have no bound.
  private func base(_ subspace: Tensor) -> Tensor {
    var plain = weights
    plain.bias = nil
    let logits = engine.convolve(subspace, plain, reluInput: false, .bias)
    let base = Tensor(
      Shape(1, 1, screeningDirections + 1, panels * engine.panelColumns), repeating: 0)
    for row in 0...screeningDirections {
      (base.pointer + row * base.shape.channels)
        .update(from: logits.pointer + row * weights.outputs, count: weights.outputs)
    }
    for code in 0..<weights.outputs { base.pointer[code] += weights.bias?.pointer[code] ?? 0 }
    for code in weights.outputs..<base.shape.channels { base.pointer[code] = -.infinity }
    return base
  }

  private func bound(_ rows: ScreenedRows, _ base: Tensor, _ screened: ScreenedWeights) {
    let kernels = engine.kernels
    let columns = engine.panelColumns
    let (height, width) = (8 * engine.panelRows, max(1, 512 / columns))
    let rowTasks = (positions + height - 1) / height
    let bands = (panels + width - 1) / width
    // Columns outermost, so that all threads use the same weights at the same time.
    engine.team.run(bands * rowTasks) { task, _ in
      let (row, panel) = (task % rowTasks * height, task / rowTasks * width)
      let column = panel * columns
      let screening = dvae_screening(
        a: UnsafePointer(rows.bytes.words + row * screened.words),
        b: UnsafePointer(screened.weights.words + panel * screened.panel),
        k: Int32(screened.words), rows: Int32(min(height, positions - row)),
        columns: Int32(min(width, panels - panel) * columns),
        a_panel: engine.panelRows * screened.words, b_panel: screened.panel,
        numbers: UnsafePointer(rows.numbers.pointer + row * Int(DVAE_SCREENING_NUMBERS)),
        base: UnsafePointer(base.pointer + column), base_row: base.shape.channels,
        scale: UnsafePointer(screened.scales.pointer + column),
        norm: UnsafePointer(screened.norms.pointer + column),
        error: UnsafePointer(screened.errors.pointer + column),
        offset: UnsafePointer(screened.offsets.words + column),
        upper: upper.pointer + panel * positions + row, upper_panel: positions)
      withUnsafePointer(to: screening) { kernels.screen($0) }
    }
  }

  /// Returns the tokens; nil if more than half of the logits remain.
  func tokens(_ counts: inout ScreeningCounts) -> [Int32]? {
    let kernels = engine.kernels
    let least = engine.pool.scratch(positions)
    least.elements.update(repeating: -.infinity)
    for panel in 0..<panels {
      kernels.raise(upper.pointer + panel * positions, Int32(positions), least.pointer)
    }
    let winners = Winners(engine, positions)
    let lists = engine.pool.scratch(panels * positions)
    let lengths = engine.pool.scratch(panels)
    // First the panels with the largest bounds, then all that could hold a larger logit.
    for _ in 0..<2 {
      engine.team.run(panels) { panel, _ in
        let at = panel * positions
        lengths.words[panel] = kernels.take_at_least(
          upper.pointer + at, least.pointer, Int32(positions), lists.words + at)
      }
      let columns = engine.panelColumns
      for panel in 0..<panels {
        counts.codesLeft +=
          Int(lengths.words[panel]) * min(columns, weights.outputs - panel * columns)
      }
      guard counts.codesLeft <= counts.codes / 2 || engine.screening == true else { return nil }
      engine.team.run(panels) { panel, worker in
        winners.compute(
          h, weights, panel: panel,
          UnsafeBufferPointer(
            start: lists.words + panel * positions, count: Int(lengths.words[panel])),
          engine, worker)
      }
      winners.merge()
      least.pointer.update(from: winners.best.pointer, count: positions)
    }
    return Array(UnsafeBufferPointer(start: winners.index.words, count: positions))
  }
}

/// Positions in int8.
private struct ScreenedRows {
  /// A panels of words.
  let bytes: Tensor
  /// `DVAE_SCREENING_NUMBERS` of each position.
  let numbers: Tensor

  init?(_ engine: CPUEngine, _ h: Tensor, _ subspace: Tensor, _ screened: ScreenedWeights) {
    let kernels = engine.kernels
    let (positions, channels) = (h.shape.positions, h.shape.channels)
    let perRow = Int(DVAE_SCREENING_NUMBERS)
    let height = engine.panelRows
    let packed = engine.pool.scratch(roundUp(positions, height) * screened.words)
    let numbers = engine.pool.scratch(positions * perRow)
    let scratch = engine.pool.scratch(engine.threads * height * screened.words)
    engine.team.run((positions + height - 1) / height) { task, worker in
      let first = task * height
      let count = min(height, positions - first)
      let rows = UnsafeMutableRawPointer(scratch.pointer + worker * height * screened.words)
        .assumingMemoryBound(to: UInt8.self)
      for row in 0..<count {
        kernels.screen_row(
          h.pointer + (first + row) * channels, subspace.pointer, Int32(channels), screened.limit,
          rows + row * channels, numbers.pointer + (first + row) * perRow)
      }
      let words = packed.words + first * screened.words
      if count < height { words.update(repeating: 0, count: height * screened.words) }
      kernels.pack_words(rows, channels, Int32(count), Int32(channels), words)
    }
    let unit = Float(channels + 40) * 0x1p-24 * 2.02
    let mean = subspace.elements.prefix(channels)
    let norm = mean.reduce(0) { $0 + $1 * $1 }.squareRoot() * 1.001 + 1e-16
    for position in 0..<positions {
      let row = numbers.pointer + position * perRow
      let size = (4..<perRow).reduce(norm + row[3]) { $0 + abs(row[$1]) * 1.001 }
      guard size * screened.largestNorm + screened.largestBias < 1e30 else { return nil }
      row[1] += unit * size
      row[3] = unit * screened.largestBias + 1e-30
    }
    bytes = packed
    self.numbers = numbers
  }
}

/// The largest logits so far, in float32, and their codes.
private struct Winners {
  private let positions: Int
  /// For each worker and position; after `merge` the first worker's hold the result.
  let best: Tensor
  let index: Tensor
  private let workers: Int
  /// The number of rows in one product.
  private let rows: Int
  private let packed: Tensor
  private let logits: Tensor

  init(_ engine: CPUEngine, _ positions: Int) {
    self.positions = positions
    workers = engine.threads
    rows = 8 * engine.panelRows
    (best, index) = engine.makeWinners(workers * positions)
    packed = engine.pool.scratch(workers * rows * FactorPrecision.float32.deepest)
    // The logits, and for each row the largest and its code.
    logits = engine.pool.scratch(workers * rows * (engine.panelColumns + 2))
  }

  /// Computes one panel's logits at some positions.
  func compute(
    _ h: Tensor, _ weights: PackedWeights, panel: Int, _ list: UnsafeBufferPointer<Int32>,
    _ engine: CPUEngine, _ worker: Int
  ) {
    let kernels = engine.kernels
    let (width, height) = (engine.panelColumns, engine.panelRows)
    let first = panel * width
    let columns = first..<min(first + width, weights.outputs)
    let channels = h.shape.channels
    let a = packed.pointer + worker * rows * FactorPrecision.float32.deepest
    let c = logits.pointer + worker * rows * (width + 2)
    let largest = c + rows * width
    let codes = UnsafeMutableRawPointer(largest + rows).assumingMemoryBound(to: Int32.self)
    let output = Output(logits, .bias, bias: weights.bias)
    for start in stride(from: 0, to: list.count, by: rows) {
      let count = min(rows, list.count - start)
      output.withEpilogue(at: worker * rows * (width + 2), column: first) { c, epilogue in
        for k in weights.steps {
          let taken = Int32(min(k.upperBound, channels) - k.lowerBound)
          for row in 0..<count {
            let (tile, place) = row.quotientAndRemainder(dividingBy: height)
            kernels.pack_rows(
              h.pointer + Int(list[start + row]) * channels + k.lowerBound, channels, 1, taken, 0,
              a + tile * height * k.count + place * Int(DVAE_K_GROUP))
          }
          let block = Block(
            a: UnsafePointer(a), position: 0, rows: count, columns: columns, k: k,
            isLast: k.upperBound == weights.k)
          engine.add(block, weights, to: c, row: width, epilogue)
        }
      }
      largest.update(repeating: -.infinity, count: count)
      codes.update(repeating: 0, count: count)
      kernels.argmax_rows(
        c, width, Int32(count), Int32(columns.count), Int32(first), largest, codes)
      for row in 0..<count {
        keep(largest[row], codes[row], at: worker * positions + Int(list[start + row]))
      }
    }
  }

  /// Merges the workers' winners; the result does not depend on their order.
  func merge() {
    for worker in 1..<max(workers, 1) {
      for position in 0..<positions {
        let from = worker * positions + position
        keep(best.pointer[from], index.words[from], at: position)
      }
    }
  }

  /// Keeps the larger; of equal values the lower code.
  private func keep(_ value: Float, _ code: Int32, at place: Int) {
    let most = best.pointer[place]
    guard value > most || (value == most && code < index.words[place]) else { return }
    best.pointer[place] = value
    index.words[place] = code
  }
}
