public import DVAETensors

/// Images to tokens in whole numbers: faster than `ImageEncoder`, with tokens that are mostly its own.
///
/// The residual branches run on bytes. Their inputs are rounded, not the residual stream: what
/// comes out of a branch is multiplied by 1/(number of blocks)², and its rounding with it. The first
/// layer, the 1×1 convolutions of the stream itself and the logits use 16-bit numbers.
public struct QuantizedEncoder<E: QuantizedEngine>: Sendable {
  /// The numbers that fix the layers.
  public let architecture: Architecture
  /// What the encoder computes with.
  public let engine: E
  private let stages: [Stage]
  private let gain: Float

  private enum Stage: Sendable {
    case input(Layer)
    case block(identity: Layer?, residual: [Layer])
    case maxPool2x2
    case output(Layer, fine: QuantizedWeights)
  }

  /// A layer and the range of its input.
  private struct Layer: Sendable {
    let filter: E.QuantizedFilter
    let inputScale: Float
  }

  /// Rounds the encoder's weights.
  ///
  /// - Parameters:
  ///   - architecture: that the parameters belong to
  ///   - parameters: with all of the encoder's
  ///   - ranges: of every layer's input, as `ImageEncoder.ranges` measures them
  ///   - engine: what to compute with
  public init(
    _ architecture: Architecture, parameters: ParameterSet, ranges: ActivationRanges, engine: E
  ) {
    self.architecture = architecture
    self.engine = engine
    let plan = architecture.encoder
    gain = plan.gain
    func rounded(
      _ layer: NetworkPlan.Layer, _ form: QuantizedWeights.Form
    ) -> QuantizedWeights {
      guard let weights = parameters[layer.name + ".w"], let bias = parameters[layer.name + ".b"],
        let range = ranges[layer]
      else { preconditionFailure("QuantizedEncoder: no parameters or range of \(layer.name)") }
      return QuantizedWeights(
        layer.shape, weights: weights.values, bias: bias.values, form: form, inputRange: range)
    }
    func layer(_ layer: NetworkPlan.Layer, _ form: QuantizedWeights.Form) -> Layer {
      let rounded = rounded(layer, form)
      return Layer(filter: engine.makeFilter(rounded), inputScale: rounded.inputScale)
    }
    stages = plan.stages.compactMap { stage in
      switch stage {
      case .input(let input): .input(layer(input, .pairs))
      case .block(let block):
        .block(
          identity: block.identity.map { layer($0, .pairs) },
          residual: block.residual.map { layer($0, $0.shape.kernel == 3 ? .winograd : .bytes) })
      case .maxPool2x2: .maxPool2x2
      case .output(let output):
        .output(layer(output, .bytes), fine: rounded(output, .pairs))
      case .upsampleNearest2x: nil
      }
    }
  }

  /// The most likely token at every position, the first of equals.
  ///
  /// - Parameter x: mapped pixels, [N, H, W, inputChannels]; H and W multiples of 8
  /// - Returns: N·(H/8)·(W/8) tokens in 0..<vocabulary, row-major
  /// - Throws: `ModelInputError` for another shape
  public func tokens(_ x: Tensor) throws(ModelInputError) -> [Int32] {
    try architecture.checkEncoderInput(x.shape)
    var stream = QuantizedOutput(y: x, bytes: nil)
    for (index, stage) in stages.enumerated() {
      let next = scale(before: index + 1)
      switch stage {
      case .input(let layer):
        stream = engine.convolution(
          .floats(stream.y, relu: false), layer.filter, skip: nil, gain: 1, outputScale: next)
      case .block(let identity, let residual):
        stream = block(consume stream, identity, residual, outputScale: next)
      case .maxPool2x2:
        guard let next else { preconditionFailure("QuantizedEncoder: no block after a pooling") }
        stream = engine.maxPool2x2(stream.y, outputScale: next)
      case .output(let layer, let fine):
        return engine.argmaxConvolution(stream, coarse: layer.filter, fine: fine)
      }
    }
    return []
  }

  private func block(
    _ x: consuming QuantizedOutput, _ identity: Layer?, _ residual: [Layer], outputScale: Float?
  ) -> QuantizedOutput {
    guard let bytes = x.bytes else {
      preconditionFailure("QuantizedEncoder: a block without bytes")
    }
    var h = engine.convolution(bytes, residual[0].filter, outputScale: residual[1].inputScale)
    let skip =
      if let identity {
        engine.convolution(
          .floats(x.y, relu: false), identity.filter, skip: nil, gain: 1, outputScale: nil
        ).y
      } else { x.y }
    for i in 1...2 {
      h = engine.convolution(h, residual[i].filter, outputScale: residual[i + 1].inputScale)
    }
    return engine.convolution(
      .bytes(h), residual[3].filter, skip: skip, gain: gain, outputScale: outputScale)
  }

  /// What the bytes stand for that a stage reads; nil where it reads floats.
  private func scale(before index: Int) -> Float? {
    guard index < stages.count else { return nil }
    return switch stages[index] {
    case .block(_, let residual): residual[0].inputScale
    case .output(let layer, _): layer.inputScale
    case .input, .maxPool2x2: nil
    }
  }
}

extension Architecture {
  func checkEncoderInput(_ shape: Shape) throws(ModelInputError) {
    let step = Self.pixelsPerToken
    guard
      shape.channels == inputChannels, shape.positions > 0, shape.height % step == 0,
      shape.width % step == 0
    else { throw .imageShape(shape, channels: inputChannels) }
  }
}
