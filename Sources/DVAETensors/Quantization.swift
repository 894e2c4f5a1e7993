// int8 inference. The layers of a residual branch exchange bytes; the residual stream stays in
// float32, so a branch's rounding errors are scaled down by its gain.

/// 8-bit activations, [N, H, W, C]: an element represents `scale · byte` and is never negative.
///
/// The filter that reads them holds the scale. As with `Tensor`, only the creator writes it, once.
package struct ByteTensor: Sendable {
  /// The shape, [N, H, W, C].
  package let shape: Shape
  private let storage: Tensor

  /// Takes the memory of a tensor of `ByteTensor.storage(shape)`.
  package init(_ shape: Shape, storage: Tensor) {
    precondition(
      storage.count * 4 >= shape.count, "ByteTensor: \(storage.count) words for \(shape)")
    self.shape = shape
    self.storage = storage
  }

  /// Returns the shape of a tensor with room for these bytes.
  package static func storage(_ shape: Shape) -> Shape { Shape(1, 1, 1, (shape.count + 3) / 4) }

  /// The first of `shape.count` bytes, valid as long as the tensor lives.
  package var pointer: UnsafeMutablePointer<UInt8> {
    UnsafeMutableRawPointer(storage.pointer).assumingMemoryBound(to: UInt8.self)
  }

  /// The bytes as an array, in [N, H, W, C] order.
  package var array: [UInt8] { Array(UnsafeBufferPointer(start: pointer, count: shape.count)) }
}

/// The input of a quantised convolution.
package enum QuantizedInput: Sendable {
  /// Bytes from the layer before.
  case bytes(ByteTensor)
  /// Floats, quantised to int16 on the fly; with `relu`, max(x, 0) is read.
  case floats(Tensor, relu: Bool)

  /// [N, H, W, C].
  package var shape: Shape {
    switch self {
    case .bytes(let x): x.shape
    case .floats(let x, _): x.shape
    }
  }
}

/// A point of the residual stream, and max(y, 0) as bytes for the layers that read bytes.
package struct QuantizedOutput: Sendable {
  /// [N, H, W, C].
  package let y: Tensor
  /// The same shape; nil if they were not requested.
  package let bytes: ByteTensor?

  package init(y: Tensor, bytes: ByteTensor?) {
    self.y = y
    self.bytes = bytes
  }
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

  /// Returns the byte of max(sum · scaleₒ + bₒ, 0) / outputScale, by Winograd's F(4×4, 3×3).
  ///
  /// - Parameters:
  ///   - x: [N, H, W, I]
  ///   - filter: weights in the form `.winograd`
  ///   - outputScale: the value of one step of the result
  /// - Returns: [N, H, W, O]
  func convolution(_ x: ByteTensor, _ filter: QuantizedFilter, outputScale: Float) -> ByteTensor

  /// y = skip + gain·(sum · scaleₒ + bₒ).
  ///
  /// - Parameters:
  ///   - x: [N, H, W, I]; bytes or floats, as the weights' form demands
  ///   - filter: weights in the form `.bytes` or `.pairs`
  ///   - skip: [N, H, W, O], or nil; the result may reuse its memory
  ///   - gain: the factor of the sum that is added to the skip
  ///   - outputScale: the scale of the bytes of max(y, 0); nil if no bytes are needed
  /// - Returns: [N, H, W, O]
  func convolution(
    _ x: QuantizedInput, _ filter: QuantizedFilter, skip: Tensor?, gain: Float, outputScale: Float?
  ) -> QuantizedOutput

  /// `maxPool2x2` of y of that convolution, and the bytes of the result. [N, H/2, W/2, O]
  func pooledConvolution(
    _ x: QuantizedInput, _ filter: QuantizedFilter, skip: Tensor?, gain: Float, outputScale: Float
  ) -> QuantizedOutput

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
    _ x: QuantizedOutput, coarse: QuantizedFilter, fine: QuantizedWeights
  ) -> [Int32]
}

/// The sizes of the search in `QuantizedEngine.argmaxConvolution`.
package enum TokenSearch {
  /// Outputs of which only one becomes a candidate.
  package static let group = 64
  /// Candidates that are compared in int16.
  package static let candidates = 8
}
