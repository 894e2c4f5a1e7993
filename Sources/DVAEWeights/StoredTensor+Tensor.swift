package import DVAEFiles
package import DVAETensors

extension StoredTensor {
  /// Returns the values as a tensor of shape [1, 1, 1, count], in the order of the file's own
  /// shape.
  ///
  /// Contiguous, aligned float32 is not copied: the tensor is the mapped file, copy-on-write.
  /// Everything else is converted.
  package func tensor() -> Tensor {
    let extent = Shape(1, 1, 1, count)
    if elementType == .float32, isContiguous, count > 0, let base = file.bytes.baseAddress,
      Int(bitPattern: base + byteOffset) % MemoryLayout<Float>.alignment == 0
    {
      let start = (base + byteOffset).bindMemory(to: Float.self, capacity: count)
      let file = file
      return Tensor(extent, adopting: start) { _ in withExtendedLifetime(file) {} }
    }
    let tensor = Tensor(extent)
    withUncheckedBytes { ElementConversion.convert($0, elementType, to: tensor.elements) }
    return tensor
  }
}

extension SafetensorsEntry.Contents {
  /// Values in row-major order from a tensor, converted to the element type.
  package static func slice(_ slice: TensorSlice) -> Self {
    .lent(count: slice.count) { try $0(UnsafeBufferPointer(slice.elements)) }
  }
}
