import CDVAEKernels
package import DVAETensors

// 1×1 convolutions whose output is pooled: each task computes a run of cells, two short rows, which
// stay in the cache. The sums are those of the convolution alone.

extension CPUEngine {
  /// `maxPool2x2` of `convolution`.
  package func pooledConvolution(
    _ x: Tensor, _ filter: CPUFilter, reluInput: Bool, epilogue: Epilogue<Tensor>
  ) -> Tensor {
    guard let weights = filter.forward, weights.kernel == 1, weights.factors == .float32,
      weights.outputs <= Product.mostColumns
    else {
      return maxPool2x2(convolution(x, filter, reluInput: reluInput, epilogue: epilogue))
    }
    let outputs = weights.outputs
    check(x.shape, weights.inputs, outputs, epilogue.mask, epilogue.skip)
    let y = makeTensor(x.shape.with(channels: outputs).halved)
    let runs = Runs(x.shape, y.shape, caches)
    let packed = roundUp(2 * runs.cells, panelRows) * product(weights).depth
    let scratch = pool.scratch(team.threads * (runs.size + packed))
    let output = Output(scratch, epilogue, bias: weights.bias)
    let kernels = kernels
    team.run(runs.count) { index, worker in
      let run = runs[index]
      let sums = scratch.pointer + worker * (runs.size + packed)
      let a = sums + runs.size
      let row = 2 * run.cells * outputs
      for half in 0...1 {
        let position = run.position + half * x.shape.width
        // The skip is read from where the sums would be.
        output.withEpilogue(at: position * outputs, column: 0) { _, epilogue in
          for k in weights.steps {
            let terms = k.clamped(to: 0..<weights.inputs)
            kernels.pack_rows(
              x.pointer + position * weights.inputs + terms.lowerBound, weights.inputs,
              Int32(2 * run.cells), Int32(terms.count), reluInput ? 1 : 0, a)
            let block = Block(
              a: UnsafePointer(a), position: position, rows: 2 * run.cells, columns: 0..<outputs,
              k: k, isLast: k.upperBound == weights.k)
            add(block, weights, to: sums + half * row, row: outputs, epilogue)
          }
        }
      }
      kernels.max_pool_row(
        sums, row, Int32(run.cells), Int32(outputs), y.pointer + run.cell * outputs)
    }
    return y
  }

  /// `maxPool2x2` of y of the convolution, and its bytes.
  package func pooledConvolution(
    _ x: QuantizedValue, _ filter: CPUQuantizedFilter, skip: Tensor?, gain: Float,
    outputScale: Float
  ) -> QuantizedValue {
    let outputs = filter.shape.outputChannels
    check(x.shape, filter.shape.inputChannels, outputs, skip)
    let y = makeTensor(x.shape.with(channels: outputs).halved)
    let bytes = ByteTensor(y.shape, makeTensor)
    let runs = Runs(x.shape, y.shape, caches)
    let kernels = kernels
    func pool(_ run: Runs.Run, _ sums: UnsafePointer<Float>, row: Int) {
      let at = run.cell * outputs
      kernels.max_pool_row_bytes(
        sums, row, Int32(run.cells), Int32(outputs), 1 / outputScale, y.pointer + at,
        bytes.pointer + at)
    }
    guard filter.form == .bytes, filter.shape.kernel == 1,
      product(filter, unit: panelColumns).bands == 1
    else {
      let whole = convolution(x, filter, skip: skip, gain: gain, outputScale: nil)
        .requiredFloats
      team.run(runs.count) { index, _ in
        let run = runs[index]
        pool(run, whole.pointer + run.position * outputs, row: x.shape.width * outputs)
      }
      return QuantizedValue(floats: y, bytes: bytes)
    }
    let packed = roundUp(2 * runs.cells, panelRows) * filter.k
    let scratch = self.pool.scratch(team.threads * (runs.size + packed))
    team.run(runs.count) { index, worker in
      let run = runs[index]
      let sums = scratch.pointer + worker * (runs.size + packed)
      let a = sums + runs.size
      let row = 2 * run.cells * outputs
      for half in 0...1 {
        let position = run.position + half * x.shape.width
        let length = Int32(x.shape.channels)
        kernels.pack_words(
          x.requiredBytes.pointer + position * x.shape.channels, x.shape.channels,
          Int32(2 * run.cells),
          length, UnsafeMutableRawPointer(a).assumingMemoryBound(to: Int32.self))
        var requantization = filter.requantization(from: 0)
        requantization.gain = gain
        requantization.skip = skip.map { UnsafePointer($0.pointer + position * outputs) }
        requantization.inverse = 1
        requantization.y = sums + half * row
        let block = Block(
          a: UnsafePointer(a), position: position, rows: 2 * run.cells, columns: 0..<outputs,
          k: 0..<filter.k, isLast: true)
        multiply(block, filter, row: outputs, requantization)
      }
      pool(run, UnsafePointer(sums), row: row)
    }
    return QuantizedValue(floats: y, bytes: bytes)
  }
}

private func check(_ x: Shape, _ inputs: Int, _ outputs: Int, _ operands: Tensor?...) {
  precondition(x.channels == inputs, "pooledConvolution: input \(x) for \(inputs) channels")
  for other in operands.compactMap(\.self) {
    precondition(
      other.shape == x.with(channels: outputs), "pooledConvolution: \(other.shape) for \(x)")
  }
}

/// The cells of a pooling in short runs, whose two rows leave most of the cache to the weights.
private struct Runs {
  /// Some cells of one row of the result: the first, and the first position of its upper row, both counted
  /// over the batch, and the number of cells.
  typealias Run = (cell: Int, position: Int, cells: Int)

  private let input: Shape
  private let output: Shape
  /// The most cells in a run.
  let cells: Int
  private let perRow: Int

  /// Divides the result of an input.
  init(_ input: Shape, _ output: Shape, _ caches: CacheSizes) {
    self.input = input
    self.output = output
    cells = max(1, min(output.width, caches.floats(of: 0.25) / (4 * output.channels)))
    perRow = (output.width + cells - 1) / cells
  }

  var count: Int { output.batch * output.height * perRow }

  /// The size of both rows of a run in floats.
  var size: Int { 4 * cells * output.channels }

  subscript(index: Int) -> Run {
    let (line, run) = index.quotientAndRemainder(dividingBy: perRow)
    let (image, row) = line.quotientAndRemainder(dividingBy: output.height)
    let first = run * cells
    return (
      line * output.width + first, (image * input.height + 2 * row) * input.width + 2 * first,
      min(cells, output.width - first)
    )
  }
}
