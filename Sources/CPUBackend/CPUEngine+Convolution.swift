import CDVAEKernels
public import EngineModule
public import TensorModule

extension CPUEngine {
  /// The convolution that `ReferenceEngine` defines.
  public func convolution(
    _ x: Tensor, _ filter: CPUFilter, reluInput: Bool, epilogue: Epilogue
  ) -> Tensor {
    guard let weights = filter.forward else {
      preconditionFailure("convolution: filter was not prepared for .forward")
    }
    return convolve(x, weights, reluInput: reluInput, epilogue)
  }

  /// A convolution of dy with the flipped weights: the same code from other panels.
  public func convolutionBackwardInput(
    _ dy: Tensor, _ filter: CPUFilter, epilogue: Epilogue
  ) -> Tensor {
    guard let weights = filter.backwardInput else {
      preconditionFailure("convolutionBackwardInput: filter was not prepared for .backwardInput")
    }
    return convolve(dy, weights, reluInput: false, epilogue)
  }

  private func convolve(
    _ x: Tensor, _ weights: PackedWeights, reluInput: Bool, _ epilogue: Epilogue
  ) -> Tensor {
    precondition(
      x.shape.channels == weights.inputs,
      "convolution: input \(x.shape) for \(weights.inputs) channels")
    let y = makeTensor(x.shape.with(channels: weights.outputs))
    for other in [epilogue.mask, epilogue.skip].compactMap(\.self) {
      precondition(other.shape == y.shape, "convolution: epilogue \(other.shape) for \(y.shape)")
    }
    let output = Output(y, epilogue, bias: weights.bias)
    switch weights.form {
    case .matrix: multiply(x, weights, reluInput: reluInput, output)
    case .winograd: winogradByTiles(x, weights, reluInput: reluInput, output)
    case .winogradOnTheFly: winogradByPanels(x, weights, reluInput: reluInput, output)
    }
    return y
  }

  /// Rows of one task: as many A panels as leave half of a 1 MiB second-level cache to the rest.
  func rowsPerTask(k: Int) -> Int {
    panelRows * max(1, min(8, 110_000 / (k * panelRows)))
  }

  /// Output channels of one task, a multiple of the panel.
  private static let columnsPerTask = 512

  /// Matrix product over positions (1×1), or over the patches around them.
  private func multiply(
    _ x: Tensor, _ weights: PackedWeights, reluInput: Bool, _ output: Output
  ) {
    let kernels = kernels
    let stride = weights.outputs
    forEachBlock(x, weights, reluInput: reluInput) { a, image, first, rows, columns, _ in
      let at = (image * x.shape.height * x.shape.width + first) * stride + columns.lowerBound
      output.withEpilogue(at: at, column: columns.lowerBound) { c, epilogue in
        var product = dvae_gemm(a, weights, columns: columns, rows: rows, engine: self)
        product.c = c
        product.c_row = stride
        product.epilogue = epilogue
        withUnsafePointer(to: product) { kernels.gemm($0) }
      }
    }
  }

  /// argmax of a 1×1 convolution: each block of logits lives only in a worker's cache.
  public func argmaxConvolution(
    _ x: Tensor, _ filter: CPUFilter, reluInput: Bool
  ) -> [Int32] {
    guard let weights = filter.forward, weights.kernel == 1 else {
      preconditionFailure("argmaxConvolution: needs a 1×1 filter prepared for .forward")
    }
    let kernels = kernels
    let positions = x.shape.positions
    let blocks = (weights.outputs + Self.columnsPerTask - 1) / Self.columnsPerTask
    var best = [Float](repeating: -.infinity, count: blocks * positions)
    var index = [Int32](repeating: 0, count: blocks * positions)
    let rowsPerTask = rowsPerTask(k: weights.k)
    let logits = pool.scratch(team.threads * rowsPerTask * Self.columnsPerTask)
    let noOutput = Output(logits, .bias, bias: weights.bias)
    best.withUnsafeMutableBufferPointer { best in
      index.withUnsafeMutableBufferPointer { index in
        forEachBlock(x, weights, reluInput: reluInput) { a, image, first, rows, columns, worker in
          guard let best = best.baseAddress, let index = index.baseAddress else { return }
          let scratch = worker * rowsPerTask * Self.columnsPerTask
          let block = columns.lowerBound / Self.columnsPerTask
          let at = block * positions + image * x.shape.height * x.shape.width + first
          noOutput.withEpilogue(at: scratch, column: columns.lowerBound) { c, epilogue in
            var product = dvae_gemm(a, weights, columns: columns, rows: rows, engine: self)
            product.c = c
            product.c_row = Self.columnsPerTask
            product.epilogue = epilogue
            withUnsafePointer(to: product) { kernels.gemm($0) }
            kernels.argmax_rows(
              c, Self.columnsPerTask, Int32(rows), Int32(columns.count),
              Int32(columns.lowerBound), best + at, index + at)
          }
        }
      }
    }
    return (0..<positions).map { position in
      var winner = position
      for block in 1..<max(blocks, 1) where best[block * positions + position] > best[winner] {
        winner = block * positions + position
      }
      return index[winner]
    }
  }

  /// Packs the rows of every image into A panels and calls `body` for each block of the product.
  ///
  /// Wide products pack an image once and share it; narrow ones pack within the task.
  private func forEachBlock(
    _ x: Tensor, _ weights: PackedWeights, reluInput: Bool,
    _ body: (
      _ a: UnsafePointer<Float>, _ image: Int, _ first: Int, _ rows: Int, _ columns: Range<Int>,
      _ worker: Int
    ) -> Void
  ) {
    let kernels = kernels
    let positions = x.shape.height * x.shape.width
    let rowsPerTask = rowsPerTask(k: weights.k)
    let rowTasks = (positions + rowsPerTask - 1) / rowsPerTask
    let columnsPerTask = Self.columnsPerTask
    let columnTasks = (weights.outputs + columnsPerTask - 1) / columnsPerTask

    let width = weights.inputs * weights.kernel * weights.kernel
    let patches = weights.kernel > 1 ? pool.scratch(team.threads * rowsPerTask * width) : nil

    func pack(
      _ image: Int, _ task: Int, _ worker: Int, to a: UnsafeMutablePointer<Float>
    ) -> (first: Int, rows: Int) {
      let first = task * rowsPerTask
      let rows = min(rowsPerTask, positions - first)
      var source = x.image(image) + first * width
      if let patches {
        source = patches.pointer + worker * rowsPerTask * width
        kernels.patch_rows(
          x.image(image), Int32(x.shape.height), Int32(x.shape.width), Int32(weights.inputs),
          Int32(weights.kernel), Int32(first), Int32(rows), source)
      }
      kernels.pack_rows(source, width, Int32(rows), Int32(width), reluInput ? 1 : 0, a)
      return (first, rows)
    }

    let size = rowsPerTask * weights.k
    if columnTasks == 1 {
      let scratch = pool.scratch(team.threads * size)
      team.run(x.shape.batch * rowTasks) { task, worker in
        let a = scratch.pointer + worker * size
        let image = task / rowTasks
        let (first, rows) = pack(image, task % rowTasks, worker, to: a)
        body(a, image, first, rows, 0..<weights.outputs, worker)
      }
      return
    }
    let packed = pool.scratch(rowTasks * size)
    for image in 0..<x.shape.batch {
      team.run(rowTasks) { task, worker in
        _ = pack(image, task, worker, to: packed.pointer + task * size)
      }
      // Columns outermost, so that all threads use the same weights at the same time.
      team.run(columnTasks * rowTasks) { task, worker in
        let column = task / rowTasks * columnsPerTask
        let first = task % rowTasks * rowsPerTask
        body(
          packed.pointer + task % rowTasks * size, image, first,
          min(rowsPerTask, positions - first),
          column..<min(column + columnsPerTask, weights.outputs), worker)
      }
    }
  }
}

/// Where a convolution writes, with what happens on the way.
struct Output: @unchecked Sendable {
  let y: Tensor
  private let epilogue: Epilogue
  private let bias: Tensor?
  /// Outputs that no cache holds until they are read again are written past it; whole vectors only.
  private var stream: Bool { y.count >= 4 << 20 && y.shape.channels % 16 == 0 }

  init(_ y: Tensor, _ epilogue: Epilogue, bias: Tensor?) {
    self.y = y
    self.epilogue = epilogue
    self.bias = bias
  }

  /// Calls `body` with the address of flat element `at` and the epilogue as seen from there;
  /// `column` is that element's channel.
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

extension dvae_gemm {
  /// A · B of one block: `rows` rows of packed A and a range of the packed weights' columns.
  init(
    _ a: UnsafePointer<Float>, _ weights: PackedWeights, columns: Range<Int>, rows: Int,
    engine: CPUEngine
  ) {
    self.init()
    self.a = a
    b = UnsafePointer(
      weights.weights.pointer + columns.lowerBound / engine.panelColumns * weights.panel)
    k = Int32(weights.k)
    self.rows = Int32(rows)
    self.columns = Int32(columns.count)
    batch = 1
    a_panel = engine.panelRows * weights.k
    b_panel = weights.panel
  }
}
