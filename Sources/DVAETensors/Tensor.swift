/// A block of float32 in [N, H, W, C] order, aligned to 64 bytes.
///
/// A tensor is a reference that any holder may write through `pointer`. Sharing is safe because all
/// engines follow one rule: an operation writes only the tensor that it makes or that its
/// documentation names as written, and no thread reads a tensor while another writes it. Hence the
/// unchecked `Sendable`, without a lock.
package final class Tensor: @unchecked Sendable {
  /// The shape, [N, H, W, C].
  package let shape: Shape
  /// The first of `shape.count` elements, valid as long as the tensor lives.
  package let pointer: UnsafeMutablePointer<Float>
  private let release: @Sendable (UnsafeMutablePointer<Float>) -> Void

  /// Allocates a tensor whose contents are undefined.
  package convenience init(_ shape: Shape) {
    self.init(shape, adopting: allocateFloats(shape.count)) { $0.deallocate() }
  }

  /// Wraps memory of another owner; `release` is called once, when the tensor is freed.
  ///
  /// Used for weights mapped from a file and for recycled buffers.
  package init(
    _ shape: Shape, adopting pointer: UnsafeMutablePointer<Float>,
    release: @escaping @Sendable (UnsafeMutablePointer<Float>) -> Void
  ) {
    self.shape = shape
    self.pointer = pointer
    self.release = release
  }

  deinit { release(pointer) }

  /// The number of elements.
  package var count: Int { shape.count }

  /// The elements, valid as long as the tensor lives.
  package var elements: UnsafeMutableBufferPointer<Float> {
    UnsafeMutableBufferPointer(start: pointer, count: count)
  }

  /// A range of the elements, in flat indices.
  package subscript(range: Range<Int>) -> TensorSlice { TensorSlice(self, range) }

  /// All elements as a slice.
  package var all: TensorSlice { TensorSlice(self, 0..<count) }
}

extension Tensor {
  /// Allocates a tensor filled with one value.
  package convenience init(_ shape: Shape, repeating value: Float) {
    self.init(shape)
    elements.initialize(repeating: value)
  }

  /// Copies values in [N, H, W, C] order.
  package convenience init(_ shape: Shape, _ values: some Collection<Float>) {
    precondition(
      values.count == shape.count, "Tensor: \(values.count) values for shape \(shape)")
    self.init(shape)
    _ = elements.initialize(fromContentsOf: values)
  }

  /// The elements as an array, in [N, H, W, C] order.
  package var array: [Float] { Array(elements) }
}

/// A contiguous part of a tensor, such as one parameter in its arena.
package struct TensorSlice: Sendable {
  /// The tensor that owns the memory.
  package let tensor: Tensor
  /// Flat indices into the tensor.
  package let range: Range<Int>

  /// Makes the slice of `tensor` at the flat indices `range`.
  package init(_ tensor: Tensor, _ range: Range<Int>) {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= tensor.count,
      "TensorSlice: \(range) of \(tensor.count) elements")
    self.tensor = tensor
    self.range = range
  }

  /// The number of elements.
  package var count: Int { range.count }

  /// The first element of the slice; valid as long as the tensor lives.
  package var pointer: UnsafeMutablePointer<Float> { tensor.pointer + range.lowerBound }

  /// The elements, valid as long as the tensor lives.
  package var elements: UnsafeMutableBufferPointer<Float> {
    UnsafeMutableBufferPointer(start: pointer, count: count)
  }
}
