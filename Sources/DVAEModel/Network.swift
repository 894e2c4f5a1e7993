import DVAETensors

/// What the forward half keeps for the backward half: a stack, taken in reverse order.
public struct Activations: Sendable {
  /// Whether there is going to be a backward half.
  let isKeeping: Bool
  private var tensors: [Tensor] = []

  /// Makes an empty stack.
  public init() { isKeeping = true }

  private init(isKeeping: Bool) { self.isKeeping = isKeeping }

  /// A stack that keeps nothing, for a forward half alone: each activation dies after its use.
  public static let none = Activations(isKeeping: false)

  mutating func keep(_ x: Tensor) {
    if isKeeping { tensors.append(x) }
  }

  mutating func take() -> Tensor {
    precondition(!tensors.isEmpty, "Activations: the backward half ran without the forward half")
    return tensors.removeLast()
  }
}

/// What a network's filters are prepared for.
public enum NetworkPurpose: Sendable {
  /// Forward only.
  case inference
  /// Forward only, and once: filters are packed as they are used and not kept, so that all layers
  /// share the memory of the largest.
  case singlePass
  /// Forward and backward; the parameters must stay as they are until the update is done.
  case training

  var uses: FilterUses { self == .training ? [.forward, .backwardInput] : .forward }
}

/// The stages of one half of the model on an engine.
///
/// Forward stands beside backward with the same letters: `y = forward(x)`, `dx = backward(dy)`.
struct Network<E: Engine>: Sendable {
  enum Stage: Sendable {
    case convolution(Convolution<E>)
    case block(ResidualBlock<E>)
    case maxPool2x2
  }

  let engine: E
  let stages: [Stage]

  init(_ plan: NetworkPlan, _ parameters: ParameterSet, _ engine: E, for purpose: NetworkPurpose) {
    func convolution(
      _ layer: NetworkPlan.Layer, reluInput: Bool, adding uses: FilterUses = []
    ) -> Convolution<E> {
      Convolution(
        layer, parameters, engine, uses: purpose.uses.union(uses),
        keepsFilter: purpose != .singlePass, reluInput: reluInput)
    }
    self.engine = engine
    var upsamples = false
    stages = plan.stages.compactMap { stage in
      defer { upsamples = stage == .upsampleNearest2x }
      return switch stage {
      case .input(let layer):
        .convolution(
          convolution(layer, reluInput: false, adding: plan.half == .decoder ? .gather : []))
      case .block(let block):
        .block(
          ResidualBlock(
            engine: engine, gain: plan.gain, upsamples: upsamples,
            identity: block.identity.map { convolution($0, reluInput: false) },
            // After conv_1 the ReLU is in the epilogue of the layer before.
            residual: block.residual.enumerated().map { convolution($1, reluInput: $0 == 0) }))
      case .maxPool2x2: .maxPool2x2
      case .upsampleNearest2x: nil  // the next block's
      case .output(let layer): .convolution(convolution(layer, reluInput: true))
      }
    }
  }

  /// y of some of the stages; keeps what their backward halves need.
  func forward(
    _ x: consuming Tensor, through range: Range<Int>, keeping activations: inout Activations
  ) -> Tensor {
    var x = x
    for stage in stages[range] {
      switch stage {
      case .convolution(let convolution):
        activations.keep(x)
        x = convolution.forward(x, .bias)
      case .block(let block):
        x = block.forward(consume x, keeping: &activations)
      case .maxPool2x2:
        activations.keep(x)
        x = engine.maxPool2x2(x)
      }
    }
    return x
  }

  /// Adds to the gradients and returns dx of the first stage, nil where it is not needed.
  ///
  /// Consumes the activations, so that each is free as soon as its layer is done.
  func backward(
    _ dy: consuming Tensor, _ activations: inout Activations, _ gradients: ParameterSet,
    needsInput: Bool
  ) -> Tensor? {
    var dy = dy
    for (index, stage) in stages.enumerated().reversed() {
      switch stage {
      case .convolution(let convolution):
        let x = activations.take()
        convolution.backwardWeights(x, dy, gradients)
        if index == 0 && !needsInput { return nil }
        dy = convolution.backwardInput(dy, Epilogue(mask: convolution.reluInput ? x : nil))
      case .block(let block):
        dy = block.backward(consume dy, &activations, gradients)
      case .maxPool2x2:
        dy = engine.maxPool2x2Backward(dy, activations.take())
      }
    }
    return dy
  }
}

/// A convolution of the network: a prepared filter and the names of its gradients.
struct Convolution<E: Engine>: Sendable {
  let engine: E
  let layer: NetworkPlan.Layer
  let reluInput: Bool
  private let makeFilter: @Sendable () -> E.Filter
  /// nil where each use packs anew.
  private let kept: E.Filter?

  init(
    _ layer: NetworkPlan.Layer, _ parameters: ParameterSet, _ engine: E, uses: FilterUses,
    keepsFilter: Bool, reluInput: Bool
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

  func forward(_ x: Tensor, _ epilogue: Epilogue) -> Tensor {
    engine.convolution(x, filter, reluInput: reluInput, epilogue: epilogue)
  }

  func backwardInput(_ dy: Tensor, _ epilogue: Epilogue) -> Tensor {
    engine.convolutionBackwardInput(dy, filter, epilogue: epilogue)
  }

  /// Adds scale·dw and scale·db; a layer without a place in the gradients is frozen.
  func backwardWeights(
    _ x: Tensor, _ dy: Tensor, _ gradients: ParameterSet, scale: Float = 1
  ) {
    guard let dWeights = gradients[layer.name + ".w"], let dBias = gradients[layer.name + ".b"]
    else { return }
    engine.convolutionBackwardWeights(
      x, dy, layer.shape, reluInput: reluInput, scale: scale, dWeights: dWeights.values,
      dBias: dBias.values)
  }
}
