import Synchronization

/// An engine that measures the time of each operation of another engine.
///
/// The results are unchanged; `dvae benchmark` runs a network on it to show where the time goes.
package struct TimedEngine<Base: HostEngine>: HostEngine {
  /// A filter of the base engine, with the start of its operations' names.
  package struct NamedFilter<BaseFilter: Sendable>: Sendable {
    let base: BaseFilter
    let shape: ConvolutionShape
    var prefix = ""
  }

  package typealias Filter = NamedFilter<Base.Filter>

  /// The measurements of one operation at one size.
  package struct Entry: Sendable {
    /// `convolution 3×3 256→64 on 256×256`.
    package let operation: String
    /// Multiply-adds of the direct algorithm in all calls; 0 for elementwise operations.
    package var multiplyAdds = 0
    /// The number of calls.
    package var calls = 0
    /// Wall time in all calls.
    package var time = Duration.zero
  }

  private final class Record: Sendable {
    let entries = Mutex<[Entry]>([])
  }

  /// The engine that is measured.
  package let base: Base
  private let record: Record

  /// Measures `base`.
  package init(_ base: Base) { self.init(base, Record()) }

  private init(_ base: Base, _ record: Record) {
    self.base = base
    self.record = record
  }

  /// The measurements so far, in order of first use.
  package var entries: [Entry] { record.entries.withLock { $0 } }

  /// Clears the measurements.
  package func reset() { record.entries.withLock { $0.removeAll() } }

  func timed<R>(
    _ operation: String, _ shape: Shape, multiplyAdds: Int = 0, _ body: () -> R
  ) -> R {
    let clock = ContinuousClock()
    let start = clock.now
    let result = body()
    let time = clock.now - start
    let batch = shape.batch == 1 ? "" : "\(shape.batch)×"
    let name = "\(operation) on \(batch)\(shape.height)×\(shape.width)"
    record.entries.withLock { entries in
      let at = entries.firstIndex { $0.operation == name } ?? entries.endIndex
      if at == entries.endIndex { entries.append(Entry(operation: name)) }
      entries[at].calls += 1
      entries[at].multiplyAdds += multiplyAdds
      entries[at].time += time
    }
    return result
  }

  func timed<R>(
    _ operation: String, _ convolution: ConvolutionShape, _ shape: Shape, _ body: () -> R
  ) -> R {
    let (k, i, o) = (
      convolution.kernel, convolution.inputChannels, convolution.outputChannels
    )
    return timed(
      "\(operation) \(k)×\(k) \(i)→\(o)", shape,
      multiplyAdds: convolution.multiplyAdds(positions: shape.positions), body)
  }
}

extension TimedEngine {
  /// The base engine's name.
  package var name: String { base.name }

  /// The exact base engine, with the same measurements.
  package var exact: Self { Self(base.exact, record) }
  /// The fine one, likewise.
  package var fine: Self { Self(base.fine, record) }

  package func makeTensor(_ shape: Shape) -> Tensor { base.makeTensor(shape) }

  /// See `Engine`; not measured, because it happens once.
  package func makeFilter(
    _ shape: ConvolutionShape, weights: TensorSlice, bias: TensorSlice, uses: FilterUses
  ) -> Filter {
    Filter(
      base: base.makeFilter(shape, weights: weights, bias: bias, uses: uses), shape: shape)
  }

  package func convolution(
    _ x: Tensor, _ filter: Filter, reluInput: Bool, epilogue: Epilogue<Tensor>
  ) -> Tensor {
    timed("convolution", filter.shape, x.shape) {
      base.convolution(x, filter.base, reluInput: reluInput, epilogue: epilogue)
    }
  }

  package func pooledConvolution(
    _ x: Tensor, _ filter: Filter, reluInput: Bool, epilogue: Epilogue<Tensor>
  ) -> Tensor {
    timed("convolution, pooled,", filter.shape, x.shape) {
      base.pooledConvolution(x, filter.base, reluInput: reluInput, epilogue: epilogue)
    }
  }

  package func convolutionBackwardInput(
    _ dy: Tensor, _ filter: Filter, epilogue: Epilogue<Tensor>
  ) -> Tensor {
    timed("input gradient", filter.shape, dy.shape) {
      base.convolutionBackwardInput(dy, filter.base, epilogue: epilogue)
    }
  }

  package func convolutionBackwardWeights(
    _ x: Tensor, _ dy: Tensor, _ shape: ConvolutionShape, reluInput: Bool, scale: Float,
    dWeights: TensorSlice, dBias: TensorSlice
  ) {
    timed("weight gradient", shape, x.shape) {
      base.convolutionBackwardWeights(
        x, dy, shape, reluInput: reluInput, scale: scale, dWeights: dWeights, dBias: dBias)
    }
  }

  package func argmaxConvolution(_ x: Tensor, _ filter: Filter, reluInput: Bool) -> [Int32] {
    timed("convolution, argmax", filter.shape, x.shape) {
      base.argmaxConvolution(x, filter.base, reluInput: reluInput)
    }
  }

  package func gatherColumns(_ tokens: [Int32], _ filter: Filter, shape: Shape) -> Tensor {
    timed("gather", shape) { base.gatherColumns(tokens, filter.base, shape: shape) }
  }

  package func maxPool2x2(_ x: Tensor) -> Tensor {
    timed("max pool", x.shape) { base.maxPool2x2(x) }
  }

  package func maxPool2x2Backward(_ dy: Tensor, _ x: Tensor) -> Tensor {
    timed("max pool gradient", x.shape) { base.maxPool2x2Backward(dy, x) }
  }

  package func upsampleNearest2x(_ x: Tensor) -> Tensor {
    timed("upsample", x.shape) { base.upsampleNearest2x(x) }
  }

  package func upsampleNearest2xBackward(_ dy: Tensor) -> Tensor {
    timed("upsample gradient", dy.shape) { base.upsampleNearest2xBackward(dy) }
  }

  package func relu(_ x: Tensor) -> Tensor { timed("ReLU", x.shape) { base.relu(x) } }

  package func reluBackward(_ dy: Tensor, _ x: Tensor) -> Tensor {
    timed("ReLU gradient", x.shape) { base.reluBackward(dy, x) }
  }

  package func addScaled(_ x: Tensor, _ r: Tensor, gain: Float) -> Tensor {
    timed("add", x.shape) { base.addScaled(x, r, gain: gain) }
  }

  package func sigmoid(_ x: Tensor) -> Tensor { timed("sigmoid", x.shape) { base.sigmoid(x) } }

  package func softmaxChannels(_ logits: Tensor) -> Tensor {
    timed("softmax", logits.shape) { base.softmaxChannels(logits) }
  }

  package func gumbelSoftmax(
    _ logits: Tensor, noise: GumbelNoise<Tensor>, temperature: Double
  ) -> Tensor {
    timed("Gumbel softmax", logits.shape) {
      base.gumbelSoftmax(logits, noise: noise, temperature: temperature)
    }
  }

  package func klToUniform(_ logits: Tensor) -> Double {
    timed("KL", logits.shape) { base.klToUniform(logits) }
  }

  package func gumbelSoftmaxBackward(
    _ dy: Tensor, y: Tensor, logits: Tensor, temperature: Double, klScale: Double
  ) -> Tensor {
    timed("Gumbel softmax gradient", logits.shape) {
      base.gumbelSoftmaxBackward(
        dy, y: y, logits: logits, temperature: temperature, klScale: klScale)
    }
  }

  package func logitLaplaceLoss(_ statistics: Tensor, target: Tensor) -> Double {
    timed("logit-Laplace", target.shape) { base.logitLaplaceLoss(statistics, target: target) }
  }

  package func logitLaplaceLossBackward(
    _ statistics: Tensor, target: Tensor, scale: Double
  ) -> Tensor {
    timed("logit-Laplace gradient", target.shape) {
      base.logitLaplaceLossBackward(statistics, target: target, scale: scale)
    }
  }

  package func adamWStep(
    parameters: TensorSlice, gradients: TensorSlice, firstMoment: TensorSlice,
    secondMoment: TensorSlice, average: TensorSlice, _ step: AdamWStep<Double>
  ) {
    timed("AdamW", Shape(1, 1, parameters.count, 1)) {
      base.adamWStep(
        parameters: parameters, gradients: gradients, firstMoment: firstMoment,
        secondMoment: secondMoment, average: average, step)
    }
  }

  package func sumOfSquares(_ x: TensorSlice) -> Double {
    timed("sum of squares", Shape(1, 1, x.count, 1)) { base.sumOfSquares(x) }
  }
}

extension TimedEngine: QuantizedEngine where Base: QuantizedEngine {
  package typealias QuantizedFilter = NamedFilter<Base.QuantizedFilter>

  /// See `QuantizedEngine`; not measured, because it happens once.
  package func makeFilter(_ weights: QuantizedWeights) -> QuantizedFilter {
    QuantizedFilter(
      base: base.makeFilter(weights), shape: weights.shape,
      prefix: weights.form == .pairs ? "16-bit " : "8-bit ")
  }

  package func convolution(
    _ x: QuantizedValue, _ filter: QuantizedFilter, skip: Tensor?, gain: Float, outputScale: Float?
  ) -> QuantizedValue {
    timed(filter.prefix + "convolution", filter.shape, x.shape) {
      base.convolution(x, filter.base, skip: skip, gain: gain, outputScale: outputScale)
    }
  }

  package func argmaxConvolution(
    _ x: QuantizedValue, coarse: QuantizedFilter, fine: QuantizedWeights
  ) -> [Int32] {
    timed(coarse.prefix + "convolution, argmax", coarse.shape, x.shape) {
      base.argmaxConvolution(x, coarse: coarse.base, fine: fine)
    }
  }

  package func pooledConvolution(
    _ x: QuantizedValue, _ filter: QuantizedFilter, skip: Tensor?, gain: Float, outputScale: Float
  ) -> QuantizedValue {
    timed(filter.prefix + "convolution, pooled,", filter.shape, x.shape) {
      base.pooledConvolution(x, filter.base, skip: skip, gain: gain, outputScale: outputScale)
    }
  }
}
