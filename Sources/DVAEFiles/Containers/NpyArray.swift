/// `.npy` files, NumPy's own format: one array each, as a stored tensor without a name, whose strides
/// distinguish row-major from column-major.
package enum NpyArray {
  /// Maps the array of a file.
  ///
  /// - Throws: `DVAEError` if the file is missing or malformed.
  package static func open(_ path: String) throws(DVAEError) -> StoredTensor {
    try stored(try MappedFile(path: path))
  }

  /// Parses an array from memory, such as a member of an archive.
  ///
  /// `path` is its name in errors.
  ///
  /// - Throws: `DVAEError` if the bytes are malformed.
  package static func parse(_ bytes: [UInt8], path: String) throws(DVAEError) -> StoredTensor {
    try stored(try MappedFile(copying: bytes, path: path))
  }

  private static func stored(_ file: MappedFile) throws(DVAEError) -> StoredTensor {
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
    return try StoredTensor(
      name: "", elementType: header.elementType, shape: header.shape,
      strides: header.isColumnMajor ? rowMajor.reversed() : rowMajor, file: file,
      storage: cursor.offset..<file.count)
  }

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

extension UInt16: NpyElement {
  /// `uint16`.
  package static var elementType: ElementType { .uint16 }
}
