import DVAEFiles

/// One tensor per key.
///
/// The header is at the start of the file but needs all keys: until the end the partial file holds
/// only the tokens, and the header is then made from the journal.
final class SafetensorsOutput: PartialOutput {
  private let file: OutputFile
  private let provenance: Provenance?
  private var headerSize = 0

  /// All names in the metadata.
  static let metadataNames = ["data_sha256", "provenance", "failures", MetadataChecksum.name]

  // The limit of readers, minus room for the metadata.
  private static let largestHeader = 90_000_000

  /// Returns the most images whose entries fit into the header, with keys of one letter.
  static func mostImages(_ soft: SoftTokens.Settings?) -> Int {
    largestHeader / entrySize("a", soft)
  }

  init(_ partial: String, _ provenance: Provenance?, _ journal: Journal) throws {
    self.provenance = provenance
    file = try OutputFile(partial, emptied: journal.done == 0)
    try journal.forEach { headerSize += try entrySize($0.key, $0.error) }
  }

  var appended: OutputFile? { file }

  func append(_ record: TokenRecord) throws {
    headerSize += try entrySize(record.key, record.error)
    guard headerSize <= Self.largestHeader else {
      throw DVAEError(
        .inputOutput, file: file.path,
        "too many keys for one .safetensors, whose header readers limit to 100 MB",
        advice: "use .tar, .jsonl or .npy, or split the job into shards")
    }
    guard let tokens = record.grid else { return }
    try file.append(
      tokens.littleEndianBytes + (record.soft?.fields(tokens) ?? []).flatMap(\.bytes))
  }

  /// The upper bound of an image's bytes in the header: key, type, shape and two offsets of each tensor.
  private static func entrySize(_ key: String, _ soft: SoftTokens.Settings?) -> Int {
    (jsonString(key).count + 130) * (1 + (soft?.fields.count ?? 0))
  }

  /// The same of an item, or of its failure, which is JSON within a string of JSON.
  private func entrySize(_ key: String, _ error: String?) throws -> Int {
    if let error {
      let failure = try jsonText(Failure(key: key, error: error))
      return jsonString(String(decoding: failure, as: UTF8.self)).count
    }
    return Self.entrySize(key, provenance?.soft)
  }

  func finish(as path: String, _ journal: Journal) throws {
    let whole = try AtomicFile(path)
    try whole.write(SafetensorsLayout.head(try json(journal)))
    for offset in stride(from: 0, to: file.size, by: 1 << 20) {
      try whole.write(file.read(at: offset, count: 1 << 20))
    }
    try whole.commit()
    try FileSystem.remove(file.path)
  }

  private func json(_ journal: Journal) throws -> [UInt8] {
    var layout = SafetensorsLayout()
    try journal.forEach { entry in
      guard let grid = entry.grid, grid.count == 2 else { return }
      layout.add(entry.key, .uint16, shape: grid)
      for field in provenance?.soft?.fields ?? [] {
        layout.add("\(entry.key).\(field.name)", field.type, shape: grid + field.last)
      }
    }
    guard layout.dataSize == file.size else {
      throw DVAEError.startOver(
        path: file.path,
        "expected the \(layout.dataSize) bytes of the journal's images, found \(file.size)")
    }
    return try Self.json(layout, provenance, journal.failures(), sha256: FileHash.of(file))
  }

  /// Returns the JSON at the start of a file.
  fileprivate static func json(
    _ layout: SafetensorsLayout, _ provenance: Provenance?, _ failures: [Failure], sha256: String
  ) throws -> [UInt8] {
    // `metadataNames` lists these.
    let metadata = [
      "data_sha256": sha256,
      "provenance": String(decoding: try jsonText(provenance), as: UTF8.self),
      "failures": String(decoding: try jsonText(failures), as: UTF8.self),
      MetadataChecksum.name: MetadataChecksum.blank,
    ]
    return MetadataChecksum.filled(layout.json(metadata: metadata, alignment: 8))
  }
}

extension TokenGrid {
  /// Returns the bytes of a `.safetensors` file with this image alone, as a bulk job writes it.
  package func safetensors(key: String, _ provenance: Provenance) throws -> [UInt8] {
    var layout = SafetensorsLayout()
    layout.add(key, .uint16, shape: [height, width])
    let bytes = littleEndianBytes
    let json = try SafetensorsOutput.json(layout, provenance, [], sha256: FileHash.of(bytes))
    return SafetensorsLayout.head(json) + bytes
  }
}
