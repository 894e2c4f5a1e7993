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
    let bytes = outputScale.map { _ in ByteTensor(y.shape, makeTensor) }
    let stride = filter.shape.outputChannels
    // Outputs too large to stay in a cache are written past it.
    let stream = skip == nil && y.count >= 4 << 20 && stride % 16 == 0
    forEachBlock(x, filter, product(filter, unit: panelColumns)) { block, _ in
      let at = block.position * stride + block.columns.lowerBound
      var requantization = filter.requantization(from: block.columns.lowerBound)
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

  func multiply(
    _ block: Block, _ filter: CPUQuantizedFilter, row: Int,
    _ requantization: dvae_requantization
  ) {
    var product = dvae_word_gemm()
    product.a = UnsafeRawPointer(block.a).assumingMemoryBound(to: Int32.self)
    product.b = UnsafePointer(
      filter.weights.words + block.columns.lowerBound / panelColumns * filter.panel)
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

  /// Returns the partition of an integer product whose bands are multiples of `unit` output channels.
  func product(_ filter: CPUQuantizedFilter, unit: Int) -> Product {
    // Half of a 1 MiB cache for the weights, a quarter for the rows.
    Product(
      rows: panelRows * max(1, min(8, 65_536 / (filter.k * panelRows))),
      columns: unit * max(1, 131_072 / (filter.k * unit)), outputs: filter.shape.outputChannels,
      steps: [0..<filter.k])
  }

  /// Calls `body` for each block of an integer product.
  func forEachBlock(
    _ x: QuantizedValue, _ filter: CPUQuantizedFilter, _ product: Product,
    _ body: (_ block: Block, _ worker: Int) -> Void
  ) {
    precondition(
      x.shape.channels == filter.shape.inputChannels,
      "convolution: input \(x.shape) for \(filter.shape.inputChannels) channels")
    let rows = QuantizedRows(x, filter, product, self)
    let kernels = kernels
    forEachBlock(x.shape, product, body) { image, positions, _, worker, a in
      rows.pack(image, positions, worker: worker, to: a, kernels)
    }
  }
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
  let whole: Tensor?
  /// A block of rows for each worker.
  let scratch: Tensor

  init(_ x: QuantizedValue, _ filter: CPUQuantizedFilter, _ product: Product, _ engine: CPUEngine) {
    self.x = x
    readsFloats = filter.form == .pairs
    kernel = filter.shape.kernel
    inverse = 1 / filter.inputScale
    length = filter.shape.fanIn * filter.inputWidth
    rows = product.rows
    scratch = engine.pool.scratch(engine.threads * rows * ((length + 3) / 4))
    guard kernel > 1, readsFloats else {
      whole = nil
      return
    }
    let x = x.requiredFloats
    let shorts = engine.pool.scratch((x.count + 1) / 2)
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
    _ image: Int, _ range: Range<Int>, worker: Int, to a: UnsafeMutablePointer<Float>,
    _ kernels: dvae_kernels
  ) {
    let a = UnsafeMutableRawPointer(a).assumingMemoryBound(to: Int32.self)
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
