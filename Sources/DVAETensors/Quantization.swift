// int8 inference. The layers of a residual branch exchange bytes; the residual stream stays in
// float32, so a branch's rounding errors are scaled down by its gain.

/// 8-bit activations, [N, H, W, C]: an element represents `scale · byte` and is never negative.
///
/// The filter that reads them holds the scale. As with `Tensor`, only the creator writes it, once.
package struct ByteTensor: Sendable {
  /// The shape, [N, H, W, C].
  package let shape: Shape
  private let storage: Tensor

  /// Makes bytes of undefined contents, in the memory of a tensor that `allocate` makes.
  package init(_ shape: Shape, _ allocate: (Shape) -> Tensor = { Tensor($0) }) {
    self.shape = shape
    storage = allocate(Shape(1, 1, 1, (shape.count + 3) / 4))
  }

  /// The first of `shape.count` bytes, valid as long as the tensor lives.
  package var pointer: UnsafeMutablePointer<UInt8> {
    UnsafeMutableRawPointer(storage.pointer).assumingMemoryBound(to: UInt8.self)
  }

  /// The bytes as an array, in [N, H, W, C] order.
  package var array: [UInt8] { Array(UnsafeBufferPointer(start: pointer, count: shape.count)) }
}

/// An activation of an int8 network: floats in the residual stream, bytes in the branches, at the
/// beginning of a branch both.
package struct QuantizedValue: Sendable {
  /// [N, H, W, C]; nil inside of a branch.
  package let floats: Tensor?
  /// The bytes of max(x, 0), of the same shape; nil if no layer reads them.
  package let bytes: ByteTensor?

  package init(floats: Tensor? = nil, bytes: ByteTensor? = nil) {
    self.floats = floats
    self.bytes = bytes
  }

  /// The floats, for a layer that reads them.
  package var requiredFloats: Tensor {
    guard let floats else { preconditionFailure("QuantizedValue: no floats") }
    return floats
  }

  /// The bytes, for a layer that reads them.
  package var requiredBytes: ByteTensor {
    guard let bytes else { preconditionFailure("QuantizedValue: no bytes") }
    return bytes
  }

  /// [N, H, W, C].
  package var shape: Shape { floats?.shape ?? requiredBytes.shape }
}

/// An engine that can also compute the layers of an int8 encoder.
///
/// The sums are exact, and every other step is one rounded float32 operation in a fixed order. So
/// all engines and instruction sets give the bits that `ReferenceEngine` defines.
package protocol QuantizedEngine: HostEngine {
  /// A convolution's integer weights in the engine's own layout.
  associatedtype QuantizedFilter: Sendable

  /// Prepares the weights for the operations below that accept their form.
  func makeFilter(_ weights: QuantizedWeights) -> QuantizedFilter

  /// y = skip + gain·(sum · scaleₒ + bₒ), and the bytes of max(y, 0) / outputScale.
  ///
  /// Weights in the form `.winograd` sum by F(4×4, 3×3) and give bytes alone, without skip and gain.
  ///
  /// - Parameters:
  ///   - x: [N, H, W, I]; read are floats by weights in the form `.pairs`, bytes by others
  ///   - filter: the weights
  ///   - skip: [N, H, W, O], or nil; the result may reuse its memory
  ///   - gain: the factor of the sum that is added to the skip
  ///   - outputScale: the value of one step of the bytes; nil if no bytes are needed
  /// - Returns: [N, H, W, O]
  func convolution(
    _ x: QuantizedValue, _ filter: QuantizedFilter, skip: Tensor?, gain: Float, outputScale: Float?
  ) -> QuantizedValue

  /// `maxPool2x2` of y of that convolution, not by Winograd, and the bytes of the result. [N, H/2, W/2, O]
  func pooledConvolution(
    _ x: QuantizedValue, _ filter: QuantizedFilter, skip: Tensor?, gain: Float, outputScale: Float
  ) -> QuantizedValue

  /// argmax_o of a 1×1 convolution in two steps: int8 selects candidates, int16 decides among them.
  ///
  /// From each group of `TokenSearch.group` consecutive outputs the largest by int8 is taken; of
  /// these the `TokenSearch.candidates` largest; of these the largest by int16. Of equal ones the
  /// lower wins.
  /// - Parameters:
  ///   - x: [N, H, W, I] with its bytes; of the floats, max(x, 0) is read
  ///   - coarse: weights in the form `.bytes`
  ///   - fine: the same weights in the form `.pairs`
  /// - Returns: one token in 0..<O for each position, row-major over [N, H, W].
  func argmaxConvolution(
    _ x: QuantizedValue, coarse: QuantizedFilter, fine: QuantizedWeights
  ) -> [Int32]
}

/// The sizes of the search in `QuantizedEngine.argmaxConvolution`.
package enum TokenSearch {
  /// Outputs of which only one becomes a candidate.
  package static let group = 64
  /// Candidates that are compared in int16.
  package static let candidates = 8
}
