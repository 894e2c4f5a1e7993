import DVAEFiles

/// Reads the format of `torch.save` since PyTorch 1.6: a zip archive with the pickle `data.pkl` and
/// one uncompressed entry per storage.
enum TorchZipReader {
  /// The member with the metadata of state dicts that this package has written.
  static let metadataMember = "dvae.json"
  /// In bytes.
  private static let metadataLimit = 1 << 20

  static func read(_ file: MappedFile) throws(DVAEError) -> WeightsFile {
    let archive = try ZipArchive(file, for: .weights)
    guard let pickle = archive.entries.first(where: { isPickle($0.name) }) else {
      let arrays = archive.entries.contains { $0.name.hasSuffix(".npy") }
      throw .unrecognised(
        path: file.path,
        found: arrays ? "a NumPy .npz archive" : "a zip archive without a data.pkl; unpack it first"
      )
    }
    let folder = pickle.name.dropLast("data.pkl".count)
    guard try archive.entry("\(folder)constants.pkl") == nil else {
      throw .unsupported(
        path: file.path, what: "a TorchScript program",
        advice: "save the model's state_dict with torch.save")
    }
    if let order = try archive.entry("\(folder)byteorder"),
      file.bytes[order.range].elementsEqual("big".utf8)
    {
      throw bigEndian(file)
    }
    try archive.verify(pickle)
    var cursor = try ByteCursor(
      file, part: "the pickle", from: pickle.range.lowerBound, count: pickle.range.count)
    let machine = try PickleMachine(&cursor)
    var ranges: [Key: Range<Int>] = [:]
    for storage in machine.storages {
      guard let entry = try archive.entry("\(folder)data/\(storage.key)") else {
        throw .malformed(path: file.path, problem: "there is no storage '\(storage.key)'")
      }
      let (needed, overflow) = storage.count.multipliedReportingOverflow(
        by: storage.elements.byteCount)
      guard !overflow, needed == entry.range.count else {
        throw .malformed(
          path: file.path,
          problem:
            "the storage '\(storage.key)' of \(storage.count) \(storage.elements.name) "
            + "elements has \(entry.range.count) bytes")
      }
      ranges[storage.key] = entry.range
    }
    return try weights(
      file, .pytorchZip, try PickledTensors(machine), ranges, archive,
      metadata: try metadata(archive, file, below: String(folder)))
  }

  private static func metadata(
    _ archive: ZipArchive, _ file: MappedFile, below folder: String
  ) throws(DVAEError) -> [Key: String] {
    guard let entry = try archive.entry(folder + metadataMember) else { return [:] }
    guard entry.range.count <= metadataLimit else {
      throw .limitExceeded(
        path: file.path, what: "bytes of '\(metadataMember)'", limit: metadataLimit)
    }
    try archive.verify(entry)
    guard let found = try? decodedJSON([String: String].self, file.bytes[entry.range]) else {
      throw .malformed(path: file.path, problem: "'\(metadataMember)' is not an object of texts")
    }
    return Dictionary(found.map { (Key($0), $1) }) { $1 }
  }

  /// Returns whether a name is `data.pkl` at the top or in the archive's only folder.
  private static func isPickle(_ name: String) -> Bool {
    let parts = name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    return parts.count <= 2 && parts.last?.elementsEqual("data.pkl".utf8) == true
  }
}

/// Reads the format of `torch.save` before PyTorch 1.6: five pickles (a magic number, the protocol
/// version, facts about the machine, the object, the keys of the storages), then each storage as
/// its number of elements and its bytes.
enum TorchLegacyReader {
  private static let magic: [UInt8] = [0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19]
  private static let version = 1001

  static func read(_ file: MappedFile) throws(DVAEError) -> WeightsFile {
    var cursor = try ByteCursor(file, part: "the pickle", count: file.count)
    guard case .wideInteger(magic) = try PickleMachine(&cursor).root else {
      throw .unrecognised(path: file.path, found: "a pickle that torch.save did not write")
    }
    guard case .integer(version) = try PickleMachine(&cursor).root else {
      throw .unsupported(
        path: file.path, what: "this version of the old torch.save container",
        advice: "save the weights again with a current PyTorch")
    }
    if isBigEndian(try PickleMachine(&cursor)) { throw bigEndian(file) }
    let machine = try PickleMachine(&cursor)
    let keys = try PickleMachine(&cursor)
    let ranges = try storages(&cursor, keys.object(keys.root)?.items ?? [], machine)
    return try weights(file, .pytorchLegacy, try PickledTensors(machine), ranges)
  }

  private static func isBigEndian(_ system: PickleMachine) -> Bool {
    let items = system.object(system.root)?.items ?? []
    return zip(items, items.dropFirst()).contains { key, value in
      if case .text("little_endian") = key, case .boolean(false) = value { true } else { false }
    }
  }

  /// Finds each storage's bytes; storages follow in the order of their keys.
  private static func storages(
    _ cursor: inout ByteCursor, _ keys: [PickleValue], _ machine: PickleMachine
  ) throws(DVAEError) -> [Key: Range<Int>] {
    let path = machine.path
    var ranges: [Key: Range<Int>] = [:]
    for case .text(let key) in keys {
      guard key.utf8.count <= PickleMachine.maximumName, let storage = machine.storage(Key(key)),
        ranges[storage.key] == nil
      else {
        throw .malformed(
          path: path, problem: "the storage '\(key.prefix(100))' is not that of any tensor")
      }
      var count = try ByteCursor(
        cursor.file, part: "the storage '\(key)'", from: cursor.offset, count: cursor.remaining)
      guard try count.nextSize() == storage.count else {
        throw .malformed(
          path: path, problem: "the storage '\(key)' has another size than its tensors")
      }
      let (size, overflow) = storage.count.multipliedReportingOverflow(
        by: storage.elements.byteCount)
      guard !overflow else {
        throw .malformed(path: path, problem: "the storage '\(key)' is impossibly large")
      }
      _ = try count.bytes(size)
      ranges[storage.key] = count.offset - size..<count.offset
      cursor = count
    }
    for storage in machine.storages where ranges[storage.key] == nil {
      throw .malformed(path: path, problem: "there is no storage '\(storage.key)'")
    }
    return ranges
  }
}

private func bigEndian(_ file: MappedFile) -> DVAEError {
  .unsupported(
    path: file.path, what: "weights of a big-endian machine",
    advice: "save them again on a little-endian one, or convert them to safetensors")
}

/// Joins a pickle's tensors with the bytes of their storages.
private func weights(
  _ file: MappedFile, _ format: WeightsFile.Format, _ pickled: PickledTensors,
  _ ranges: [Key: Range<Int>], _ archive: ZipArchive? = nil, metadata: [Key: String] = [:]
) throws(DVAEError) -> WeightsFile {
  var tensors: [StoredTensor] = []
  for (name, tensor) in pickled.found {
    let storage = tensor.storage
    guard let range = ranges[storage.key] else {
      throw .malformed(path: file.path, problem: "there is no storage '\(storage.key)'")
    }
    let size = storage.elements.byteCount
    let start = range.lowerBound + storage.view.lowerBound * size
    tensors.append(
      try StoredTensor(
        name: name, elementType: tensor.elementType, shape: tensor.shape, strides: tensor.strides,
        file: file, storage: start..<start + storage.view.count * size,
        elementOffset: tensor.offset))
  }
  return try WeightsFile(
    file: file, format: format, tensors: tensors,
    metadata: pickled.metadata.merging(metadata) { $1 },
    others: pickled.others, archive: archive)
}
