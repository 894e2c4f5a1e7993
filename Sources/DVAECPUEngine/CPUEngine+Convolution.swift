import CDVAEKernels
package import DVAETensors

extension CPUEngine {
  package func convolution(
    _ x: Tensor, _ filter: CPUFilter, reluInput: Bool, epilogue: Epilogue<Tensor>
  ) -> Tensor {
    guard let weights = filter.forward else {
      preconditionFailure("convolution: filter was not prepared for .forward")
    }
    return convolve(x, weights, reluInput: reluInput, epilogue)
  }

  /// Convolves dy with the flipped weights: the same code with other panels.
  package func convolutionBackwardInput(
    _ dy: Tensor, _ filter: CPUFilter, epilogue: Epilogue<Tensor>
  ) -> Tensor {
    guard let weights = filter.backwardInput else {
      preconditionFailure("convolutionBackwardInput: filter was not prepared for .backwardInput")
    }
    return convolve(dy, weights, reluInput: false, epilogue)
  }

  func convolve(
    _ x: Tensor, _ weights: PackedWeights, reluInput: Bool, _ epilogue: Epilogue<Tensor>
  ) -> Tensor {
    precondition(
      x.shape.channels == weights.inputs,
      "convolution: input \(x.shape) for \(weights.inputs) channels")
    let shape = x.shape.with(channels: weights.outputs)
    // Sums in several steps would overwrite the skip before it is added.
    let isInPlace =
      epilogue.overwritesSkip
      && (weights.algorithm != .direct || weights.readsRows || weights.steps.count == 1)
    let y = isInPlace ? epilogue.skip ?? makeTensor(shape) : makeTensor(shape)
    for other in [epilogue.mask, epilogue.skip].compactMap(\.self) {
      precondition(other.shape == shape, "convolution: epilogue \(other.shape) for \(shape)")
    }
    let output = Output(y, epilogue, bias: weights.bias)
    switch weights.algorithm {
    case .direct where weights.readsRows: multiplyRows(x, weights, reluInput: reluInput, output)
    case .direct: multiply(x, weights, reluInput: reluInput, output)
    case .winogradByTiles: winogradByTiles(x, weights, reluInput: reluInput, output)
    case .winogradByPanels: winogradByPanels(x, weights, reluInput: reluInput, output)
    }
    return y
  }

  /// Multiplies matrices over positions (1×1), or over the patches around them.
  private func multiply(
    _ x: Tensor, _ weights: PackedWeights, reluInput: Bool, _ output: Output
  ) {
    let stride = weights.outputs
    forEachBlock(x, weights, reluInput: reluInput) { block, _ in
      output.withEpilogue(
        at: block.position * stride + block.columns.lowerBound, column: block.columns.lowerBound
      ) { c, epilogue in
        add(block, weights, to: c, row: stride, epilogue)
      }
    }
  }

  /// Multiplies bfloat16 numbers over the patches, which are read in place: each task rounds some rows
  /// of the image and those beside them.
  private func multiplyRows(
    _ x: Tensor, _ weights: PackedWeights, reluInput: Bool, _ output: Output
  ) {
    guard let convolve = kernels.convolve_bfloat16 else { return }
    let (height, width, channels) = (x.shape.height, x.shape.width, x.shape.channels)
    let pad = weights.kernel / 2
    let line = (width + 2 * pad) * channels
    // Beyond the last position, tiles read a run of positions and the padding of a kernel row.
    let beyond = 16 * channels + 32
    let fitting = 2 * caches.floats(of: 0.42) / line - 2 * pad
    let fair = (x.shape.batch * height + 8 * threads - 1) / (8 * threads)
    let rows = max(1, min(height, fitting, max(4, fair)))
    let size = roundUp((rows + 2 * pad) * line + beyond, 64)
    let scratch = pool.scratch(team.threads * size / 2)
    let kernels = kernels
    let tasks = (height + rows - 1) / rows
    team.run(x.shape.batch * tasks) { index, worker in
      let (image, task) = index.quotientAndRemainder(dividingBy: tasks)
      let first = task * rows
      let count = min(rows, height - first)
      let memory = UnsafeMutableRawPointer(scratch.pointer + worker * size / 2)
      let numbers = memory.bindMemory(to: UInt16.self, capacity: size)
      for row in 0..<count + 2 * pad {
        let (to, y) = (numbers + row * line, first + row - pad)
        guard y >= 0, y < height else {
          to.update(repeating: 0, count: line)
          continue
        }
        to.update(repeating: 0, count: pad * channels)
        kernels.round_bfloat16(
          x.image(image) + y * width * channels, width * channels, reluInput ? 1 : 0,
          to + pad * channels)
        (to + line - pad * channels).update(repeating: 0, count: pad * channels)
      }
      (numbers + (count + 2 * pad) * line).update(repeating: 0, count: beyond)
      var patches = dvae_patches(
        x: numbers, x_row: line, height: Int32(count), width: Int32(width),
        channels: Int32(channels), kernel: Int32(weights.kernel))
      output.withEpilogue(
        at: (image * height + first) * width * weights.outputs, column: 0
      ) { c, epilogue in
        var product = dvae_gemm(
          b: weights.weights.pointer, c: c, k: weights.k, columns: weights.outputs,
          bPanel: weights.panel, cRow: weights.outputs, epilogue: epilogue)
        convolve(&patches, &product)
      }
    }
  }

  /// argmax of a 1×1 convolution, by screening where that is faster: the result is the same.
  package func argmaxConvolution(
    _ x: Tensor, _ filter: CPUFilter, reluInput: Bool
  ) -> [Int32] {
    guard let weights = filter.forward, weights.kernel == 1 else {
      preconditionFailure("argmaxConvolution: needs a 1×1 filter prepared for .forward")
    }
    guard let screened = screenedWeights(filter, positions: x.shape.positions) else {
      return argmaxOfAll(x, weights, reluInput: reluInput)
    }
    return argmaxScreened(x, filter, weights, screened, reluInput: reluInput)
  }

  /// argmax over all logits: each block of them lives only in a worker's cache.
  func argmaxOfAll(_ x: Tensor, _ weights: PackedWeights, reluInput: Bool) -> [Int32] {
    let kernels = kernels
    let positions = x.shape.positions
    let product = product(weights)
    let (width, bands) = (product.columns, product.bands)
    let (best, index) = makeWinners(bands * positions)
    let size = product.rows * width
    let logits = Output(pool.scratch(team.threads * size), .bias, bias: weights.bias)
    forEachBlock(x, weights, reluInput: reluInput) { block, worker in
      let first = block.columns.lowerBound
      let at = first / width * positions + block.position
      logits.withEpilogue(at: worker * size, column: first) { c, epilogue in
        add(block, weights, to: c, row: width, epilogue)
        guard block.isLast else { return }
        kernels.argmax_rows(
          c, width, Int32(block.rows), Int32(block.columns.count), Int32(first),
          best.pointer + at, index.words + at)
      }
    }
    return (0..<positions).map { position in
      var winner = position
      for at in stride(from: position, to: bands * positions, by: positions)
      where best.pointer[at] > best.pointer[winner] {
        winner = at
      }
      return index.words[winner]
    }
  }

  /// Returns memory for the largest logits so far, −∞, and their codes, 0 as words.
  func makeWinners(_ count: Int) -> (best: Tensor, index: Tensor) {
    let (best, index) = (pool.scratch(count), pool.scratch(count))
    best.elements.update(repeating: -.infinity)
    index.words.update(repeating: 0, count: count)
    return (best, index)
  }

  /// Adds a block's product to the sums of earlier channels, and finishes it with the last ones.
  func add(
    _ block: Block, _ weights: PackedWeights, to c: UnsafeMutablePointer<Float>, row: Int,
    _ epilogue: UnsafePointer<dvae_epilogue>
  ) {
    let product = dvae_gemm(
      a: block.a,
      b: weights.weights.pointer + block.columns.lowerBound / panelColumns * weights.panel
        + block.k.lowerBound * panelColumns,
      c: c, k: block.k.count, rows: block.rows, columns: block.columns.count,
      accumulate: block.k.lowerBound > 0, aPanel: panelRows * block.k.count,
      bPanel: weights.panel, cRow: row, epilogue: block.isLast ? epilogue : nil)
    withUnsafePointer(to: product) {
      weights.factors == .float32 ? kernels.gemm($0) : kernels.gemm_bfloat16($0)
    }
  }

  /// Returns the partition of a convolution's product: A panels that leave over half of the cache to the
  /// weights.
  func product(_ weights: PackedWeights) -> Product {
    let depth = min(weights.k, weights.factors.deepest)
    return Product(
      rows: panelRows * max(1, min(8, caches.floats(of: 0.42) / (depth * panelRows))),
      columns: Product.mostColumns, outputs: weights.outputs, steps: weights.steps)
  }

  /// Calls `body` for each block of a product with the patches around all positions.
  private func forEachBlock(
    _ x: Tensor, _ weights: PackedWeights, reluInput: Bool,
    _ body: (_ block: Block, _ worker: Int) -> Void
  ) {
    let kernels = kernels
    let factors = weights.factors
    let product = product(weights)
    let width = weights.inputs * weights.kernel * weights.kernel
    let patchSize = product.rows * min(factors.factors(in: 0..<product.depth).count, width)
    let patches = weights.kernel > 1 ? pool.scratch(team.threads * patchSize) : nil

    func packRows(
      _ x: UnsafePointer<Float>, _ stride: Int, _ rows: Int, _ count: Int,
      to a: UnsafeMutablePointer<Float>
    ) {
      let (rows, count, relu) = (Int32(rows), Int32(count), Int32(reluInput ? 1 : 0))
      factors == .float32
        ? kernels.pack_rows(x, stride, rows, count, relu, a)
        : kernels.pack_rows_bfloat16(x, stride, rows, count, relu, factors.left, a)
    }

    forEachBlock(x.shape, product, body) { image, positions, k, worker, a in
      let (first, rows) = (positions.lowerBound, positions.count)
      let channels = factors.factors(in: k).clamped(to: 0..<width)
      guard let patches else {
        return packRows(
          x.image(image) + first * width + channels.lowerBound, width, rows, channels.count, to: a)
      }
      let patch = patches.pointer + worker * patchSize
      kernels.patch_rows(
        x.image(image), Int32(x.shape.height), Int32(x.shape.width), Int32(weights.inputs),
        Int32(weights.kernel), Int32(first), Int32(rows), Int32(channels.lowerBound),
        Int32(channels.count), patch)
      packRows(patch, channels.count, rows, channels.count, to: a)
    }
  }

  /// Packs the rows of every image into A panels and calls `body` for each block of the product.
  ///
  /// A block's steps come in order, on one worker. Wide products pack an image once and share it; narrow
  /// ones pack within the task.
  ///
  /// - Parameters:
  ///   - shape: the shape of the input
  ///   - product: the partition
  ///   - body: computes a block
  ///   - pack: packs some positions of an image for one step, with the scratch of a worker
  func forEachBlock(
    _ shape: Shape, _ product: Product, _ body: (_ block: Block, _ worker: Int) -> Void,
    pack: (
      _ image: Int, _ positions: Range<Int>, _ k: Range<Int>, _ worker: Int,
      _ a: UnsafeMutablePointer<Float>
    ) -> Void
  ) {
    let (steps, k) = (product.steps, product.k)
    let positions = shape.height * shape.width
    let rowTasks = (positions + product.rows - 1) / product.rows

    func rows(_ task: Int) -> Range<Int> {
      task * product.rows..<min((task + 1) * product.rows, positions)
    }

    func block(
      _ a: UnsafeMutablePointer<Float>, _ image: Int, _ task: Int, _ step: Range<Int>,
      _ columns: Range<Int>
    ) -> Block {
      let rows = rows(task)
      return Block(
        a: UnsafePointer(a), position: image * positions + rows.lowerBound, rows: rows.count,
        columns: columns, k: step, isLast: step.upperBound == k)
    }

    guard product.bands > 1 else {
      let size = product.rows * product.depth
      let scratch = pool.scratch(team.threads * size)
      team.run(shape.batch * rowTasks) { index, worker in
        let a = scratch.pointer + worker * size
        let (image, task) = index.quotientAndRemainder(dividingBy: rowTasks)
        for step in steps {
          pack(image, rows(task), step, worker, a)
          body(block(a, image, task, step, 0..<product.outputs), worker)
        }
      }
      return
    }
    let size = product.rows * k
    let packed = pool.scratch(rowTasks * size)
    for image in 0..<shape.batch {
      team.run(rowTasks) { task, worker in
        for step in steps {
          let a = packed.pointer + task * size + step.lowerBound * product.rows
          pack(image, rows(task), step, worker, a)
        }
      }
      // Columns outermost, so that all threads use the same weights at the same time.
      team.run(product.bands * rowTasks) { index, worker in
        let (band, task) = index.quotientAndRemainder(dividingBy: rowTasks)
        let first = band * product.columns
        let columns = first..<min(first + product.columns, product.outputs)
        for step in steps {
          let a = packed.pointer + task * size + step.lowerBound * product.rows
          body(block(a, image, task, step, columns), worker)
        }
      }
    }
  }
}

/// The partition of a matrix product.
struct Product {
  /// The most output channels in one task of a float32 product, a multiple of every panel.
  static let mostColumns = 512
  /// The number of positions in one task, a multiple of the A panel.
  let rows: Int
  /// The number of output channels in one task, a multiple of the B panel.
  let columns: Int
  /// The number of output channels.
  let outputs: Int
  /// The steps of each sum.
  let steps: [Range<Int>]

  /// The number of terms in one step.
  var depth: Int { steps[0].count }
  /// The number of terms of a sum.
  var k: Int { steps[steps.count - 1].upperBound }
  var bands: Int { (outputs + columns - 1) / columns }
}

/// One step of a matrix product: packed rows times some columns, over some of the sums' terms.
struct Block {
  /// A panels; of integers in the places of floats, if the product is of integers.
  let a: UnsafePointer<Float>
  /// The first row, counted over the batch.
  let position: Int
  let rows: Int
  let columns: Range<Int>
  let k: Range<Int>
  let isLast: Bool
}

/// The destination and epilogue of a convolution.
struct Output: @unchecked Sendable {
  let y: Tensor
  private let epilogue: Epilogue<Tensor>
  private let bias: Tensor?
  /// Whether to write past the caches, for outputs too large to stay in one.
  ///
  /// Only whole vectors, and not scratch, which is flat; an output over its skip is in the caches
  /// already.
  private var stream: Bool {
    y.count >= 4 << 20 && y.shape.channels % 16 == 0 && y.shape.positions > 1
      && epilogue.skip?.pointer != y.pointer
  }

  init(_ y: Tensor, _ epilogue: Epilogue<Tensor>, bias: Tensor?) {
    self.y = y
    self.epilogue = epilogue
    self.bias = bias
  }

  /// Calls `body` with the address of flat element `at` and the epilogue relative to it; `column`
  /// is that element's channel.
  func withEpilogue(
    at: Int, column: Int,
    _ body: (UnsafeMutablePointer<Float>, UnsafePointer<dvae_epilogue>) -> Void
  ) {
    let shifted = dvae_epilogue(
      bias: bias.map { UnsafePointer($0.pointer + column) },
      mask: epilogue.mask.map { UnsafePointer($0.pointer + at) },
      skip: epilogue.skip.map { UnsafePointer($0.pointer + at) },
      gain: epilogue.gain, relu: epilogue.relu ? 1 : 0, stream: stream ? 1 : 0)
    withUnsafePointer(to: shifted) { body(y.pointer + at, $0) }
  }
}
