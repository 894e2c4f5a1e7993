extension ReferenceEngine {
  /// Keeps the slices without packing.
  package func makeFilter(
    _ shape: ConvolutionShape, weights: TensorSlice, bias: TensorSlice, uses: FilterUses
  ) -> Filter {
    precondition(
      weights.count == shape.weightCount && bias.count == shape.outputChannels,
      "makeFilter: \(weights.count) weights and \(bias.count) biases for \(shape)")
    return Filter(shape: shape, weights: weights, bias: bias)
  }

  /// y[n,h,w,o] = epilogue(Σ_{i,r,c} x[n, h+r−p, w+c−p, i] · w[o,i,r,c] + b[o]).
  package func convolution(
    _ x: Tensor, _ filter: Filter, reluInput: Bool, epilogue: Epilogue<Tensor>
  ) -> Tensor {
    requireChannels(x.shape, filter.shape.inputChannels, "convolution")
    return correlate(
      x, taps: taps(filter), bias: filter.bias.elements.map(Double.init),
      kernel: filter.shape.kernel, reluInput: reluInput, epilogue: epilogue)
  }

  /// dx[n,h,w,i] = epilogue(Σ_{o,r,c} dy[n, h−r+p, w−c+p, o] · w[o,i,r,c]): each dy flows back to
  /// its inputs, which is a convolution with the kernel rotated by 180 degrees.
  package func convolutionBackwardInput(
    _ dy: Tensor, _ filter: Filter, epilogue: Epilogue<Tensor>
  ) -> Tensor {
    requireChannels(dy.shape, filter.shape.outputChannels, "convolutionBackwardInput")
    return correlate(
      dy, taps: flippedTaps(filter),
      bias: Array(repeating: 0, count: filter.shape.inputChannels),
      kernel: filter.shape.kernel, reluInput: false, epilogue: epilogue)
  }

  /// dw[o,i,r,c] += scale·Σ_{n,h,w} dy[n,h,w,o] · x[n, h+r−p, w+c−p, i]; db[o] += scale·Σ dy[…,o].
  package func convolutionBackwardWeights(
    _ x: Tensor, _ dy: Tensor, _ shape: ConvolutionShape, reluInput: Bool, scale: Float,
    dWeights: TensorSlice, dBias: TensorSlice
  ) {
    requireChannels(x.shape, shape.inputChannels, "convolutionBackwardWeights")
    requireEqual(
      dy.shape, x.shape.with(channels: shape.outputChannels), "convolutionBackwardWeights")
    let (kernel, inputs, outputs) = (shape.kernel, shape.inputChannels, shape.outputChannels)
    let pad = (kernel - 1) / 2
    // [r][c][i][o], as in `taps`.
    var sums = [Double](repeating: 0, count: shape.weightCount)
    var biasSums = [Double](repeating: 0, count: outputs)
    sums.withUnsafeMutableBufferPointer { sums in
      forEachPosition(x.shape) { n, h, w, position in
        let dyRow = dy.pointer + position * outputs
        for o in 0..<outputs { biasSums[o] += Double(dyRow[o]) }
        for r in max(0, pad - h)..<min(kernel, x.shape.height + pad - h) {
          for c in max(0, pad - w)..<min(kernel, x.shape.width + pad - w) {
            let source = (n * x.shape.height + h + r - pad) * x.shape.width + w + c - pad
            for i in 0..<inputs {
              let stored = x.pointer[source * inputs + i]
              let value = reluInput ? rectified(stored) : Double(stored)
              let first = ((r * kernel + c) * inputs + i) * outputs
              for o in 0..<outputs { sums[first + o] += Double(dyRow[o]) * value }
            }
          }
        }
      }
    }
    forEachTap(shape) { tap, weight in
      let sum = Double(dWeights.pointer[weight]) + Double(scale) * sums[tap]
      dWeights.pointer[weight] = Float(sum)
    }
    for o in 0..<outputs {
      dBias.pointer[o] = Float(Double(dBias.pointer[o]) + Double(scale) * biasSums[o])
    }
  }

  /// argmax of the logits; of equal ones the lower wins.
  package func argmaxConvolution(_ x: Tensor, _ filter: Filter, reluInput: Bool) -> [Int32] {
    argmaxChannels(convolution(x, filter, reluInput: reluInput, epilogue: .bias))
  }

  /// y[p, o] = w[o, tokens[p]] + b[o].
  package func gatherColumns(_ tokens: [Int32], _ filter: Filter, shape: Shape) -> Tensor {
    precondition(filter.shape.kernel == 1, "gatherColumns: \(filter.shape) is not 1×1")
    precondition(
      tokens.count == shape.positions, "gatherColumns: \(tokens.count) tokens for \(shape)")
    let (inputs, outputs) = (filter.shape.inputChannels, filter.shape.outputChannels)
    requireChannels(shape, outputs, "gatherColumns")
    return map(shape) { index in
      let (position, o) = index.quotientAndRemainder(dividingBy: outputs)
      let token = Int(tokens[position])
      precondition((0..<inputs).contains(token), "gatherColumns: token \(token) of \(inputs)")
      return Double(filter.weights.pointer[o * inputs + token]) + Double(filter.bias.pointer[o])
    }
  }
}

// MARK: Loops

extension ReferenceEngine {
  /// The one convolution loop; it accumulates the sums of all output channels side by side.
  private func correlate(
    _ x: Tensor, taps: [Double], bias: [Double], kernel: Int, reluInput: Bool,
    epilogue: Epilogue<Tensor>
  ) -> Tensor {
    let (inputs, outputs) = (x.shape.channels, bias.count)
    let pad = (kernel - 1) / 2
    let y = makeTensor(x.shape.with(channels: outputs))
    for other in [epilogue.mask, epilogue.skip].compactMap(\.self) {
      requireEqual(other.shape, y.shape, "epilogue")
    }
    var sums = bias
    taps.withUnsafeBufferPointer { taps in
      sums.withUnsafeMutableBufferPointer { sums in
        forEachPosition(x.shape) { n, h, w, position in
          for o in 0..<outputs { sums[o] = bias[o] }
          for r in max(0, pad - h)..<min(kernel, x.shape.height + pad - h) {
            for c in max(0, pad - w)..<min(kernel, x.shape.width + pad - w) {
              let source = (n * x.shape.height + h + r - pad) * x.shape.width + w + c - pad
              for i in 0..<inputs {
                let stored = x.pointer[source * inputs + i]
                let value = reluInput ? rectified(stored) : Double(stored)
                let first = ((r * kernel + c) * inputs + i) * outputs
                for o in 0..<outputs { sums[o] += taps[first + o] * value }
              }
            }
          }
          for o in 0..<outputs {
            y.pointer[position * outputs + o] = epilogue.value(sums[o], at: position * outputs + o)
          }
        }
      }
    }
    return y
  }

  private func forEachPosition(_ shape: Shape, _ body: (Int, Int, Int, Int) -> Void) {
    var position = 0
    for n in 0..<shape.batch {
      for h in 0..<shape.height {
        for w in 0..<shape.width {
          body(n, h, w, position)
          position += 1
        }
      }
    }
  }

  /// Pairs each index of [r][c][i][o] with the same weight's index in OIHW.
  private func forEachTap(_ shape: ConvolutionShape, _ body: (_ tap: Int, _ weight: Int) -> Void) {
    let (kernel, inputs, outputs) = (shape.kernel, shape.inputChannels, shape.outputChannels)
    for r in 0..<kernel {
      for c in 0..<kernel {
        for i in 0..<inputs {
          for o in 0..<outputs {
            body(
              ((r * kernel + c) * inputs + i) * outputs + o,
              ((o * inputs + i) * kernel + r) * kernel + c)
          }
        }
      }
    }
  }

  /// Returns the weights as [r][c][i][o] doubles, the order in which `correlate` reads them.
  private func taps(_ filter: Filter) -> [Double] {
    var taps = [Double](repeating: 0, count: filter.shape.weightCount)
    forEachTap(filter.shape) { taps[$0] = Double(filter.weights.pointer[$1]) }
    return taps
  }

  /// Returns the weights as [k−1−r][k−1−c][o][i] doubles, for dx from dy.
  private func flippedTaps(_ filter: Filter) -> [Double] {
    let (kernel, inputs, outputs) =
      (filter.shape.kernel, filter.shape.inputChannels, filter.shape.outputChannels)
    var taps = [Double](repeating: 0, count: filter.shape.weightCount)
    forEachTap(filter.shape) { tap, weight in
      let (i, o) = (tap / outputs % inputs, tap % outputs)
      let turned = kernel * kernel - 1 - tap / (inputs * outputs)
      taps[(turned * outputs + o) * inputs + i] = Double(filter.weights.pointer[weight])
    }
    return taps
  }
}

extension Epilogue<Tensor> {
  /// Returns the stored value of element `index`, from its sum with the bias already added.
  func value(_ sum: Double, at index: Int) -> Float {
    var value = sum
    if relu, value < 0 { value = 0 }
    if let mask, !(mask.pointer[index] > 0) { value = 0 }
    value *= Double(gain)
    if let skip { value += Double(skip.pointer[index]) }
    return Float(value)
  }
}
