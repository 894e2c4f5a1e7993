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
  private let network: Network<QuantizedConvolution<E>>
  /// The last layer's weights in int16.
  private let fineOutput: QuantizedWeights

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
    // Each layer of a branch and the last one read the bytes of the layer before, which must know their
    // scale; the first layer and those of the skips read floats.
    let chain = [plan.input] + plan.trunk.flatMap(\.residual) + [plan.output]
    let next = Dictionary(uniqueKeysWithValues: zip(chain, chain.dropFirst()))
    func range(of layer: NetworkPlan.Layer) -> Float {
      guard let range = calibration[layer] else {
        preconditionFailure("QuantizedEncoder: no range of \(layer.name)")
      }
      return range
    }
    func rounded(
      _ layer: NetworkPlan.Layer, _ form: QuantizedWeights.Form
    ) -> QuantizedWeights {
      guard let weights = parameters[layer.name + ".w"], let bias = parameters[layer.name + ".b"]
      else { preconditionFailure("QuantizedEncoder: no parameters of \(layer.name)") }
      return QuantizedWeights(
        layer.shape, weights: weights.values, bias: bias.values, form: form,
        inputRange: range(of: layer))
    }
    let floats = Set([plan.input] + plan.trunk.compactMap(\.identity))
    network = Network(plan) { layer, _ in
      let form: QuantizedWeights.Form =
        floats.contains(layer) ? .pairs : layer.shape.kernel == 3 ? .winograd : .bytes
      return QuantizedConvolution(
        engine: engine, layer: layer, filter: engine.makeFilter(rounded(layer, form)),
        outputScale: next[layer].map { QuantizedWeights.byteScale(range: range(of: $0)) })
    }
    fineOutput = rounded(plan.output, .pairs)
  }

  /// Returns the most likely token of every position; of equal logits the lower token wins.
  ///
  /// - Parameter x: mapped pixels, [N, H, W, inputChannels]; H and W multiples of 8
  /// - Returns: N·(H/8)·(W/8) tokens in 0..<vocabulary, row-major
  /// - Throws: `DVAEError` for another shape
  package func tokens(_ x: Tensor) throws(DVAEError) -> [Int32] {
    try architecture.checkEncoderInput(x.shape)
    return engine.argmaxConvolution(
      network.features(QuantizedValue(floats: x)), coarse: network.output.filter, fine: fineOutput)
  }
}

/// An int8 convolution of the network: its integer filter and the scale of what it writes.
struct QuantizedConvolution<E: QuantizedEngine>: NetworkLayer {
  let engine: E
  let layer: NetworkPlan.Layer
  let filter: E.QuantizedFilter
  /// The scale of the bytes that the next layer reads; nil if none reads them.
  let outputScale: Float?

  var use: LayerInput { (layer, false) }

  func forward(
    _ x: QuantizedValue, _ epilogue: Epilogue<QuantizedValue>
  ) -> QuantizedValue {
    engine.convolution(
      x, filter, skip: epilogue.skip?.floats, gain: epilogue.gain, outputScale: outputScale)
  }

  func forwardPooled(
    _ x: QuantizedValue, _ epilogue: Epilogue<QuantizedValue>,
    keeping activations: inout some ActivationReceiver<QuantizedValue>
  ) -> QuantizedValue {
    guard let outputScale else { preconditionFailure("QuantizedConvolution: pools for no layer") }
    return engine.pooledConvolution(
      x, filter, skip: epilogue.skip?.floats, gain: epilogue.gain, outputScale: outputScale)
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
