// Inference in whole numbers. Between the layers of a residual branch run bytes; the residual stream
// itself stays in float32, so a branch's rounding counts only as much as its gain.

/// 8-bit activations, [N, H, W, C]: an element stands for `scale · byte`, never negative.
///
/// The scale is the reading filter's. The rule of `Tensor` holds: who makes it writes it, once.
package struct ByteTensor: Sendable {
  /// The extent, [N, H, W, C].
  package let shape: Shape
  private let storage: Tensor

  /// Takes the memory of a tensor of `ByteTensor.storage(shape)`.
  package init(_ shape: Shape, storage: Tensor) {
    precondition(
      storage.count * 4 >= shape.count, "ByteTensor: \(storage.count) words for \(shape)")
    self.shape = shape
    self.storage = storage
  }

  /// The shape of a tensor that has room for so many bytes.
  package static func storage(_ shape: Shape) -> Shape { Shape(1, 1, 1, (shape.count + 3) / 4) }

  /// The first of `shape.count` bytes, valid as long as the tensor lives.
  package var pointer: UnsafeMutablePointer<UInt8> {
    UnsafeMutableRawPointer(storage.pointer).assumingMemoryBound(to: UInt8.self)
  }

  /// The bytes as an array, in [N, H, W, C] order.
  package var array: [UInt8] { Array(UnsafeBufferPointer(start: pointer, count: shape.count)) }
}

/// What a convolution in whole numbers reads.
package enum QuantizedInput: Sendable {
  /// Bytes, as the layer before left them.
  case bytes(ByteTensor)
  /// Floats, of which 16-bit numbers are made on the way; with `relu` of max(x, 0).
  case floats(Tensor, relu: Bool)

  /// [N, H, W, C].
  package var shape: Shape {
    switch self {
    case .bytes(let x): x.shape
    case .floats(let x, _): x.shape
    }
  }
}

/// A place of the residual stream, and max(y, 0) as bytes for the layers that read it so.
package struct QuantizedOutput: Sendable {
  /// [N, H, W, C].
  package let y: Tensor
  /// The same shape; nil where they were not asked for.
  package let bytes: ByteTensor?

  /// Joins the two.
  package init(y: Tensor, bytes: ByteTensor?) {
    self.y = y
    self.bytes = bytes
  }
}

/// An engine that also computes an encoder's layers in whole numbers.
///
/// The sums are exact, and every step around them is one rounded float32 operation of a fixed order.
/// So all engines and instruction sets give the same bits, those that `ReferenceEngine` defines.
package protocol QuantizedEngine: HostEngine {
  /// A convolution's whole numbers in the engine's own layout.
  associatedtype QuantizedFilter: Sendable

  /// Prepares the weights for the operations below; which of them depends on their form.
  func makeFilter(_ weights: QuantizedWeights) -> QuantizedFilter

  /// The byte of max(sum · scaleₒ + bₒ, 0) / outputScale, by Winograd's F(4×4, 3×3).
  ///
  /// - Parameters:
  ///   - x: [N, H, W, I]
  ///   - filter: of weights in the form `.winograd`
  ///   - outputScale: what one step of the result stands for
  /// - Returns: [N, H, W, O]
  func convolution(_ x: ByteTensor, _ filter: QuantizedFilter, outputScale: Float) -> ByteTensor

  /// y = skip + gain·(sum · scaleₒ + bₒ).
  ///
  /// - Parameters:
  ///   - x: [N, H, W, I]; bytes or floats as the weights' form says
  ///   - filter: of weights in the form `.bytes` or `.pairs`
  ///   - skip: [N, H, W, O], or nil for none; the result may take its memory
  ///   - gain: multiplies what is added to the skip
  ///   - outputScale: of the bytes of max(y, 0), or nil for none
  /// - Returns: [N, H, W, O]
  func convolution(
    _ x: QuantizedInput, _ filter: QuantizedFilter, skip: Tensor?, gain: Float, outputScale: Float?
  ) -> QuantizedOutput

  /// argmax_o of a 1×1 convolution, in two steps: bytes say which outputs may be the largest, 16-bit
  /// numbers which one is.
  ///
  /// Of each `TokenSearch.group` outputs, in order, the first largest by bytes is taken; of these the
  /// `TokenSearch.candidates` largest, earlier ones first; of these the first largest by 16 bits.
  /// - Parameters:
  ///   - x: [N, H, W, I], with its bytes; of the floats max(x, 0) is read
  ///   - coarse: of weights in the form `.bytes`
  ///   - fine: the same weights in the form `.pairs`
  /// - Returns: one token in 0..<O for each position, row-major over [N, H, W].
  func argmaxConvolution(
    _ x: QuantizedOutput, coarse: QuantizedFilter, fine: QuantizedWeights
  ) -> [Int32]

  /// `maxPool2x2`, and the bytes of its result. [N, H/2, W/2, C]
  func maxPool2x2(_ x: Tensor, outputScale: Float) -> QuantizedOutput
}

/// How `QuantizedEngine.argmaxConvolution` narrows its search.
package enum TokenSearch {
  /// Outputs of which one may be the largest.
  package static let group = 64
  /// Outputs that are looked at closely.
  package static let candidates = 8
}
