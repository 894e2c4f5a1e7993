import DVAETensors

/// y = id(x) + gain·conv_4(relu(conv_3(relu(conv_2(relu(conv_1(relu(x)))))))).
///
/// h₁, h₂, h₃ are the outputs of conv_1 to conv_3 after their ReLU. Besides x, the backward pass
/// needs nothing else: h > 0 exactly where the ReLU passed the value.
///
/// An encoder block before a pooling does the pooling itself: in inference the engine need not store
/// what it pools.
struct ResidualBlock<Layer: NetworkLayer>: Sendable {
  let gain: Float
  /// Whether y is pooled to half its height and width.
  let pools: Bool
  /// A 1×1 convolution of x, or nil for x itself.
  let identity: Layer?
  /// conv_1 … conv_4.
  let residual: [Layer]

  func forward(
    _ x: consuming Layer.Value, keeping activations: inout some ActivationReceiver<Layer.Value>
  ) -> Layer.Value {
    activations.keep(x, for: ([residual[0]] + (identity.map { [$0] } ?? [])).map(\.use))
    var h = residual[0].forward(x, .relu)
    // If the skip is a convolution, x is not needed after it.
    let skip = if let identity { identity.forward(consume x, .bias) } else { consume x }
    for convolution in residual[1...2] {
      activations.keep(h, for: [convolution.use])
      h = convolution.forward(h, .relu)
    }
    activations.keep(h, for: [residual[3].use])
    let isLastUse = identity != nil || !activations.isKeeping
    let epilogue = Epilogue(skip: skip, overwritesSkip: isLastUse, gain: gain)
    return pools
      ? residual[3].forwardPooled(h, epilogue, keeping: &activations)
      : residual[3].forward(h, epilogue)
  }

  func backward<E: Engine>(
    _ dy: consuming E.Value, _ activations: inout Activations<E.Value>,
    _ gradients: Parameters<E.Variable>
  ) -> E.Value where Layer == Convolution<E> {
    let dy = pools ? residual[3].engine.maxPool2x2Backward(dy, activations.take()) : dy
    var h = activations.take()
    residual[3].backwardWeights(h, dy, gradients, scale: gain)
    var dh = residual[3].backwardInput(dy, Epilogue(mask: h, gain: gain))
    for convolution in residual[1...2].reversed() {
      h = activations.take()
      convolution.backwardWeights(h, dh, gradients)
      dh = convolution.backwardInput(dh, Epilogue(mask: h))
    }
    let x = activations.take()
    dh = residual[0].upsampledBackward(consume dh)
    residual[0].backwardWeights(x, dh, gradients)
    let dSkip = identity?.upsampledBackward(dy) ?? dy
    identity?.backwardWeights(x, dSkip, gradients)
    let dx = identity?.backwardInput(dSkip, .bias) ?? dSkip
    return residual[0].backwardInput(dh, Epilogue(mask: x, skip: dx, overwritesSkip: true))
  }
}
