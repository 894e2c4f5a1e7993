package import DVAEFiles
package import DVAETensors

/// The int8 encoder: images to tokens, faster than `ImageEncoder`; most tokens are the same.
///
/// The residual branches run on int8. Their inputs are rounded, not the residual stream: a branch's
/// output, rounding errors included, is multiplied by 1/(number of blocks)². The first layer, the
/// 1×1 convolutions of the stream itself and the logits use int16.
package struct QuantizedEncoder<E: QuantizedEngine>: Sendable {
  /// The model's hyperparameters.
  package let architecture: Architecture
  /// The engine that computes.
  package let engine: E
  private let input: Layer
  private let trunk: [Block]
  private let output: Layer
  /// The last layer's weights in int16.
  private let fineOutput: QuantizedWeights
  private let gain: Float

  private struct Block: Sendable {
    let identity: Layer?
    let residual: [Layer]
    let pools: Bool
  }

  /// A layer and its scale.
  private struct Layer: Sendable {
    let filter: E.QuantizedFilter
    let inputScale: Float
  }

  /// Quantises the encoder's weights.
  ///
  /// - Parameters:
  ///   - architecture: the parameters' architecture
  ///   - parameters: all of the encoder's parameters
  ///   - calibration: the calibration, as `ImageEncoder.calibration` measures it
  ///   - engine: the engine to compute with
  package init(
    _ architecture: Architecture, parameters: ParameterSet, calibration: Calibration, engine: E
  ) {
    self.architecture = architecture
    self.engine = engine
    let plan = architecture.encoder
    gain = plan.gain
    func rounded(
      _ layer: NetworkPlan.Layer, _ form: QuantizedWeights.Form
    ) -> QuantizedWeights {
      guard let weights = parameters[layer.name + ".w"], let bias = parameters[layer.name + ".b"],
        let range = calibration[layer]
      else { preconditionFailure("QuantizedEncoder: no parameters or range of \(layer.name)") }
      return QuantizedWeights(
        layer.shape, weights: weights.values, bias: bias.values, form: form, inputRange: range)
    }
    func layer(_ layer: NetworkPlan.Layer, _ form: QuantizedWeights.Form) -> Layer {
      let rounded = rounded(layer, form)
      return Layer(filter: engine.makeFilter(rounded), inputScale: rounded.inputScale)
    }
    input = layer(plan.input, .pairs)
    trunk = plan.trunk.map { block in
      Block(
        identity: block.identity.map { layer($0, .pairs) },
        residual: block.residual.map { layer($0, $0.shape.kernel == 3 ? .winograd : .bytes) },
        pools: block.pools)
    }
    output = layer(plan.output, .bytes)
    fineOutput = rounded(plan.output, .pairs)
  }

  /// Returns the most likely token of every position; of equal logits the lower token wins.
  ///
  /// - Parameter x: mapped pixels, [N, H, W, inputChannels]; H and W multiples of 8
  /// - Returns: N·(H/8)·(W/8) tokens in 0..<vocabulary, row-major
  /// - Throws: `DVAEError` for another shape
  package func tokens(_ x: Tensor) throws(DVAEError) -> [Int32] {
    try architecture.checkEncoderInput(x.shape)
    var stream = engine.convolution(
      .floats(x, relu: false), input.filter, skip: nil, gain: 1, outputScale: byteScale(before: 0))
    for (index, block) in trunk.enumerated() {
      let next = byteScale(before: index + 1)
      stream = forward(consume stream, through: block, outputScale: next)
    }
    return engine.argmaxConvolution(stream, coarse: output.filter, fine: fineOutput)
  }

  private func forward(
    _ x: consuming QuantizedOutput, through block: Block, outputScale: Float
  ) -> QuantizedOutput {
    guard let bytes = x.bytes else {
      preconditionFailure("QuantizedEncoder: a block without bytes")
    }
    let (identity, residual) = (block.identity, block.residual)
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
    let last = residual[3].filter
    return block.pools
      ? engine.pooledConvolution(.bytes(h), last, skip: skip, gain: gain, outputScale: outputScale)
      : engine.convolution(.bytes(h), last, skip: skip, gain: gain, outputScale: outputScale)
  }

  /// Returns the scale of the bytes that a block of the trunk or the last layer reads.
  private func byteScale(before index: Int) -> Float {
    index < trunk.count ? trunk[index].residual[0].inputScale : output.inputScale
  }
}

extension Architecture {
  func checkEncoderInput(_ shape: Shape) throws(DVAEError) {
    let step = Self.pixelsPerToken
    guard
      shape.channels == inputChannels, shape.positions > 0, shape.height % step == 0,
      shape.width % step == 0
    else { throw .imageShape(shape, channels: inputChannels) }
  }
}
