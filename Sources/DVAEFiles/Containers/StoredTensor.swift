/// A tensor in a file: its name, type, shape and strides, and access to its values.
///
/// Values are read only on request. The file stays mapped as long as a stored tensor or a `Tensor`
/// made from one exists.
package struct StoredTensor: Sendable {
  /// The tensor's name: `blocks.group_1.block_1.res_path.conv_1.w`.
  package let name: String
  /// The type of the elements in the file.
  package let elementType: ElementType
  /// The dimensions in the file: [O, I, H, W] for a convolution's weights, none for a scalar.
  package let shape: [Int]
  /// The distance in elements between adjacent indices of each dimension.
  package let strides: [Int]
  /// The number of elements.
  package let count: Int

  package let file: MappedFile
  /// The position of the first element in the file, in bytes.
  package let byteOffset: Int

  /// Describes a tensor in a file after checking that all elements lie in its storage.
  ///
  /// `storage` is the byte range of the tensor's storage in the file; `elementOffset` counts the
  /// storage's elements before the tensor's first. Without strides it is row-major.
  ///
  /// - Throws: `invalidTensor` or `truncated`.
  package init(
    name: String, elementType: ElementType, shape: [Int], strides: [Int]? = nil,
    file: MappedFile, storage: Range<Int>, elementOffset: Int = 0
  ) throws(DVAEError) {
    func invalid(_ problem: String) -> DVAEError {
      .invalidTensor(path: file.path, tensor: name, problem: problem)
    }
    guard shape.count <= Self.maximumRank, shape.allSatisfy({ $0 >= 0 }),
      let count = Self.product(shape)
    else { throw invalid("has the impossible shape \(shape.prefix(Self.maximumRank))") }
    let strides = strides ?? Self.rowMajorStrides(shape)
    guard strides.count == shape.count, strides.allSatisfy({ $0 >= 0 }) else {
      throw invalid("has shape \(shape) and the impossible strides \(strides)")
    }
    guard storage.lowerBound >= 0, storage.upperBound <= file.count else {
      throw .truncated(
        path: file.path, part: "tensor '\(name)'", needed: storage.count,
        available: max(0, file.count - storage.lowerBound))
    }
    let capacity = storage.count / elementType.byteCount
    guard let end = Self.end(shape, strides, offset: elementOffset), elementOffset >= 0,
      end <= capacity
    else {
      throw invalid(
        "of shape \(shape), strides \(strides) and offset \(elementOffset) "
          + "reaches beyond its storage of \(capacity) elements")
    }
    // Strides of zero repeat elements. A huge tensor of this kind could fill the memory from a few
    // bytes.
    guard count <= max(capacity, Self.maximumRepeated) else {
      throw invalid("repeats its \(capacity) stored elements to \(count)")
    }
    self.name = name
    self.elementType = elementType
    self.shape = shape
    self.strides = strides
    self.count = count
    self.file = file
    byteOffset = storage.lowerBound + elementOffset * elementType.byteCount
  }

  /// Whether the elements are contiguous in row-major order.
  package var isContiguous: Bool {
    if count == 0 { return true }
    var expected = 1
    for (extent, stride) in zip(shape, strides).reversed() where extent != 1 {
      if stride != expected { return false }
      expected *= extent
    }
    return true
  }

  /// Calls `body` with the tensor's bytes in row-major order.
  ///
  /// The bytes are the file's if they are contiguous, else a copy; they are valid only during the
  /// call.
  ///
  /// - Throws: `DVAEError.changed` if the file was truncated, and errors of `body`.
  package func withBytes<Result>(
    _ body: (UnsafeRawBufferPointer) throws -> Result
  ) throws -> Result {
    try checkFile()
    return try withUncheckedBytes(body)
  }

  /// Returns the values in row-major order as float32, converted from any element type.
  ///
  /// - Throws: `DVAEError.changed` if the file was truncated after it was opened.
  package func floats() throws(DVAEError) -> [Float] {
    try checkFile()
    return withUncheckedBytes { ElementConversion.floats($0, elementType) }
  }

  /// Returns the values of an integer tensor in row-major order, or a range of them.
  ///
  /// - Throws: `invalidTensor` for floating-point elements and for values beyond Int64; `changed`
  ///   if the file was truncated after it was opened.
  package func int64s(_ range: Range<Int>? = nil) throws(DVAEError) -> [Int64] {
    try checkFile()
    let range = range ?? 0..<count
    let size = elementType.byteCount
    let found = withUncheckedBytes { bytes in
      let part = bytes[range.lowerBound * size..<range.upperBound * size]
      return ElementConversion.int64s(UnsafeRawBufferPointer(rebasing: part), elementType)
    }
    guard let values = found else {
      throw .invalidTensor(
        path: file.path, tensor: name,
        problem: "is \(elementType.rawValue), expected integers of at most 63 bits")
    }
    return values
  }

  /// The largest rank that PyTorch and NumPy support.
  package static let maximumRank = 64
  /// The most elements that a tensor with repeated elements may have beyond its storage.
  static let maximumRepeated = 1 << 20

  package func checkFile() throws(DVAEError) {
    guard file.isIntact else { throw .changed(path: file.path) }
  }

  package func withUncheckedBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    defer { withExtendedLifetime(file) {} }
    guard isContiguous else { return try gathered().withRawBytes(body) }
    let end = byteOffset + count * elementType.byteCount
    return try body(UnsafeRawBufferPointer(rebasing: file.bytes[byteOffset..<end]))
  }

  /// Copies the elements into row-major order.
  private func gathered() -> [UInt8] {
    let size = elementType.byteCount
    return [UInt8](unsafeUninitializedCapacity: count * size) { output, initialized in
      let output = UnsafeMutableRawBufferPointer(output)
      switch size {
      case 1: gather(UInt8.self, into: output)
      case 2: gather(UInt16.self, into: output)
      case 4: gather(UInt32.self, into: output)
      default: gather(UInt64.self, into: output)
      }
      initialized = count * size
    }
  }

  private func gather<Bits: BitwiseCopyable>(
    _ type: Bits.Type, into output: UnsafeMutableRawBufferPointer
  ) {
    let size = MemoryLayout<Bits>.size
    // The stride of a dimension of size 1 has no meaning and may be arbitrary.
    let steps = zip(shape, strides).map { $0 == 1 ? 0 : $1 * size }
    guard count > 0, let row = shape.last, let step = steps.last else { return }
    var index = [Int](repeating: 0, count: shape.count - 1)
    var start = byteOffset
    for first in stride(from: 0, to: count, by: row) {
      for column in 0..<row {
        let bits = file.bytes.loadUnaligned(fromByteOffset: start + column * step, as: type)
        output.storeBytes(of: bits, toByteOffset: (first + column) * size, as: type)
      }
      // Advance to the next row: increment the other indices from the last one.
      for axis in index.indices.reversed() {
        index[axis] += 1
        start += steps[axis]
        if index[axis] < shape[axis] { break }
        start -= steps[axis] * shape[axis]
        index[axis] = 0
      }
    }
  }

  /// Returns the product of non-negative dimensions; nil on overflow.
  static func product(_ extents: [Int]) -> Int? {
    if extents.contains(0) { return 0 }
    var product = 1
    for extent in extents {
      let (next, overflow) = product.multipliedReportingOverflow(by: extent)
      if overflow { return nil }
      product = next
    }
    return product
  }

  static func rowMajorStrides(_ shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    var stride = 1
    for axis in shape.indices.reversed() {
      strides[axis] = stride
      stride = stride.multipliedReportingOverflow(by: max(1, shape[axis])).partialValue
    }
    return strides.map { max(0, $0) }
  }

  /// Returns the position after the last element; nil on overflow.
  private static func end(_ shape: [Int], _ strides: [Int], offset: Int) -> Int? {
    if shape.contains(0) { return offset }
    var last = offset
    for (extent, stride) in zip(shape, strides) {
      let (reach, tooFar) = (extent - 1).multipliedReportingOverflow(by: stride)
      let (next, overflow) = last.addingReportingOverflow(reach)
      if tooFar || overflow { return nil }
      last = next
    }
    let (end, overflow) = last.addingReportingOverflow(1)
    return overflow ? nil : end
  }
}
