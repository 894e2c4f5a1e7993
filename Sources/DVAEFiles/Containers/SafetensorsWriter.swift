/// A tensor to be written into a safetensors file.
package struct SafetensorsEntry: Sendable {
  /// The source of the values; none is copied before it is written.
  package enum Contents: Sendable {
    /// Values in row-major order, converted to the element type.
    case floats([Float])
    /// Values in row-major order in other memory, converted to the element type; the function lends
    /// them.
    case lent(
      count: Int,
      _ lend: @Sendable ((UnsafeBufferPointer<Float>) throws -> Void) throws -> Void)
    /// The values of a tensor in another file, converted if the type differs.
    case stored(StoredTensor)
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

  /// A tensor of float32.
  package init(_ name: String, shape: [Int], floats: [Float]) {
    self.init(name, .float32, shape: shape, .floats(floats))
  }

  /// A tensor of another file, converted if another element type is given.
  package init(_ tensor: StoredTensor, name: String? = nil, as elementType: ElementType? = nil) {
    self.init(
      name ?? tensor.name, elementType ?? tensor.elementType, shape: tensor.shape, .stored(tensor))
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
  let writer = SafetensorsWriter(path: path)
  let head = try writer.head(ordered, metadata)
  let file = try AtomicFile(path)
  try file.write(head)
  for tensor in ordered { try writer.write(tensor, to: file) }
  try file.commit()
}

private struct SafetensorsWriter {
  let path: String

  /// Returns the header's length and its JSON.
  func head(
    _ tensors: [SafetensorsEntry], _ metadata: [String: String]
  ) throws(DVAEError) -> [UInt8] {
    var layout = SafetensorsLayout()
    var names: Set<Key> = []
    for tensor in tensors {
      guard names.insert(Key(tensor.name)).inserted else {
        throw .duplicateTensor(path: path, tensor: tensor.name)
      }
      try check(tensor)
      layout.add(tensor.name, tensor.elementType, shape: tensor.shape)
    }
    let json = layout.json(metadata: metadata, alignment: 64)
    guard json.count <= Safetensors.maximumHeader else {
      throw .limitExceeded(
        path: path, what: "a safetensors header of \(json.count) bytes",
        limit: Safetensors.maximumHeader)
    }
    return SafetensorsLayout.head(json)
  }

  /// Checks that a tensor's contents fit its shape.
  private func check(_ tensor: SafetensorsEntry) throws(DVAEError) {
    let size = tensor.elementType.byteCount
    guard tensor.name != "__metadata__", tensor.shape.allSatisfy({ $0 >= 0 }),
      let count = StoredTensor.product(tensor.shape), count <= Int.max / 16
    else {
      throw invalid(tensor, "cannot be written with the shape \(tensor.shape)")
    }
    let available: Int
    var convertible = [.float32, .float16].contains(tensor.elementType)
    switch tensor.contents {
    case .floats(let values): available = values.count
    case .lent(let count, _): available = count
    case .stored(let stored):
      available = stored.count
      convertible = convertible || stored.elementType == tensor.elementType
    case .bytes(let bytes):
      available = bytes.count % size == 0 ? bytes.count / size : -1
      convertible = true
    }
    guard available == count else {
      throw invalid(tensor, "of shape \(tensor.shape) needs \(count) elements, found \(available)")
    }
    guard convertible else {
      throw invalid(tensor, "cannot be converted to \(tensor.elementType.rawValue)")
    }
  }

  func write(_ tensor: SafetensorsEntry, to file: AtomicFile) throws(DVAEError) {
    switch tensor.contents {
    case .bytes(let bytes): try file.write(bytes)
    case .floats(let values):
      try values.withUnsafeBufferPointer { (values) throws(DVAEError) in
        try write(values, of: tensor, to: file)
      }
    case .lent(let count, let lend):
      do {
        try lend { values in
          guard values.count == count else { throw invalid(tensor, "has changed its size") }
          try write(values, of: tensor, to: file)
        }
      } catch {
        throw DVAEError(error).about(path)
      }
    case .stored(let stored) where stored.elementType == tensor.elementType:
      try stored.checkFile()
      try stored.withUncheckedBytes { (bytes) throws(DVAEError) in try file.write(bytes) }
    case .stored(let stored):
      try stored.floats().withUnsafeBufferPointer { (values) throws(DVAEError) in
        try write(values, of: tensor, to: file)
      }
    }
  }

  /// Writes floats as float32 or float16, the latter in pieces.
  private func write(
    _ values: UnsafeBufferPointer<Float>, of tensor: SafetensorsEntry, to file: AtomicFile
  ) throws(DVAEError) {
    guard tensor.elementType == .float16 else {
      return try file.write(UnsafeRawBufferPointer(values))
    }
    for start in stride(from: 0, to: values.count, by: 1 << 16) {
      let piece = values[start..<min(start + (1 << 16), values.count)]
      if let large = piece.first(where: { $0.isFinite && $0.magnitude >= 65_520 }) {
        throw invalid(tensor, "holds \(large), beyond the 65504 that float16 can; write float32")
      }
      let halves = piece.map { ElementConversion.halfBits($0).littleEndian }
      try halves.withRawBytes { (bytes) throws(DVAEError) in try file.write(bytes) }
    }
  }

  private func invalid(_ tensor: SafetensorsEntry, _ problem: String) -> DVAEError {
    .invalidTensor(path: path, tensor: tensor.name, problem: problem)
  }
}
