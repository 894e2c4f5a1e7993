/// An array of a `.npy` file, NumPy's own format.
package struct NpyArray: Sendable {
  /// The array as a stored tensor without a name; its strides distinguish row-major from
  /// column-major.
  package let stored: StoredTensor

  /// The type of the elements.
  package var elementType: ElementType { stored.elementType }
  /// The dimensions: [N, H/8, W/8] for tokens.
  package var shape: [Int] { stored.shape }
  /// The number of elements.
  package var count: Int { stored.count }

  /// Maps the array of a file.
  ///
  /// - Throws: `DVAEError` if the file is missing or malformed.
  package static func open(_ path: String) throws(DVAEError) -> NpyArray {
    try NpyArray(try MappedFile(path: path))
  }

  /// Parses an array from memory, such as a member of an archive.
  ///
  /// `path` is its name in errors.
  ///
  /// - Throws: `DVAEError` if the bytes are malformed.
  package static func parse(_ bytes: [UInt8], path: String) throws(DVAEError) -> NpyArray {
    try NpyArray(try MappedFile(copying: bytes, path: path))
  }

  private init(_ file: MappedFile) throws(DVAEError) {
    var cursor = try ByteCursor(file, part: "the .npy header", count: file.count)
    let header = try NpyHeader(&cursor)
    guard let count = StoredTensor.product(header.shape) else {
      throw .malformed(
        path: file.path, problem: "the array has the impossible shape \(header.shape)")
    }
    let (size, overflow) = count.multipliedReportingOverflow(by: header.elementType.byteCount)
    guard !overflow, size <= cursor.remaining else {
      throw .truncated(
        path: file.path, part: "the array of shape \(header.shape)",
        needed: overflow ? .max : size, available: cursor.remaining)
    }
    guard size == cursor.remaining else {
      throw .malformed(
        path: file.path,
        problem: "\(cursor.remaining - size) bytes follow the array of shape \(header.shape)")
    }
    let rowMajor = StoredTensor.rowMajorStrides(
      header.isColumnMajor ? header.shape.reversed() : header.shape)
    stored = try StoredTensor(
      name: "", elementType: header.elementType, shape: header.shape,
      strides: header.isColumnMajor ? rowMajor.reversed() : rowMajor, file: file,
      storage: cursor.offset..<file.count)
  }

  /// Returns the values in row-major order as float32.
  ///
  /// - Throws: `DVAEError.changed` if the file was truncated after it was opened.
  package func floats() throws(DVAEError) -> [Float] { try stored.floats() }

  /// Returns the values of an integer array in row-major order.
  ///
  /// - Throws: `invalidTensor` for an array of floating-point numbers; `changed` if the file was
  ///   truncated after it was opened.
  package func int64s() throws(DVAEError) -> [Int64] { try stored.int64s() }

  /// Returns the bytes of a `.npy` file with values in row-major order, as many as the shape has
  /// elements.
  package static func encoded<Element: NpyElement>(_ values: [Element], shape: [Int]) -> [UInt8] {
    precondition(
      shape.allSatisfy { $0 >= 0 } && StoredTensor.product(shape) == values.count,
      "NpyArray: \(values.count) values for shape \(shape)")
    // Every NpyElement has a name in NumPy, so the header cannot fail.
    let header = (try? NpyHeader(Element.elementType, shape: shape).encoded()) ?? []
    return header + values.withUnsafeBytes(Array.init)
  }

  /// Writes values in row-major order to a `.npy` file, atomically; as many as the shape has
  /// elements.
  ///
  /// - Throws: `cannotCreate` or `cannotWrite`.
  package static func write<Element: NpyElement>(
    _ values: [Element], shape: [Int], to path: String
  ) throws(DVAEError) {
    try AtomicFile.write(encoded(values, shape: shape), to: path)
  }
}

/// A number that `.npy` files can hold.
package protocol NpyElement: BitwiseCopyable, Sendable {
  /// The type's name in a file.
  static var elementType: ElementType { get }
}

extension Float: NpyElement {
  /// `float32`.
  package static var elementType: ElementType { .float32 }
}

extension Double: NpyElement {
  /// `float64`.
  package static var elementType: ElementType { .float64 }
}

extension UInt8: NpyElement {
  /// `uint8`.
  package static var elementType: ElementType { .uint8 }
}

extension UInt16: NpyElement {
  /// `uint16`.
  package static var elementType: ElementType { .uint16 }
}

extension Int32: NpyElement {
  /// `int32`.
  package static var elementType: ElementType { .int32 }
}

extension Int64: NpyElement {
  /// `int64`.
  package static var elementType: ElementType { .int64 }
}
