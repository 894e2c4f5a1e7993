import DVAECPUEngine
import DVAETensors

// Activations are [positions, channels]: tensors of shape [1, 1, positions, channels]. `x` is a
// layer's input and `y` its output; `dx` and `dy` are the loss's derivatives by them.

/// y = x·Wᵀ + b, the engine's 1×1 convolution.
struct Linear: Sendable {
  /// W, [outputs, inputs].
  let weights: Range<Int>
  /// b, [outputs].
  let bias: Range<Int>
  let shape: ConvolutionShape

  init(_ name: String, from inputs: Int, to outputs: Int, in layout: inout ParameterLayout) {
    self.init(
      name, weights: layout.place(name + ".weights", outputs, inputs), from: inputs, to: outputs,
      in: &layout)
  }

  /// Makes a layer that shares the weights of another.
  init(
    _ name: String, weights: Range<Int>, from inputs: Int, to outputs: Int,
    in layout: inout ParameterLayout
  ) {
    self.weights = weights
    bias = layout.place(name + ".bias", outputs)
    shape = ConvolutionShape(kernel: 1, inputChannels: inputs, outputChannels: outputs)
  }

  func forward(_ x: Tensor, _ pass: Pass, epilogue: Epilogue<Tensor> = .bias) -> Tensor {
    pass.engine.convolution(x, pass.filter(of: self), reluInput: false, epilogue: epilogue)
  }

  /// dW += dyᵀ·x, db += Σ dy; returns dx = epilogue(dy·W).
  func backward(
    _ dy: Tensor, x: Tensor, _ pass: Pass, epilogue: Epilogue<Tensor> = .bias
  ) -> Tensor {
    pass.engine.convolutionBackwardWeights(
      x, dy, shape, reluInput: false, scale: 1, dWeights: pass.gradient(weights),
      dBias: pass.gradient(bias))
    return pass.engine.convolutionBackwardInput(dy, pass.filter(of: self), epilogue: epilogue)
  }
}

/// y = g·x / r with r = √(mean of x² + ε): root mean square normalisation (Zhang & Sennrich 2019).
struct Norm: Sendable {
  /// g, [C].
  let gain: Range<Int>

  private static let epsilon: Float = 1e-5

  init(_ name: String, width: Int, in layout: inout ParameterLayout) {
    gain = layout.place(name + ".gain", width)
  }

  func forward(_ x: Tensor, _ pass: Pass) -> Tensor {
    let y = pass.engine.makeTensor(x.shape)
    let (count, g) = (gain.count, pass.parameters[gain].pointer)
    for p in 0..<x.shape.positions {
      let (x, y) = (x.pointer + p * count, y.pointer + p * count)
      let inverse = Self.inverse(x, count)
      for i in 0..<count { y[i] = g[i] * x[i] * inverse }
    }
    return y
  }

  /// dg += Σ dy·x/r; returns dx = (g·dy − (x/r)·mean of g·dy·x/r) / r + skip.
  func backward(_ dy: Tensor, x: Tensor, _ pass: Pass, skip: Tensor) -> Tensor {
    let dx = pass.engine.makeTensor(x.shape)
    let (count, g) = (gain.count, pass.parameters[gain].pointer)
    let dg = pass.gradient(gain).pointer
    for p in 0..<x.shape.positions {
      let (dy, x) = (dy.pointer + p * count, x.pointer + p * count)
      let (dx, skip) = (dx.pointer + p * count, skip.pointer + p * count)
      let inverse = Self.inverse(x, count)
      for i in 0..<count {
        dg[i] += dy[i] * x[i] * inverse
        dx[i] = g[i] * dy[i]
      }
      let mean = dot(dx, x, count) * inverse / Float(count)
      for i in 0..<count { dx[i] = (dx[i] - x[i] * inverse * mean) * inverse + skip[i] }
    }
    return dx
  }

  /// 1 / r.
  private static func inverse(_ x: UnsafePointer<Float>, _ count: Int) -> Float {
    1 / (dot(x, x, count) / Float(count) + epsilon).squareRoot()
  }
}

/// Σ x·y over a multiple of 8 elements.
@inline(__always)
func dot(_ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, _ count: Int) -> Float {
  var sum = SIMD8<Float>.zero
  for i in stride(from: 0, to: count, by: 8) { sum += eight(x + i) * eight(y + i) }
  return sum.sum()
}

/// y += a·x over a multiple of 8 elements.
@inline(__always)
func add(
  _ a: Float, _ x: UnsafePointer<Float>, to y: UnsafeMutablePointer<Float>, _ count: Int
) {
  for i in stride(from: 0, to: count, by: 8) {
    let sum = eight(y + i) + a * eight(x + i)
    UnsafeMutableRawPointer(y + i).storeBytes(of: sum, as: SIMD8<Float>.self)
  }
}

@inline(__always)
private func eight(_ x: UnsafePointer<Float>) -> SIMD8<Float> {
  UnsafeRawPointer(x).loadUnaligned(as: SIMD8<Float>.self)
}
