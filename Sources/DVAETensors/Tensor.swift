/// A block of float32 in [N, H, W, C] order, aligned to 64 bytes.
///
/// A tensor is a reference: whoever holds it may write through `pointer`. The engines follow one
/// rule that makes this safe to share: an operation writes only the tensor that it makes or that
/// its documentation names as written, and no tensor is written while another thread reads it.
/// That rule is why the class may be `Sendable` without a lock.
package final class Tensor: @unchecked Sendable {
  /// The extent, [N, H, W, C].
  package let shape: Shape
  /// The first of `shape.count` elements, valid as long as the tensor lives.
  package let pointer: UnsafeMutablePointer<Float>
  private let release: @Sendable (UnsafeMutablePointer<Float>) -> Void

  /// Allocates a tensor whose contents are undefined.
  package convenience init(_ shape: Shape) {
    self.init(shape, adopting: allocateFloats(shape.count)) { $0.deallocate() }
  }

  /// Wraps memory that somebody else owns; `release` is called once, when the tensor dies.
  ///
  /// Weights mapped from a file and recycled buffers arrive this way.
  package init(
    _ shape: Shape, adopting pointer: UnsafeMutablePointer<Float>,
    release: @escaping @Sendable (UnsafeMutablePointer<Float>) -> Void
  ) {
    self.shape = shape
    self.pointer = pointer
    self.release = release
  }

  deinit { release(pointer) }

  /// Elements in all.
  package var count: Int { shape.count }

  /// The elements, valid as long as the tensor lives.
  package var elements: UnsafeMutableBufferPointer<Float> {
    UnsafeMutableBufferPointer(start: pointer, count: count)
  }

  /// The part of the elements that a range of flat indices names.
  package subscript(range: Range<Int>) -> TensorSlice { TensorSlice(self, range) }

  /// All of the elements as a slice.
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

/// A contiguous part of a tensor: one parameter within its arena, say.
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

  /// Elements in the slice.
  package var count: Int { range.count }

  /// The first element of the slice; valid as long as the tensor lives.
  package var pointer: UnsafeMutablePointer<Float> { tensor.pointer + range.lowerBound }

  /// The elements, valid as long as the tensor lives.
  package var elements: UnsafeMutableBufferPointer<Float> {
    UnsafeMutableBufferPointer(start: pointer, count: count)
  }
}
