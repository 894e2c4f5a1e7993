/// A tensor to be written into a safetensors file.
package struct SafetensorsEntry: Sendable {
  /// The source of the values; none is copied before it is written.
  package enum Contents: Sendable {
    /// Values in row-major order, converted to the element type; the function lends them.
    case lent(
      count: Int,
      _ lend: @Sendable ((UnsafeBufferPointer<Float>) throws -> Void) throws -> Void)
    /// The bytes in their final form: row-major, little-endian.
    case bytes([UInt8])
  }

  /// The tensor's name.
  package let name: String
  /// The element type in the file; conversions to float32 and float16 are supported.
  package let elementType: ElementType
  /// The dimensions: [O, I, H, W] for a convolution's weights.
  package let shape: [Int]
  /// The values.
  package let contents: Contents

  /// Describes a tensor to be written.
  package init(_ name: String, _ elementType: ElementType, shape: [Int], _ contents: Contents) {
    self.name = name
    self.elementType = elementType
    self.shape = shape
    self.contents = contents
  }
}

/// Writes a safetensors file, tensor by tensor and atomically (see `AtomicFile`).
///
/// Wider element types come first, otherwise the given order is kept, without gaps as the format
/// demands. The data begin at a multiple of 64 bytes, so that a reader can map the file without a
/// copy.
///
/// - Parameters:
///   - path: the file to create or replace.
///   - tensors: the tensors; the names must differ.
///   - metadata: strings for the header's `__metadata__`.
/// - Throws: `duplicateTensor` or `invalidTensor` before anything is written; `cannotCreate`,
///   `cannotWrite`.
package func writeSafetensors(
  _ path: String, tensors: [SafetensorsEntry], metadata: [String: String] = [:]
) throws(DVAEError) {
  // A stable sort: tensors of the same element size keep their order.
  let ordered = tensors.enumerated().sorted {
    ($1.element.elementType.byteCount, $0.offset) < ($0.element.elementType.byteCount, $1.offset)
  }.map(\.element)
  var layout = SafetensorsLayout()
  var names: Set<Key> = []
  for tensor in ordered {
    guard names.insert(Key(tensor.name)).inserted else {
      throw .duplicateTensor(path: path, tensor: tensor.name)
    }
    try tensor.check(path)
    layout.add(tensor.name, tensor.elementType, shape: tensor.shape)
  }
  let json = layout.json(metadata: metadata, alignment: 64)
  guard json.count <= Safetensors.maximumHeader else {
    throw .limitExceeded(
      path: path, what: "a safetensors header of \(json.count) bytes",
      limit: Safetensors.maximumHeader)
  }
  let file = try AtomicFile(path)
  try file.write(SafetensorsLayout.head(json))
  for tensor in ordered { try tensor.write(to: file) }
  try file.commit()
}

extension SafetensorsEntry {
  /// Checks that the contents fit the shape.
  fileprivate func check(_ path: String) throws(DVAEError) {
    guard name != "__metadata__", shape.allSatisfy({ $0 >= 0 }),
      let count = StoredTensor.product(shape), count <= Int.max / 16
    else {
      throw invalid("cannot be written with the shape \(shape)", path)
    }
    let available =
      switch contents {
      case .lent(let count, _): count
      case .bytes(let bytes):
        bytes.count % elementType.byteCount == 0 ? bytes.count / elementType.byteCount : -1
      }
    guard available == count else {
      throw invalid("of shape \(shape) needs \(count) elements, found \(available)", path)
    }
    if case .lent = contents, ![.float32, .float16].contains(elementType) {
      throw invalid("cannot be converted to \(elementType.rawValue)", path)
    }
  }

  fileprivate func write(to file: AtomicFile) throws(DVAEError) {
    switch contents {
    case .bytes(let bytes): try file.write(bytes)
    case .lent(let count, let lend):
      do {
        try lend { values in
          guard values.count == count else { throw invalid("has changed its size", file.path) }
          try write(values, to: file)
        }
      } catch {
        throw DVAEError(error).about(file.path)
      }
    }
  }

  /// Writes floats as float32 or float16, the latter in pieces.
  private func write(
    _ values: UnsafeBufferPointer<Float>, to file: AtomicFile
  ) throws(DVAEError) {
    guard elementType == .float16 else {
      return try file.write(UnsafeRawBufferPointer(values))
    }
    for start in stride(from: 0, to: values.count, by: 1 << 16) {
      let piece = values[start..<min(start + (1 << 16), values.count)]
      if let large = piece.first(where: { $0.isFinite && $0.magnitude >= 65_520 }) {
        throw invalid(
          "holds \(large), beyond the 65504 that float16 can; write float32", file.path)
      }
      let halves = piece.map { ElementConversion.halfBits($0).littleEndian }
      try halves.withRawBytes { (bytes) throws(DVAEError) in try file.write(bytes) }
    }
  }

  private func invalid(_ problem: String, _ path: String) -> DVAEError {
    .invalidTensor(path: path, tensor: name, problem: problem)
  }
}
