/// The engine that defines every operation: plain loops, sums in double, one thread.
///
/// It is written for clarity. Every result is computed in double and rounded to float once, so
/// another engine's distance from it is that engine's own rounding error.
package struct ReferenceEngine: HostEngine {
  /// A convolution's parameters, unpacked.
  package struct Filter: Sendable {
    let shape: ConvolutionShape
    let weights: TensorSlice
    let bias: TensorSlice
  }

  /// `reference`.
  package let name = "reference"

  /// Makes the engine; it has no state.
  package init() {}

  /// Returns a tensor of undefined contents.
  package func makeTensor(_ shape: Shape) -> Tensor { Tensor(shape) }
}

// MARK: Elementwise

extension ReferenceEngine {
  /// max(x, 0); a NaN stays NaN.
  package func relu(_ x: Tensor) -> Tensor {
    map(x.shape) { rectified(x.pointer[$0]) }
  }

  /// dy where x > 0, else 0.
  package func reluBackward(_ dy: Tensor, _ x: Tensor) -> Tensor {
    requireEqual(dy.shape, x.shape, "reluBackward")
    return map(x.shape) { x.pointer[$0] > 0 ? Double(dy.pointer[$0]) : 0 }
  }

  /// y = x + gain·r.
  package func addScaled(_ x: Tensor, _ r: Tensor, gain: Float) -> Tensor {
    requireEqual(x.shape, r.shape, "addScaled")
    return map(x.shape) { Double(x.pointer[$0]) + Double(gain) * Double(r.pointer[$0]) }
  }

  /// 1 / (1 + e^−x).
  package func sigmoid(_ x: Tensor) -> Tensor {
    map(x.shape) { 1 / (1 + exponential(-Double(x.pointer[$0]))) }
  }

  /// Returns a tensor whose element i is `value(i)`, rounded.
  func map(_ shape: Shape, _ value: (Int) -> Double) -> Tensor {
    let y = makeTensor(shape)
    for i in 0..<shape.count { y.pointer[i] = Float(value(i)) }
    return y
  }

  /// max(x, 0); a NaN stays NaN.
  @inline(__always)
  func rectified(_ x: Float) -> Double { x < 0 ? 0 : Double(x) }
}

/// Traps if two shapes that an operation needs equal differ; the message names both.
func requireEqual(_ a: Shape, _ b: Shape, _ operation: StaticString) {
  precondition(a == b, "\(operation): shapes \(a) and \(b) differ")
}

/// Traps if a tensor's channel count differs from the operation's.
func requireChannels(_ x: Shape, _ channels: Int, _ operation: StaticString) {
  precondition(
    x.channels == channels, "\(operation): shape \(x) where \(channels) channels are needed")
}
