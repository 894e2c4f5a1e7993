import DVAEFiles
package import DVAETensors

/// Writes a state dict that `torch.load` can read, also with `weights_only`: float32 tensors by
/// name, in the given order.
///
/// The format is that of `torch.save` since PyTorch 1.6: a zip archive with a pickle of the names
/// and shapes, and an uncompressed, aligned member for each tensor's bytes.
///
/// - Parameters:
///   - path: the file to create or replace, atomically
///   - tensors: names, shapes and values
///   - metadata: for `WeightsFile.metadata`; `torch.load` passes over it
/// - Throws: if the file cannot be written.
package func writeTorchStateDict(
  _ path: String, tensors: [(name: String, shape: [Int], values: TensorSlice)],
  metadata: [String: String]
) throws {
  let file = try AtomicFile(path)
  var archive = StoredZipWriter(file)
  try archive.add("archive/data.pkl", StateDictPickle.bytes(tensors))
  try archive.add("archive/byteorder", Array("little".utf8))
  for (index, tensor) in tensors.enumerated() {
    try archive.add("archive/data/\(index)", UnsafeRawBufferPointer(tensor.values.elements))
  }
  try archive.add("archive/version", Array("3\n".utf8))
  try archive.add("archive/\(TorchZipReader.metadataMember)", jsonText(metadata))
  try archive.finish()
  try file.commit()
}

/// A zip archive of uncompressed members, below 4 GB.
private struct StoredZipWriter {
  private let file: AtomicFile
  private var directory: [UInt8] = []
  private var count = 0
  /// PyTorch maps the members' bytes, so they must be aligned.
  private static let alignment = 64
  private static let limit = Int(UInt32.max)

  init(_ file: AtomicFile) { self.file = file }

  mutating func add(_ name: String, _ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes { try add(name, $0) }
  }

  mutating func add(_ name: String, _ bytes: UnsafeRawBufferPointer) throws {
    let offset = file.count
    let name = Array(name.utf8)
    // The padding is an extra field, which has at least four bytes.
    let start = offset + 30 + name.count
    let padding = (2 * Self.alignment - (start + 4) % Self.alignment) % Self.alignment
    guard start + 4 + padding + bytes.count < Self.limit else {
      throw DVAEError.cannotWrite(
        path: file.path, reason: "a state dict of 4 GB and more; write safetensors instead")
    }
    let sizes =
      ZipArchive.crc32(bytes).littleEndianBytes + UInt32(bytes.count).littleEndianBytes
      + UInt32(bytes.count).littleEndianBytes
    // Version 2.0, no flags, stored, the earliest possible date.
    let head: [UInt8] = [20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0]
    let lengths = UInt16(name.count).littleEndianBytes
    try file.write(
      Array("PK\u{3}\u{4}".utf8) + head + sizes + lengths + UInt16(4 + padding).littleEndianBytes
        + name
        + Array("FB".utf8) + UInt16(padding).littleEndianBytes
        + [UInt8](repeating: 0, count: padding))
    try file.write(bytes)
    directory += Array("PK\u{1}\u{2}".utf8) + [20, 0] + head + sizes + lengths
    // No extra field, no comment, disk 0, no attributes.
    directory += [UInt8](repeating: 0, count: 12) + UInt32(offset).littleEndianBytes + name
    count += 1
  }

  func finish() throws {
    let offset = file.count
    guard offset + directory.count < Self.limit, count < UInt16.max else {
      throw DVAEError.cannotWrite(
        path: file.path, reason: "a state dict of 4 GB and more; write safetensors instead")
    }
    let counts = UInt16(count).littleEndianBytes
    try file.write(directory)
    try file.write(
      Array("PK\u{5}\u{6}".utf8) + [0, 0, 0, 0] + counts + counts
        + UInt32(directory.count).littleEndianBytes + UInt32(offset).littleEndianBytes + [0, 0])
  }
}

/// The pickle of a state dict, protocol 2.
private struct StateDictPickle {
  private var bytes: [UInt8] = [0x80, 2]

  static func bytes(
    _ tensors: [(name: String, shape: [Int], values: TensorSlice)]
  ) -> [UInt8] {
    var pickle = StateDictPickle()
    pickle.emptyOrderedDict()
    pickle.add("(")
    for (index, tensor) in tensors.enumerated() {
      pickle.text(tensor.name)
      pickle.global("torch._utils", "_rebuild_tensor_v2")
      // (storage, offset, size, stride, requires_grad, backward_hooks)
      pickle.add("(")
      pickle.add("(")
      pickle.text("storage")
      pickle.global("torch", "FloatStorage")
      pickle.text("\(index)")
      pickle.text("cpu")
      pickle.integer(tensor.values.count)
      pickle.add("tQ")
      pickle.integer(0)
      pickle.tuple(tensor.shape)
      pickle.tuple(tensor.shape.indices.map { tensor.shape[($0 + 1)...].reduce(1, *) })
      pickle.bytes.append(0x89)  // False
      pickle.emptyOrderedDict()
      pickle.add("tR")
    }
    pickle.add("u.")
    return pickle.bytes
  }

  private mutating func add(_ operations: String) { bytes += Array(operations.utf8) }

  private mutating func global(_ module: String, _ name: String) { add("c\(module)\n\(name)\n") }

  private mutating func emptyOrderedDict() {
    global("collections", "OrderedDict")
    add(")R")
  }

  private mutating func text(_ text: String) {
    add("X")
    bytes += UInt32(text.utf8.count).littleEndianBytes
    add(text)
  }

  private mutating func integer(_ value: Int) {
    if let small = Int32(exactly: value) {
      add("J")
      bytes += small.littleEndianBytes
    } else {
      bytes += [0x8A, 8] + Int64(value).littleEndianBytes
    }
  }

  private mutating func tuple(_ values: [Int]) {
    add("(")
    for value in values { integer(value) }
    add("t")
  }
}
