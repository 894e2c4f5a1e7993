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

/// Returns whether an archive has its end mark.
package func isTerminated(tar path: String) throws -> Bool {
  var tar = try TarReader(path: path)
  while try tar.next() != nil {}
  return tar.isTerminated
}
