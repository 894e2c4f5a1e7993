import CDVAEKernels
package import DVAETensors

// Gradients by a convolution's weights: sums over all positions of the batch.

extension CPUEngine {
  package func convolutionBackwardWeights(
    _ x: Tensor, _ dy: Tensor, _ shape: ConvolutionShape, reluInput: Bool, scale: Float,
    dWeights: TensorSlice, dBias: TensorSlice
  ) {
    precondition(
      x.shape.channels == shape.inputChannels
        && dy.shape == x.shape.with(channels: shape.outputChannels)
        && dWeights.count == shape.weightCount && dBias.count == shape.outputChannels,
      "convolutionBackwardWeights: \(x.shape), \(dy.shape) for \(shape)")
    let gradient = WeightGradient(
      x: x, dy: dy, shape: shape, reluInput: reluInput, scale: scale, dWeights: dWeights,
      dBias: dBias)
    if isWinograd(shape) {
      let isSmall = shape.inputChannels * shape.outputChannels <= 1024
      isSmall ? winogradGradientBySlots(gradient) : winogradGradientByRounds(gradient)
    } else if shape.kernel == 3 && (factors == .bfloat16 || factors == .bfloat16Anywhere) {
      bfloat16Gradient(gradient)
    } else {
      productGradient(gradient)
    }
  }

  /// dw[o, k] = Σ_p dy[p, o] · patch[p, k], for 1×1 and for kernels over few channels.
  ///
  /// The work is split into blocks of output × input channels; if those are few, also into ranges
  /// of positions ("slots") whose sums are added in order at the end.
  private func productGradient(_ g: WeightGradient) {
    let (outputs, width) = (g.shape.outputChannels, g.shape.fanIn)
    let isGathered = g.shape.kernel > 1
    let plane = g.x.shape.height * g.x.shape.width
    // A step takes up to `depth` positions of an image.
    let depth = 256
    let perImage = (plane + depth - 1) / depth
    // Fast products leave no time to pack the inputs for a few outputs only.
    let plan = GradientPlan(
      outputs: outputs, inputs: width, rows: factors == .float32 ? 8 * panelRows : 256,
      columns: 512, steps: g.x.shape.batch * perImage)
    let (aRow, columns) = (unevenLines(plan.block.rows), panelColumns)
    let factors = factors
    let words = factors.words(of: depth)
    let aSize = words * aRow
    let bSize = words * roundUp(plan.block.columns, columns)
    let patchSize = isGathered ? depth * plan.block.columns : 0
    let cSize = plan.block.rows * plan.block.columns
    let size = aSize + bSize + patchSize + cSize
    let scratch = pool.scratch(team.threads * size)
    let dBias = pool.scratch(plan.slots * outputs)
    dBias.elements.update(repeating: 0)
    let partial = plan.slots > 1 ? pool.scratch(plan.slots * outputs * width) : nil
    let kernels = kernels
    let isFloat = factors == .float32
    let multiply = isFloat ? kernels.gemm_transposed : kernels.gemm_bfloat16_transposed

    func packColumns(
      _ x: UnsafePointer<Float>, _ stride: Int, _ terms: Int, _ count: Int, width: Int, relu: Bool,
      _ side: dvae_side, to out: UnsafeMutablePointer<Float>
    ) {
      let (terms, count, width) = (Int32(terms), Int32(count), Int32(width))
      let relu: Int32 = relu ? 1 : 0
      isFloat
        ? kernels.pack_columns(x, stride, terms, count, width, relu, out)
        : kernels.pack_columns_bfloat16(x, stride, terms, count, width, relu, side, out)
    }

    team.run(plan.blocks * plan.slots) { task, worker in
      let (o, i) = plan.block(task / plan.slots)
      let slot = task % plan.slots
      let a = scratch.pointer + worker * size
      let (b, patches, c) = (a + aSize, a + aSize + bSize, a + aSize + bSize + patchSize)
      for (at, step) in plan.steps(of: slot).enumerated() {
        let (image, first) = (step / perImage, step % perImage * depth)
        let count = min(depth, plane - first)
        let dy = g.dy.image(image) + first * outputs + o.lowerBound
        let terms = factors.words(of: count)
        packColumns(dy, outputs, count, o.count, width: aRow, relu: false, factors.left, to: a)
        if i.lowerBound == 0 {
          kernels.add_column_sums(
            isFloat ? a : dy, isFloat ? aRow : outputs, count, Int32(o.count),
            dBias.pointer + slot * outputs + o.lowerBound)
        }
        var (rows, stride) = (g.x.image(image) + first * width + i.lowerBound, width)
        if isGathered {
          (rows, stride) = (patches, i.count)
          kernels.patch_rows(
            g.x.image(image), Int32(g.x.shape.height), Int32(g.x.shape.width),
            Int32(g.shape.inputChannels), Int32(g.shape.kernel), Int32(first), Int32(count),
            Int32(i.lowerBound), Int32(i.count), rows)
        }
        packColumns(
          rows, stride, count, i.count, width: columns, relu: g.reluInput, factors.right, to: b)
        let product = dvae_gemm(
          a: a, b: b, c: c, k: terms, rows: o.count, columns: i.count, accumulate: at > 0,
          aPanel: panelRows, bPanel: terms * columns, aRow: aRow, bRow: columns, cRow: i.count)
        withUnsafePointer(to: product) { multiply($0) }
      }
      for (row, output) in o.enumerated() {
        let sums = UnsafePointer(c + row * i.count)
        if let partial {
          (partial.pointer + (slot * outputs + output) * width + i.lowerBound)
            .update(from: sums, count: i.count)
        } else {
          add(sums, output, i, g)
        }
      }
    }
    if let partial {
      team.run(outputs) { output, _ in
        for slot in 0..<plan.slots {
          add(
            UnsafePointer(partial.pointer + (slot * outputs + output) * width), output, 0..<width, g
          )
        }
      }
    }
    addBias(UnsafePointer(dBias.pointer), parts: plan.slots, g)
  }

  /// Adds the sums of one output channel to dw, converting from the products' order (row, column,
  /// input) to the parameters' (input, row, column).
  private func add(
    _ sums: UnsafePointer<Float>, _ output: Int, _ columns: Range<Int>, _ g: WeightGradient
  ) {
    let (inputs, taps) = (g.shape.inputChannels, g.shape.kernel * g.shape.kernel)
    let dw = g.dWeights.pointer + output * inputs * taps
    guard taps > 1 else {
      let to = dw + columns.lowerBound
      return kernels.add_scaled(UnsafePointer(to), sums, g.scale, columns.count, to)
    }
    var (tap, input) = columns.lowerBound.quotientAndRemainder(dividingBy: inputs)
    for at in 0..<columns.count {
      dw[input * taps + tap] += g.scale * sums[at]
      input += 1
      if input == inputs { (tap, input) = (tap + 1, 0) }
    }
  }

  /// Adds db from the sums of each part of the batch.
  func addBias(_ sums: UnsafePointer<Float>, parts: Int, _ g: WeightGradient) {
    let outputs = g.shape.outputChannels
    for output in 0..<outputs {
      let sum = (0..<parts).reduce(0.0) { $0 + Double(sums[$1 * outputs + output]) }
      g.dBias.pointer[output] += g.scale * Float(sum)
    }
  }
}

/// Returns the stride in floats of rows of n that fill an odd number of cache lines: columns of
/// such rows spread over all sets of the first-level cache.
func unevenLines(_ n: Int) -> Int { ((n + 15) / 16 | 1) * 16 }

/// The input and output of a weight gradient.
struct WeightGradient {
  let x: Tensor
  let dy: Tensor
  let shape: ConvolutionShape
  let reluInput: Bool
  let scale: Float
  let dWeights: TensorSlice
  let dBias: TensorSlice
}

/// The partition of a weight gradient's products: blocks of channels times slots of steps over positions, whose
/// sums are added in order.
struct GradientPlan {
  /// The number of tasks, enough for the largest machines; more would only cost memory.
  private static let tasks = 32

  /// The most output and input channels in a block.
  let block: (rows: Int, columns: Int)
  let slots: Int
  let blocks: Int
  private let outputs: Int
  private let inputs: Int
  private let across: Int
  private let steps: Int

  init(outputs: Int, inputs: Int, rows: Int, columns: Int, steps: Int) {
    self.outputs = outputs
    self.inputs = inputs
    self.steps = steps
    block = (min(outputs, rows), min(inputs, columns))
    across = (inputs + block.columns - 1) / block.columns
    blocks = across * ((outputs + block.rows - 1) / block.rows)
    slots = max(1, min(Self.tasks / blocks, steps))
  }

  func block(_ index: Int) -> (outputs: Range<Int>, inputs: Range<Int>) {
    let o = index / across * block.rows
    let i = index % across * block.columns
    return (o..<min(o + block.rows, outputs), i..<min(i + block.columns, inputs))
  }

  /// Returns the steps of one slot.
  func steps(of slot: Int) -> Range<Int> { slot * steps / slots..<(slot + 1) * steps / slots }
}
