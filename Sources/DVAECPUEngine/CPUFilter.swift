import CDVAEKernels
package import DVAETensors

/// A convolution's weights and bias, packed once for the kernels.
package struct CPUFilter: Sendable {
  let forward: PackedWeights?
  let backwardInput: PackedWeights?
  /// The int8 weights that rule out most logits; nil for other than 1×1 convolutions.
  let screened: ScreenedWeightsCache?
  /// One row of O numbers per column I, including the bias.
  let table: Tensor?
}

/// The algorithms for float32 convolutions.
package enum ConvolutionAlgorithm: String, CaseIterable, Codable, Sendable {
  /// A matrix product over the patches.
  case direct
  /// F(4×4, 3×3) with weights transformed in advance: a block of tiles passes over all weights.
  case winogradByTiles
  /// F(4×4, 3×3) with weights transformed on the fly: a panel of weights passes over all tiles.
  /// Deep layers have few tiles, so this costs less than reading four times the memory.
  case winogradByPanels
}

/// B panels of one direction of a convolution.
struct PackedWeights: Sendable {
  /// The algorithm, which determines the layout of the panels.
  ///
  /// [panel][k][columns] with k = row · line + column · input + channel for the matrix product; with k =
  /// input channel, [panel][36][k][columns] by tiles, [panel][k][9][columns] by panels.
  let algorithm: ConvolutionAlgorithm
  let kernel: Int
  let inputs: Int
  let outputs: Int
  /// The numbers that are multiplied.
  var factors = FactorPrecision.float32
  /// Whether the patches are read in place, row by row.
  var readsRows = false
  /// The number of terms in one output's sum, padded to a multiple of 16: floats, or words of two bfloat16
  /// numbers, each in the place of a float.
  var k: Int
  /// The number of floats in a panel.
  var panel: Int
  var weights: Tensor
  var bias: Tensor?

  /// The steps of sums: the order of summation, which is the same everywhere.
  var steps: [Range<Int>] {
    stride(from: 0, to: k, by: factors.deepest).map { $0..<min($0 + factors.deepest, k) }
  }
}

extension CPUEngine {
  /// Packs the weights for the given uses.
  package func makeFilter(
    _ shape: ConvolutionShape, weights: TensorSlice, bias: TensorSlice, uses: FilterUses
  ) -> CPUFilter {
    precondition(
      weights.count == shape.weightCount && bias.count == shape.outputChannels,
      "makeFilter: \(weights.count) weights and \(bias.count) biases for \(shape)")
    return CPUFilter(
      forward: uses.contains(.forward) ? pack(shape, weights, bias: bias) : nil,
      backwardInput: uses.contains(.backwardInput) ? pack(shape, weights, bias: nil) : nil,
      screened: shape.kernel == 1 ? ScreenedWeightsCache() : nil,
      table: uses.contains(.gather) ? table(shape, weights, bias) : nil)
  }

  /// Packs the weights for a given algorithm, to compare the algorithms' accuracy.
  ///
  /// Winograd requires 3×3 weights with at least 8 channels; others are computed directly.
  package func makeFilter(
    _ shape: ConvolutionShape, weights: TensorSlice, bias: TensorSlice,
    algorithm: ConvolutionAlgorithm
  ) -> CPUFilter {
    CPUFilter(
      forward: pack(shape, weights, bias: bias, algorithm: algorithm),
      backwardInput: nil, screened: nil, table: nil)
  }

  /// Returns the algorithm that this engine chooses for a convolution.
  ///
  /// By tiles, every few tiles read all transformed weights, four times the size of the plain ones:
  /// this is for weights that fill at most a third of the shared cache. By panels, a pass reads the
  /// tiles instead. Both give the same bits.
  package func algorithm(_ shape: ConvolutionShape) -> ConvolutionAlgorithm {
    guard isWinograd(shape) else { return .direct }
    let floats = 36 * roundUp(shape.inputChannels, 16) * roundUp(shape.outputChannels, panelColumns)
    return floats * MemoryLayout<Float>.size <= caches.shared / 3
      ? .winogradByTiles : .winogradByPanels
  }

  /// Whether a convolution and its gradients are computed by Winograd's algorithm.
  ///
  /// It needs a quarter of the multiplications if there are enough channels to fill a vector, but the
  /// factors must be float32: its transforms take more digits than bfloat16 has. Processors that
  /// multiply bfloat16 numbers more than four times as fast do without it.
  func isWinograd(_ shape: ConvolutionShape) -> Bool {
    guard shape.kernel == 3, shape.inputChannels >= 8, shape.outputChannels >= 8 else {
      return false
    }
    switch factors {
    case .float32, .bfloat16Pairs: return true
    case .bfloat16: return !hasFastBfloat16
    case .bfloat16Anywhere: return false
    }
  }

  /// Packs one direction: forward with a bias; without one, the flipped and transposed weights.
  private func pack(
    _ shape: ConvolutionShape, _ weights: TensorSlice, bias: TensorSlice?,
    algorithm: ConvolutionAlgorithm? = nil
  ) -> PackedWeights {
    let backward = bias == nil
    let inputs = backward ? shape.outputChannels : shape.inputChannels
    let outputs = backward ? shape.inputChannels : shape.outputChannels
    let taps = shape.kernel * shape.kernel
    let columns = panelColumns
    let panels = (outputs + columns - 1) / columns
    let algorithm =
      algorithm
      ?? self.algorithm(
        ConvolutionShape(kernel: shape.kernel, inputChannels: inputs, outputChannels: outputs))
    let isBfloat16 = algorithm == .direct && factors != .float32
    let readsRows =
      isBfloat16 && factors != .bfloat16Pairs && shape.kernel > 1
      && kernels.convolve_bfloat16 != nil
    let run = inputs * shape.kernel
    let line = readsRows ? roundUp(run, 32) : run
    let terms = algorithm == .direct ? line * shape.kernel : inputs
    let k = roundUp(terms, isBfloat16 ? 32 : 16)
    let panel = k * columns * (algorithm == .direct ? 1 : algorithm == .winogradByTiles ? 36 : taps)
    let packed = pool.scratch(panels * panel)
    // Element (output, input, tap) of this direction in the OIHW weights.
    let outputStep = backward ? taps : inputs * taps
    let inputStep = backward ? outputs * taps : taps
    let source = UnsafePointer(weights.pointer)
    let taskInputs = max(1, 4096 / (taps * columns) * 16)
    let inputTasks = (k / (algorithm == .direct ? taps : 1) + taskInputs) / taskInputs

    let kernels = kernels
    func copy(panel index: Int, inputs range: Range<Int>, to out: UnsafeMutablePointer<Float>) {
      let first = index * columns
      let count = min(columns, outputs - first)
      if !backward && (taps == 1 || algorithm != .direct) {
        let stored = range.clamped(to: 0..<inputs)
        let rows = out + (algorithm == .direct ? range.lowerBound * columns : 0)
        kernels.transpose(
          source + first * outputStep + stored.lowerBound * inputStep, outputStep, Int32(count),
          Int32(stored.count * taps), Int32(columns), rows)
        (rows + stored.count * taps * columns)
          .update(repeating: 0, count: (range.count - stored.count) * taps * columns)
        return
      }
      for i in range {
        for tap in 0..<taps {
          let flipped = backward ? taps - 1 - tap : tap
          let row =
            algorithm == .direct
            ? out + (tap / shape.kernel * line + tap % shape.kernel * inputs + i) * columns
            : out + ((i - range.lowerBound) * taps + tap) * columns
          guard i < inputs else {
            row.update(repeating: 0, count: columns)
            continue
          }
          let from = source + first * outputStep + i * inputStep + flipped
          for o in 0..<count { row[o] = from[o * outputStep] }
          if count < columns { (row + count).update(repeating: 0, count: columns - count) }
        }
      }
    }

    let scratch = pool.scratch(team.threads * taskInputs * taps * columns)
    team.run(panels * inputTasks) { task, worker in
      let index = task / inputTasks
      let start = task % inputTasks * taskInputs
      let out = packed.pointer + index * panel
      switch algorithm {
      case .direct:
        copy(panel: index, inputs: min(start, inputs)..<min(start + taskInputs, inputs), to: out)
        guard task % inputTasks == 0 else { return }
        for row in 0..<shape.kernel {
          let end = row + 1 < shape.kernel ? (row + 1) * line : k
          let from = row * line + run
          (out + from * columns).update(repeating: 0, count: (end - from) * columns)
        }
      case .winogradByPanels:
        let range = min(start, k)..<min(start + taskInputs, k)
        copy(panel: index, inputs: range, to: out + range.lowerBound * taps * columns)
      case .winogradByTiles:
        let range = min(start, k)..<min(start + taskInputs, k)
        let raw = scratch.pointer + worker * taskInputs * taps * columns
        copy(panel: index, inputs: range, to: raw)
        kernels.winograd_weights(
          raw, Int32(range.count), out + range.lowerBound * columns, k * columns)
      }
    }
    var packedBias: Tensor?
    if let bias {
      let padded = Tensor(Shape(1, 1, 1, panels * columns), repeating: 0)
      padded.pointer.update(from: bias.pointer, count: outputs)
      packedBias = padded
    }
    let weights = PackedWeights(
      algorithm: algorithm, kernel: shape.kernel, inputs: inputs, outputs: outputs,
      readsRows: readsRows, k: k, panel: panel, weights: packed, bias: packedBias)
    return isBfloat16 ? roundedToBfloat16(weights) : weights
  }

  /// Returns panels of words from panels of floats, a multiple of 32 in each column.
  private func roundedToBfloat16(_ weights: PackedWeights) -> PackedWeights {
    let panels = weights.weights.count / weights.panel
    var rounded = weights
    (rounded.factors, rounded.k) = (factors, factors.words(of: weights.k))
    rounded.panel = rounded.k * panelColumns
    rounded.weights = pool.scratch(panels * rounded.panel)
    let (kernels, columns) = (kernels, panelColumns)
    team.run(panels) { [rounded] index, _ in
      kernels.pack_columns_bfloat16(
        weights.weights.pointer + index * weights.panel, columns, Int32(weights.k), Int32(columns),
        Int32(columns), 0, rounded.factors.right, rounded.weights.pointer + index * rounded.panel)
    }
    return rounded
  }

  private func table(
    _ shape: ConvolutionShape, _ weights: TensorSlice, _ bias: TensorSlice
  ) -> Tensor {
    precondition(shape.kernel == 1, "gatherColumns: kernel \(shape.kernel)")
    let (inputs, outputs) = (shape.inputChannels, shape.outputChannels)
    let table = Tensor(Shape(1, 1, inputs, outputs))
    for o in 0..<outputs {
      let row = weights.pointer + o * inputs
      for i in 0..<inputs { table.pointer[i * outputs + o] = row[i] + bias.pointer[o] }
    }
    return table
  }

  package func gatherColumns(_ tokens: [Int32], _ filter: CPUFilter, shape: Shape) -> Tensor {
    guard let table = filter.table else {
      preconditionFailure("gatherColumns: filter was not prepared for .gather")
    }
    let channels = table.shape.channels
    precondition(
      tokens.count == shape.positions && channels == shape.channels,
      "gatherColumns: \(tokens.count) tokens, table of \(channels), shape \(shape)")
    let y = makeTensor(shape)
    for (position, token) in tokens.enumerated() {
      precondition(token >= 0 && token < table.shape.width, "gatherColumns: token \(token)")
      (y.pointer + position * channels)
        .update(from: table.pointer + Int(token) * channels, count: channels)
    }
    return y
  }
}
