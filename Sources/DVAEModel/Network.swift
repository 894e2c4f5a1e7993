import DVAETensors

/// A layer that reads an activation, and whether it reads it through a ReLU.
typealias LayerInput = (layer: NetworkPlan.Layer, relu: Bool)

/// The receiver of the activations of a forward pass: a stack for the backward pass, or a measurement.
protocol ActivationReceiver<Value> {
  associatedtype Value
  /// Whether activations are needed after their layers have read them.
  var isKeeping: Bool { get }
  /// Takes an activation and the layers that read it; none do if only its pooling is read.
  mutating func keep(_ x: Value, for inputs: [LayerInput])
}

/// The stack of activations that the forward pass keeps for the backward pass.
package struct Activations<Value: Sendable>: ActivationReceiver, Sendable {
  /// Whether a backward pass follows.
  let isKeeping: Bool
  private var values: [Value] = []

  package init() { isKeeping = true }

  private init(isKeeping: Bool) { self.isKeeping = isKeeping }

  /// A stack that keeps nothing, for inference: each activation is freed after its use.
  package static var none: Self { Self(isKeeping: false) }

  mutating func keep(_ x: Value, for inputs: [LayerInput]) {
    if isKeeping { values.append(x) }
  }

  mutating func take() -> Value {
    precondition(!values.isEmpty, "Activations: the backward half ran without the forward half")
    return values.removeLast()
  }
}

/// The purpose that a network's filters are prepared for.
package enum NetworkPurpose: Sendable {
  /// Inference.
  case inference
  /// One inference: filters are packed as they are used and not kept, so all layers share the
  /// memory of the largest.
  case singlePass
  /// Forward and backward passes; the parameters must not change until the update is done.
  case training

  var uses: FilterUses { self == .training ? [.forward, .backwardInput] : .forward }
}

/// A layer of a network as it is computed: a `Convolution` or a `QuantizedConvolution`.
protocol NetworkLayer: Sendable {
  associatedtype Value: Sendable
  /// The layer of the plan, and whether its own operation includes the ReLU before it.
  var use: LayerInput { get }
  func forward(_ x: Value, _ epilogue: Epilogue<Value>) -> Value
  /// `forward` and max pooling; keeps the activation that the pooling's backward pass needs.
  func forwardPooled(
    _ x: Value, _ epilogue: Epilogue<Value>,
    keeping activations: inout some ActivationReceiver<Value>
  ) -> Value
}

/// The encoder or the decoder: its plan with each layer made to be computed.
///
/// Forward and backward use the same letters: `y = forward(x)`, `dx = backward(dy)`.
struct Network<Layer: NetworkLayer>: Sendable {
  let input: Layer
  let trunk: [ResidualBlock<Layer>]
  let output: Layer

  /// Makes each layer of a plan.
  init(_ plan: NetworkPlan, _ makeLayer: (_ layer: NetworkPlan.Layer, _ reluInput: Bool) -> Layer) {
    input = makeLayer(plan.input, false)
    trunk = plan.trunk.map { block in
      ResidualBlock(
        gain: plan.gain, pools: block.pools,
        identity: block.identity.map { makeLayer($0, false) },
        // The ReLU before the later layers is fused into the epilogue of the layer before.
        residual: block.residual.enumerated().map { makeLayer($1, $0 == 0) })
    }
    output = makeLayer(plan.output, true)
  }

  /// Runs all layers; keeps the activations that their backward passes need.
  func forward(
    _ x: consuming Layer.Value, keeping activations: inout some ActivationReceiver<Layer.Value>
  ) -> Layer.Value {
    let features = self.features(consume x, keeping: &activations)
    return output.forward(features, .bias)
  }

  /// Runs all layers but the last, for inference only.
  func features(_ x: Layer.Value) -> Layer.Value {
    var nothing = Activations<Layer.Value>.none
    return features(x, keeping: &nothing)
  }

  /// Runs all layers but the last; keeps the activations, its input among them.
  func features(
    _ x: consuming Layer.Value, keeping activations: inout some ActivationReceiver<Layer.Value>
  ) -> Layer.Value {
    activations.keep(x, for: [input.use])
    let features = forwardTrunk(input.forward(x, .bias), keeping: &activations)
    activations.keep(features, for: [output.use])
    return features
  }

  /// Runs all layers but the first, whose output is given, for inference only.
  func forward(afterInput x: consuming Layer.Value) -> Layer.Value {
    var nothing = Activations<Layer.Value>.none
    return output.forward(forwardTrunk(x, keeping: &nothing), .bias)
  }

  private func forwardTrunk(
    _ x: consuming Layer.Value, keeping activations: inout some ActivationReceiver<Layer.Value>
  ) -> Layer.Value {
    var x = x
    for block in trunk { x = block.forward(consume x, keeping: &activations) }
    return x
  }
}

extension Network {
  /// Prepares the filters of a plan's layers.
  init<E: Engine>(
    _ plan: NetworkPlan, _ parameters: Parameters<E.Variable>, _ engine: E,
    for purpose: NetworkPurpose
  ) where Layer == Convolution<E> {
    let isDecoder = plan.half == .decoder
    self.init(plan) { layer, reluInput in
      let isGathered = isDecoder && layer == plan.input
      // The layers beside the relaxation and the likelihood have long factors in every precision.
      return Convolution(
        layer, parameters, isGathered || layer == plan.output ? engine.fine : engine,
        uses: isGathered ? purpose.uses.union(.gather) : purpose.uses,
        keepsFilter: purpose != .singlePass, reluInput: reluInput)
    }
  }

  /// Adds to the gradients and returns the first layer's dx; nil if it is not needed.
  ///
  /// Consumes the activations, so that each is free as soon as its layer is done.
  func backward<E: Engine>(
    _ dy: consuming E.Value, _ activations: inout Activations<E.Value>,
    _ gradients: Parameters<E.Variable>, needsInput: Bool
  ) -> E.Value? where Layer == Convolution<E> {
    var dy = output.backward(dy, activations.take(), gradients)
    for block in trunk.reversed() { dy = block.backward(consume dy, &activations, gradients) }
    let x = activations.take()
    guard needsInput else {
      input.backwardWeights(x, dy, gradients)
      return nil
    }
    return input.backward(dy, x, gradients)
  }
}

/// A convolution of the network: its prepared filter and the names of its gradients.
struct Convolution<E: Engine>: NetworkLayer {
  let engine: E
  let layer: NetworkPlan.Layer
  let reluInput: Bool
  private let makeFilter: @Sendable () -> E.Filter
  /// The packed filter; nil if each use packs anew.
  private let kept: E.Filter?

  init(
    _ layer: NetworkPlan.Layer, _ parameters: Parameters<E.Variable>, _ engine: E,
    uses: FilterUses, keepsFilter: Bool, reluInput: Bool
  ) {
    guard let weights = parameters[layer.name + ".w"], let bias = parameters[layer.name + ".b"]
    else { preconditionFailure("Convolution: the parameters lack \(layer.name)") }
    self.engine = engine
    self.layer = layer
    self.reluInput = reluInput
    makeFilter = {
      engine.makeFilter(layer.shape, weights: weights.values, bias: bias.values, uses: uses)
    }
    kept = keepsFilter ? makeFilter() : nil
  }

  var filter: E.Filter { kept ?? makeFilter() }

  var use: LayerInput { (layer, reluInput) }

  func forward(_ x: E.Value, _ epilogue: Epilogue<E.Value>) -> E.Value {
    let y = engine.convolution(x, filter, reluInput: reluInput, epilogue: epilogue)
    return layer.upsamples ? engine.upsampleNearest2x(y) : y
  }

  func forwardPooled(
    _ x: E.Value, _ epilogue: Epilogue<E.Value>,
    keeping activations: inout some ActivationReceiver<E.Value>
  ) -> E.Value {
    guard activations.isKeeping else {
      return engine.pooledConvolution(x, filter, reluInput: reluInput, epilogue: epilogue)
    }
    let y = forward(x, epilogue)
    activations.keep(y, for: [])
    return engine.maxPool2x2(y)
  }

  /// Adds dw and db to the gradients and returns dx.
  func backward(
    _ dy: E.Value, _ x: E.Value, _ gradients: Parameters<E.Variable>
  ) -> E.Value {
    backwardWeights(x, dy, gradients)
    return backwardInput(dy, Epilogue(mask: reluInput ? x : nil))
  }

  /// The backward pass of the upsampling alone, which the other two expect to be done.
  func upsampledBackward(_ dy: consuming E.Value) -> E.Value {
    layer.upsamples ? engine.upsampleNearest2xBackward(dy) : dy
  }

  func backwardInput(_ dy: E.Value, _ epilogue: Epilogue<E.Value>) -> E.Value {
    engine.convolutionBackwardInput(dy, filter, epilogue: epilogue)
  }

  /// Adds scale·dw and scale·db; a layer that is missing from the gradients is frozen.
  func backwardWeights(
    _ x: E.Value, _ dy: E.Value, _ gradients: Parameters<E.Variable>, scale: Float = 1
  ) {
    guard let dWeights = gradients[layer.name + ".w"], let dBias = gradients[layer.name + ".b"]
    else { return }
    engine.convolutionBackwardWeights(
      x, dy, layer.shape, reluInput: reluInput, scale: scale, dWeights: dWeights.values,
      dBias: dBias.values)
  }
}
