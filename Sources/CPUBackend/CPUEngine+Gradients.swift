import CDVAEKernels
public import EngineModule
public import TensorModule

// Gradients by a convolution's weights: sums over all positions of the batch. The work is cut into
// blocks of output × input channels and, where those are few, into ranges of positions ("slots")
// whose sums are added in order at the end.

extension CPUEngine {
  /// Adds scale·dw and scale·db of `convolution` to the gradients.
  public func convolutionBackwardWeights(
    _ x: Tensor, _ dy: Tensor, _ shape: ConvolutionShape, reluInput: Bool, scale: Float,
    dWeights: TensorSlice, dBias: TensorSlice
  ) {
    precondition(
      x.shape.channels == shape.inputChannels
        && dy.shape == x.shape.with(channels: shape.outputChannels)
        && dWeights.count == shape.weightCount && dBias.count == shape.outputChannels,
      "convolutionBackwardWeights: \(x.shape), \(dy.shape) for \(shape)")
    let gradient = WeightGradient(
      x: x, dy: dy, shape: shape, reluInput: reluInput, scale: scale, dWeights: dWeights)
    if shape.kernel == 3 && shape.inputChannels >= 8 && shape.outputChannels >= 8 {
      winogradGradient(gradient)
    } else {
      productGradient(gradient)
    }
    addBiasGradient(dy, scale: scale, to: dBias)
  }

  private func addBiasGradient(_ dy: Tensor, scale: Float, to dBias: TensorSlice) {
    let channels = dy.shape.channels
    let rows = 256
    let chunks = (dy.shape.positions + rows - 1) / rows
    let partial = Tensor(Shape(1, 1, chunks, channels), repeating: 0)
    team.run(chunks) { chunk, _ in
      kernels.add_column_sums(
        dy.pointer + chunk * rows * channels, min(rows, dy.shape.positions - chunk * rows),
        Int32(channels), 1, partial.pointer + chunk * channels)
    }
    for channel in 0..<channels {
      var sum = 0.0
      for chunk in 0..<chunks { sum += Double(partial.pointer[chunk * channels + channel]) }
      dBias.pointer[channel] += scale * Float(sum)
    }
  }

  /// dw[o, k] = Σ_p dy[p, o] · patch[p, k], for 1×1 and for kernels over few channels.
  private func productGradient(_ g: WeightGradient) {
    let positionsAtOnce = 256
    let taps = g.shape.kernel * g.shape.kernel
    let (inputs, outputs, width) = (g.shape.inputChannels, g.shape.outputChannels, g.shape.fanIn)
    let block = (rows: panelRows * 8, columns: taps == 1 ? min(width, 512) : width)
    let plane = g.x.shape.height * g.x.shape.width
    let perImage = (plane + positionsAtOnce - 1) / positionsAtOnce
    let plan = GradientPlan(
      outputs: outputs, inputs: width, block: block, steps: g.x.shape.batch * perImage)
    // Rows of a 1×1 convolution's input are multiplied where they lie; patches are gathered.
    let x = g.reluInput ? relu(g.x) : g.x
    let aSize = positionsAtOnce * block.rows
    let bSize = taps == 1 ? 0 : positionsAtOnce * width
    let cSize = block.rows * block.columns
    let scratch = pool.scratch(team.threads * (aSize + bSize + cSize))
    let kernels = kernels
    accumulate(g, plan) { o, i, steps, worker, add in
      let a = scratch.pointer + worker * (aSize + bSize + cSize)
      let c = a + aSize + bSize
      c.update(repeating: 0, count: o.count * i.count)
      for step in steps {
        let (image, part) = step.quotientAndRemainder(dividingBy: perImage)
        let first = part * positionsAtOnce
        let count = min(positionsAtOnce, plane - first)
        let dy = g.dy.image(image) + first * outputs + o.lowerBound
        for p in 0..<count {
          (a + p * o.count).update(from: dy + p * outputs, count: o.count)
        }
        var b = x.image(image) + first * inputs + i.lowerBound
        if taps > 1 {
          b = a + aSize
          kernels.patch_rows(
            x.image(image), Int32(x.shape.height), Int32(x.shape.width), Int32(inputs),
            Int32(g.shape.kernel), Int32(first), Int32(count), b)
        }
        var product = dvae_gemm()
        product.a = UnsafePointer(a)
        product.b = UnsafePointer(b)
        product.c = c
        product.k = Int32(count)
        product.rows = Int32(o.count)
        product.columns = Int32(i.count)
        product.batch = 1
        product.accumulate = 1
        product.a_panel = panelRows
        product.b_panel = panelColumns
        product.a_row = o.count
        product.b_row = width
        product.c_row = i.count
        withUnsafePointer(to: product) { kernels.gemm_transposed($0) }
      }
      // The kernel's order is (row, column, input); the parameters' is (input, row, column).
      for (row, output) in o.enumerated() {
        for (column, k) in i.enumerated() {
          let (tap, input) = k.quotientAndRemainder(dividingBy: inputs)
          add((output * inputs + input) * taps + tap, c[row * i.count + column])
        }
      }
    }
  }

  /// The transposed Winograd algorithm: dU = Σ over tiles of (A dy Aᵀ) ⊙ (Bᵀ d B) for each of the 36
  /// products, dw = Gᵀ dU G.
  private func winogradGradient(_ g: WeightGradient) {
    let tilesAtOnce = 32
    let block = (rows: panelRows * 3, columns: 64)
    let inputTiles = Tiles(g.x.shape)
    let outputTiles = Tiles(g.dy.shape)
    let plan = GradientPlan(
      outputs: g.shape.outputChannels, inputs: g.shape.inputChannels, block: block,
      steps: (inputTiles.count + tilesAtOnce - 1) / tilesAtOnce)
    let kernels = kernels
    let vSize = 36 * tilesAtOnce * block.columns
    let mSize = 36 * tilesAtOnce * block.rows
    let uSize = 36 * block.rows * block.columns
    let gSize = 9 * block.rows * block.columns
    let size = vSize + mSize + uSize + gSize
    let scratch = pool.scratch(team.threads * size)
    accumulate(g, plan) { o, i, steps, worker, add in
      let v = scratch.pointer + worker * size
      let (m, u, dw) = (v + vSize, v + vSize + mSize, v + vSize + mSize + uSize)
      // Rows of V are whole groups of 16; the products read only the channels that exist.
      let vRow = roundUp(i.count, 16)
      u.update(repeating: 0, count: 36 * o.count * i.count)
      for step in steps {
        let tiles = step * tilesAtOnce..<min((step + 1) * tilesAtOnce, inputTiles.count)
        for (row, index) in tiles.enumerated() {
          let (image, input) = inputTiles[index]
          let output = outputTiles[index].tile
          withUnsafePointer(to: input) {
            kernels.winograd_input_rows(
              g.x.image(image), $0, Int32(i.lowerBound), Int32(vRow), g.reluInput ? 1 : 0,
              v + row * vRow, tilesAtOnce * vRow)
          }
          withUnsafePointer(to: output) {
            kernels.winograd_output_backward(
              g.dy.image(image) + o.lowerBound, $0, Int32(o.count), m + row * o.count,
              tilesAtOnce * o.count)
          }
        }
        var product = dvae_gemm()
        product.a = UnsafePointer(m)
        product.b = UnsafePointer(v)
        product.c = u
        product.k = Int32(tiles.count)
        product.rows = Int32(o.count)
        product.columns = Int32(i.count)
        product.batch = 36
        product.accumulate = 1
        product.a_panel = panelRows
        product.b_panel = panelColumns
        product.a_batch = tilesAtOnce * o.count
        product.b_batch = tilesAtOnce * vRow
        product.c_batch = o.count * i.count
        product.a_row = o.count
        product.b_row = vRow
        product.c_row = i.count
        withUnsafePointer(to: product) { kernels.gemm_transposed($0) }
      }
      let count = o.count * i.count
      kernels.winograd_weights_backward(u, count, Int32(count), dw, count)
      for (row, output) in o.enumerated() {
        for (column, input) in i.enumerated() {
          for tap in 0..<9 {
            add(
              (output * g.shape.inputChannels + input) * 9 + tap,
              dw[tap * count + row * i.count + column])
          }
        }
      }
    }
  }

  /// Runs every block of every slot, then adds the slots' sums in order.
  private func accumulate(
    _ g: WeightGradient, _ plan: GradientPlan,
    _ body: (
      _ outputs: Range<Int>, _ inputs: Range<Int>, _ steps: Range<Int>, _ worker: Int,
      _ add: (Int, Float) -> Void
    ) -> Void
  ) {
    let count = g.dWeights.count
    let d = g.dWeights.pointer
    guard plan.slots > 1 else {
      team.run(plan.blocks) { task, worker in
        let (o, i) = plan.block(task)
        body(o, i, 0..<plan.steps, worker) { d[$0] += g.scale * $1 }
      }
      return
    }
    let partial = pool.scratch(plan.slots * count)
    team.run(plan.blocks * plan.slots) { task, worker in
      let (o, i) = plan.block(task / plan.slots)
      let slot = task % plan.slots
      let out = partial.pointer + slot * count
      body(o, i, plan.steps(of: slot), worker) { out[$0] = $1 }
    }
    team.runChunks(of: count, size: elementwiseTask) { range in
      for at in range {
        var sum: Float = 0
        for slot in 0..<plan.slots { sum += partial.pointer[slot * count + at] }
        d[at] += g.scale * sum
      }
    }
  }
}

/// What a weight gradient is made of.
private struct WeightGradient {
  let x: Tensor
  let dy: Tensor
  let shape: ConvolutionShape
  let reluInput: Bool
  let scale: Float
  let dWeights: TensorSlice
}

/// How a weight gradient is cut: blocks of channels times slots of steps (runs of positions).
private struct GradientPlan {
  /// Tasks that suffice for the largest machines; more only costs memory.
  private static let tasks = 32

  let outputs: Int
  let inputs: Int
  let block: (rows: Int, columns: Int)
  let steps: Int
  let slots: Int
  let blocks: Int
  private let across: Int

  init(outputs: Int, inputs: Int, block: (rows: Int, columns: Int), steps: Int) {
    self.outputs = outputs
    self.inputs = inputs
    self.block = block
    self.steps = steps
    across = (inputs + block.columns - 1) / block.columns
    blocks = across * ((outputs + block.rows - 1) / block.rows)
    slots = max(1, min(Self.tasks / blocks, steps))
  }

  func block(_ index: Int) -> (outputs: Range<Int>, inputs: Range<Int>) {
    let o = index / across * block.rows
    let i = index % across * block.columns
    return (o..<min(o + block.rows, outputs), i..<min(i + block.columns, inputs))
  }

  func steps(of slot: Int) -> Range<Int> { slot * steps / slots..<(slot + 1) * steps / slots }
}
