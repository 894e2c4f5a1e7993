import CDVAEKernels
import DVAETensors

// Gradients by the weights of 3×3 convolutions in bfloat16: dw[o, tap, i] = Σ_p dy[p, o] · x[p + tap, i],
// a product for each tap. Two positions share a word.
//
// A slab is some rows of an image. Its rows are laid out in lines of an even number of positions: dy from
// the first on, x from the third on, zeros elsewhere. Then output p meets input p + line · row + column
// + 1 under each tap, over all lines at once. The pairs of x begin at even positions for the middle
// column of taps, at odd ones for the others, so that there are two copies of x.

extension CPUEngine {
  /// Adds scale·dw and scale·db.
  func bfloat16Gradient(_ g: WeightGradient) {
    let (inputs, outputs) = (g.shape.inputChannels, g.shape.outputChannels)
    let slabs = Slabs(g)
    let plan = slabs.plan
    let count = g.shape.weightCount
    let scratch = pool.scratch(team.threads * slabs.size)
    let partial = pool.scratch(plan.slots * count)
    let dBias = pool.scratch(plan.slots * outputs)
    dBias.elements.update(repeating: 0)
    let kernels = kernels

    team.run(plan.blocks * plan.slots) { task, worker in
      let (o, i) = plan.block(task / plan.slots)
      let slot = task % plan.slots
      let memory = scratch.pointer + worker * slabs.size
      let sums = partial.pointer + slot * count + o.lowerBound * inputs + i.lowerBound
      for (at, step) in plan.steps(of: slot).enumerated() {
        let slab = slabs[step]
        if i.lowerBound == 0 {
          let dy = g.dy.image(slab.image) + slab.rows.lowerBound * g.x.shape.width * outputs
          kernels.add_column_sums(
            dy + o.lowerBound, outputs, slab.rows.count * g.x.shape.width, Int32(o.count),
            dBias.pointer + slot * outputs + o.lowerBound)
        }
        slabs.pack(slab, o, i, kernels, to: memory)
        for column in 0..<3 {
          var product = slabs.product(
            slab, o, i, column: column, kernels, memory, to: sums + column * outputs * inputs)
          product.accumulate = at == 0 ? 0 : 1
          kernels.gemm_bfloat16_transposed(&product)
        }
      }
    }
    // From [slot][tap][output][input] to the parameters' order (output, input, tap).
    team.run(outputs) { output, _ in
      let dw = g.dWeights.pointer + output * inputs * 9
      for tap in 0..<9 {
        let sums = partial.pointer + (tap * outputs + output) * inputs
        for slot in 1..<max(1, plan.slots) {
          kernels.add_scaled(UnsafePointer(sums), sums + slot * count, 1, inputs, sums)
        }
        for input in 0..<inputs { dw[input * 9 + tap] += g.scale * sums[input] }
      }
    }
    addBias(UnsafePointer(dBias.pointer), parts: plan.slots, g)
  }
}

/// The slabs of a batch, each a step of the sums.
private struct Slabs {
  /// Some rows of an image.
  typealias Slab = (image: Int, rows: Range<Int>)

  /// The largest number of output or input channels in a block: its sums stay in L2.
  private static let widest = 128
  /// The number of positions in a slab, about: its pairs stay in L2, too.
  private static let positions = 1024

  let plan: GradientPlan
  /// The number of floats that the pairs of a task take.
  let size: Int
  private let g: WeightGradient
  private let rowsPerSlab: Int
  private let slabsPerImage: Int
  /// The number of words of a line.
  private let line: Int
  // The numbers of words of a row of pairs of dy and of x.
  private let (dyRow, xRow): (Int, Int)

  init(_ g: WeightGradient) {
    self.g = g
    line = (g.x.shape.width + 1) / 2 + 1
    rowsPerSlab = max(1, min(g.x.shape.height, Self.positions / (2 * line)))
    slabsPerImage = (g.x.shape.height + rowsPerSlab - 1) / rowsPerSlab
    plan = GradientPlan(
      outputs: g.shape.outputChannels, inputs: g.shape.inputChannels, rows: Self.widest,
      columns: Self.widest, steps: g.x.shape.batch * slabsPerImage)
    (dyRow, xRow) = (roundUp(plan.block.rows, 32), roundUp(plan.block.columns, 32))
    // The taps of the last line read into one more.
    size = line * (rowsPerSlab * dyRow + 2 * (rowsPerSlab + 3) * xRow)
  }

  subscript(index: Int) -> Slab {
    let (image, slab) = index.quotientAndRemainder(dividingBy: slabsPerImage)
    let first = slab * rowsPerSlab
    return (image, first..<min(first + rowsPerSlab, g.x.shape.height))
  }

  /// Lays out dy, and both copies of x with the rows beside the slab.
  func pack(
    _ slab: Slab, _ o: Range<Int>, _ i: Range<Int>, _ kernels: dvae_kernels,
    to dy: UnsafeMutablePointer<Float>
  ) {
    let (width, height) = (g.x.shape.width, g.x.shape.height)
    let (inputs, outputs) = (g.shape.inputChannels, g.shape.outputChannels)
    let (even, odd) = copies(dy)
    for (at, row) in slab.rows.enumerated() {
      let to = dy + at * line * dyRow
      kernels.pack_columns_bfloat16(
        g.dy.image(slab.image) + row * width * outputs + o.lowerBound, outputs, Int32(width),
        Int32(o.count), Int32(dyRow), 0, DVAE_ROUNDED, to)
      (to + (line - 1) * dyRow).update(repeating: 0, count: dyRow)
    }
    for at in 0..<slab.rows.count + 3 {
      let row = slab.rows.lowerBound + at - 1
      let (even, odd) = (even + at * line * xRow, odd + at * line * xRow)
      guard row >= 0, row < height, at < slab.rows.count + 2 else {
        even.update(repeating: 0, count: line * xRow)
        odd.update(repeating: 0, count: line * xRow)
        continue
      }
      let x = g.x.image(slab.image) + row * width * inputs + i.lowerBound
      func pack(_ from: Int, to: UnsafeMutablePointer<Float>) {
        kernels.pack_columns_bfloat16(
          x + from * inputs, inputs, Int32(width - from), Int32(i.count), Int32(xRow),
          g.reluInput ? 1 : 0, DVAE_ROUNDED, to)
      }
      even.update(repeating: 0, count: xRow)
      pack(0, to: even + xRow)
      // The first pair is a zero and the first position.
      let (first, words) = (UnsafeRawPointer(even + xRow), UnsafeMutableRawPointer(odd))
      for word in 0..<xRow {
        words.storeBytes(
          of: first.load(fromByteOffset: 4 * word, as: UInt32.self) << 16, toByteOffset: 4 * word,
          as: UInt32.self)
      }
      if width > 1 { pack(1, to: odd + xRow) }
      let packed = 1 + width / 2
      (odd + packed * xRow).update(repeating: 0, count: (line - packed) * xRow)
    }
  }

  /// The product of one column of taps: its batch has the three rows.
  func product(
    _ slab: Slab, _ o: Range<Int>, _ i: Range<Int>, column: Int, _ kernels: dvae_kernels,
    _ dy: UnsafeMutablePointer<Float>, to sums: UnsafeMutablePointer<Float>
  ) -> dvae_gemm {
    let (even, odd) = copies(dy)
    return dvae_gemm(
      a: dy,
      // Pairs at even positions 2 q, or at odd ones 2 q + 1.
      b: column == 1 ? even + xRow : odd + column / 2 * xRow,
      c: sums, k: slab.rows.count * line, rows: o.count, columns: i.count, batch: 3,
      aPanel: Int(kernels.rows), bPanel: Int(kernels.columns), bBatch: line * xRow,
      cBatch: 3 * g.shape.outputChannels * g.shape.inputChannels, aRow: dyRow, bRow: xRow,
      cRow: g.shape.inputChannels)
  }

  private func copies(
    _ dy: UnsafeMutablePointer<Float>
  ) -> (even: UnsafeMutablePointer<Float>, odd: UnsafeMutablePointer<Float>) {
    let even = dy + line * rowsPerSlab * dyRow
    return (even, even + line * (rowsPerSlab + 3) * xRow)
  }
}
