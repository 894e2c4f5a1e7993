package import DVAEFiles

extension NpyArray {
  /// Writes values in row-major order to a `.npy` file.
  package static func write(_ values: [some NpyElement], shape: [Int], to path: String) throws {
    try AtomicFile.write(encoded(values, shape: shape), to: path)
  }
}

extension Double: NpyElement {
  package static var elementType: ElementType { .float64 }
}

extension UInt8: NpyElement {
  package static var elementType: ElementType { .uint8 }
}

extension Int32: NpyElement {
  package static var elementType: ElementType { .int32 }
}

extension Int64: NpyElement {
  package static var elementType: ElementType { .int64 }
}

extension SafetensorsEntry {
  /// A tensor of float32.
  package init(_ name: String, shape: [Int], floats: [Float]) {
    self.init(name, .float32, shape: shape, .floats(floats))
  }

  /// A tensor of another file, converted to float32 on request.
  package init(_ tensor: StoredTensor, name: String? = nil, asFloats: Bool = false) throws {
    self.init(
      name ?? tensor.name, asFloats ? .float32 : tensor.elementType, shape: tensor.shape,
      asFloats ? .floats(try tensor.floats()) : .bytes(try tensor.withBytes(Array.init)))
  }
}

extension SafetensorsEntry.Contents {
  /// Values in row-major order.
  package static func floats(_ values: [Float]) -> Self {
    .lent(count: values.count) { try values.withUnsafeBufferPointer($0) }
  }
}

/// Returns whether an archive has its end mark.
package func isTerminated(tar path: String) throws -> Bool {
  var tar = try TarReader(path: path)
  while try tar.next() != nil {}
  return tar.isTerminated
}
