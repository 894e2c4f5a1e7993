import EngineModule
import TensorModule

/// y = id(x) + gain·conv_4(relu(conv_3(relu(conv_2(relu(conv_1(relu(x)))))))).
///
/// h₁, h₂, h₃ are the outputs of conv_1 to conv_3 after their ReLU. That is all the backward half
/// needs besides x: h > 0 exactly where the ReLU let the value through.
struct ResidualBlock<E: Engine>: Sendable {
  let engine: E
  let gain: Float
  /// A 1×1 convolution of x, or nil for x itself.
  let identity: Convolution<E>?
  /// conv_1 … conv_4.
  let residual: [Convolution<E>]

  func forward(_ x: consuming Tensor, keeping activations: inout Activations) -> Tensor {
    activations.keep(x)
    var h = residual[0].forward(x, .relu)
    // Where the skip is a convolution's, x is of no more use after it.
    let skip = if let identity { identity.forward(consume x, .bias) } else { consume x }
    for convolution in residual[1...2] {
      activations.keep(h)
      h = convolution.forward(h, .relu)
    }
    activations.keep(h)
    return residual[3].forward(h, Epilogue(skip: skip, gain: gain))
  }

  func backward(
    _ dy: consuming Tensor, _ activations: inout Activations, _ gradients: ParameterSet
  ) -> Tensor {
    var h = activations.take()
    residual[3].backwardWeights(h, dy, gradients, scale: gain)
    var dh = residual[3].backwardInput(dy, Epilogue(mask: h, gain: gain))
    for convolution in residual[1...2].reversed() {
      h = activations.take()
      convolution.backwardWeights(h, dh, gradients)
      dh = convolution.backwardInput(dh, Epilogue(mask: h))
    }
    let x = activations.take()
    residual[0].backwardWeights(x, dh, gradients)
    guard let identity else {
      return residual[0].backwardInput(dh, Epilogue(mask: x, skip: dy))
    }
    identity.backwardWeights(x, dy, gradients)
    let dSkip = identity.backwardInput(dy, .bias)
    _ = consume dy
    return residual[0].backwardInput(dh, Epilogue(mask: x, skip: dSkip))
  }
}
