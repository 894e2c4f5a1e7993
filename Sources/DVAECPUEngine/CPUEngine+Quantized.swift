import CDVAEKernels
package import DVAETensors

// Integer matrix products: rows of int8 or int16 times packed weights.

extension CPUEngine: QuantizedEngine {
  package func convolution(
    _ x: QuantizedValue, _ filter: CPUQuantizedFilter, skip: Tensor?, gain: Float,
    outputScale: Float?
  ) -> QuantizedValue {
    if filter.form == .winograd, let outputScale {
      return QuantizedValue(bytes: winograd(x.requiredBytes, filter, outputScale: outputScale))
    }
    let shape = x.shape.with(channels: filter.shape.outputChannels)
    let y = skip ?? makeTensor(shape)
    precondition(y.shape == shape, "convolution: skip \(y.shape) for \(shape)")
    let bytes = outputScale.map { _ in makeBytes(y.shape) }
    let stride = filter.shape.outputChannels
    // Outputs too large to stay in a cache are written past it.
    let stream = skip == nil && y.count >= 4 << 20 && stride % 16 == 0
    let plan = WordProduct(filter, rows: panelRows, columns: panelColumns)
    forEachBlock(x, filter, plan) { block, _ in
      let at = block.position * stride + block.columns.lowerBound
      var requantization = block.requantization
      requantization.skip = skip.map { UnsafePointer($0.pointer + at) }
      requantization.gain = gain
      requantization.stream = stream ? 1 : 0
      requantization.inverse = 1 / (outputScale ?? 1)
      requantization.y = y.pointer + at
      requantization.q = bytes.map { $0.pointer + at }
      multiply(block, filter, row: stride, requantization)
    }
    return QuantizedValue(floats: y, bytes: bytes)
  }

  func makeBytes(_ shape: Shape) -> ByteTensor {
    ByteTensor(shape, storage: pool.tensor(ByteTensor.storage(shape)))
  }

  func multiply(
    _ block: WordBlock, _ filter: CPUQuantizedFilter, row: Int,
    _ requantization: dvae_requantization
  ) {
    var product = dvae_word_gemm()
    product.a = block.a
    product.b = UnsafePointer(
      filter.weights.pointer + block.columns.lowerBound / panelColumns * filter.panel)
    product.quads = filter.form == .bytes ? 1 : 0
    product.k = Int32(filter.k)
    product.rows = Int32(block.rows)
    product.columns = Int32(block.columns.count)
    product.batch = 1
    product.a_panel = panelRows * filter.k
    product.b_panel = filter.panel
    product.c_row = row
    withUnsafePointer(to: requantization) { requantization in
      product.requantization = requantization
      withUnsafePointer(to: product) { kernels.gemm_words($0) }
    }
  }

  /// Packs rows into A panels and calls `body` for each block of the product.
  ///
  /// Narrow products pack within the task; wide ones pack an image once and share it.
  func forEachBlock(
    _ x: QuantizedValue, _ filter: CPUQuantizedFilter, _ plan: WordProduct,
    _ body: (_ block: WordBlock, _ worker: Int) -> Void
  ) {
    precondition(
      x.shape.channels == filter.shape.inputChannels,
      "convolution: input \(x.shape) for \(filter.shape.inputChannels) channels")
    let rowsOfInput = QuantizedRows(x, filter, plan, self)
    let positions = x.shape.height * x.shape.width
    let rowTasks = (positions + plan.rows - 1) / plan.rows
    let outputs = filter.shape.outputChannels
    let size = plan.rows * filter.k

    func run(
      _ a: UnsafeMutablePointer<Int32>, _ image: Int, _ task: Int, band: Int, _ worker: Int
    ) {
      let first = band * plan.columns
      var requantization = dvae_requantization()
      requantization.scale = UnsafePointer(filter.scales.pointer + first)
      requantization.bias = UnsafePointer(filter.biases.pointer + first)
      requantization.gain = 1
      let block = WordBlock(
        a: UnsafePointer(a), position: image * positions + task * plan.rows,
        rows: min(plan.rows, positions - task * plan.rows),
        columns: first..<min(first + plan.columns, outputs), requantization: requantization)
      body(block, worker)
    }

    func pack(_ image: Int, _ task: Int, _ worker: Int, to a: UnsafeMutablePointer<Int32>) {
      let first = task * plan.rows
      rowsOfInput.pack(
        image, first..<min(first + plan.rows, positions), worker: worker, to: a, kernels)
    }

    guard plan.bands > 1 else {
      let scratch = WordTensor(pool.scratch(team.threads * size))
      team.run(x.shape.batch * rowTasks) { index, worker in
        let a = scratch.pointer + worker * size
        let (image, task) = index.quotientAndRemainder(dividingBy: rowTasks)
        pack(image, task, worker, to: a)
        run(a, image, task, band: 0, worker)
      }
      return
    }
    let packed = WordTensor(pool.scratch(rowTasks * size))
    for image in 0..<x.shape.batch {
      team.run(rowTasks) { task, worker in
        pack(image, task, worker, to: packed.pointer + task * size)
      }
      // Columns outermost, so that a band of weights stays in the second-level cache.
      team.run(plan.bands * rowTasks) { index, worker in
        let (band, task) = index.quotientAndRemainder(dividingBy: rowTasks)
        run(packed.pointer + task * size, image, task, band: band, worker)
      }
    }
  }
}

/// The partition of an integer product.
struct WordProduct {
  /// The number of positions in one task, a multiple of the A panel.
  let rows: Int
  /// The number of output channels in one task, a multiple of the B panel.
  let columns: Int
  let bands: Int

  // `panelRows` and `panelColumns` are the units of rows and columns.
  init(_ filter: CPUQuantizedFilter, rows panelRows: Int, columns panelColumns: Int) {
    // Half of a 1 MiB cache for the weights, a quarter for the rows.
    rows = panelRows * max(1, min(8, 65_536 / (filter.k * panelRows)))
    columns = panelColumns * max(1, 131_072 / (filter.k * panelColumns))
    bands = (filter.shape.outputChannels + columns - 1) / columns
  }
}

/// One task's part of a product.
struct WordBlock {
  let a: UnsafePointer<Int32>
  /// The first row, counted over the batch.
  let position: Int
  let rows: Int
  let columns: Range<Int>
  /// With the scales and biases of the columns.
  let requantization: dvae_requantization
}

/// The input rows of a product, to be packed into A panels.
private struct QuantizedRows: Sendable {
  let x: QuantizedValue
  let readsFloats: Bool
  let kernel: Int
  let inverse: Float
  /// The size of one row in bytes.
  let length: Int
  let rows: Int
  /// The int16 values of a whole batch, if patches overlap.
  let whole: WordTensor?
  /// A block of rows for each worker.
  let scratch: WordTensor

  init(_ x: QuantizedValue, _ filter: CPUQuantizedFilter, _ plan: WordProduct, _ engine: CPUEngine)
  {
    self.x = x
    readsFloats = filter.form == .pairs
    kernel = filter.shape.kernel
    inverse = 1 / filter.inputScale
    length = filter.shape.fanIn * filter.inputWidth
    rows = plan.rows
    scratch = WordTensor(engine.pool.scratch(engine.threads * plan.rows * ((length + 3) / 4)))
    guard kernel > 1, readsFloats else {
      whole = nil
      return
    }
    let x = x.requiredFloats
    let shorts = WordTensor(engine.pool.scratch((x.count + 1) / 2))
    whole = shorts
    let kernels = engine.kernels
    let inverse = inverse
    engine.team.runChunks(of: x.count, size: elementwiseTask) { range in
      kernels.quantize_shorts(
        x.pointer + range.lowerBound, range.count, 0, inverse,
        shorts.shorts + range.lowerBound)
    }
  }

  func pack(
    _ image: Int, _ range: Range<Int>, worker: Int, to a: UnsafeMutablePointer<Int32>,
    _ kernels: dvae_kernels
  ) {
    let (height, width, channels) = (x.shape.height, x.shape.width, x.shape.channels)
    let count = Int32(range.count)
    let row = UnsafeMutableRawPointer(scratch.pointer) + worker * rows * ((length + 3) / 4) * 4
    guard readsFloats else {
      let first = (image * height * width + range.lowerBound) * channels
      return kernels.pack_words(
        x.requiredBytes.pointer + first, length, count, Int32(length), a)
    }
    if let whole {
      kernels.patch_bytes(
        whole.shorts + image * height * width * channels, Int32(height), Int32(width),
        Int32(2 * channels), Int32(kernel), Int32(range.lowerBound), count, row, length)
    } else {
      kernels.quantize_shorts(
        x.requiredFloats.image(image) + range.lowerBound * channels, range.count * channels, 0,
        inverse, row.assumingMemoryBound(to: Int16.self))
    }
    kernels.pack_shorts(row, length, count, Int32(length), a)
  }
}

extension WordTensor {
  /// The same memory as int16.
  var shorts: UnsafeMutablePointer<Int16> {
    UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: Int16.self)
  }
}
