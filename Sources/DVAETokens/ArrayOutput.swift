import DVAEModel
import DVAEFiles

/// All images in one file, and a sidecar with their keys: `.npy`, the flat `.bin`, `.packed`, and
/// Megatron's `.bin` and `.idx`.
final class ArrayOutput: PartialOutput {
  private let file: OutputFile
  private let format: TokenFormat
  private let provenance: Provenance?
  private let bits: Int
  private var grid: [Int]?

  init(
    _ partial: String, _ format: TokenFormat, _ provenance: Provenance?, _ journal: Journal
  ) throws {
    self.format = format
    self.provenance = provenance
    let vocabularyBits = provenance?.architecture.bitsPerToken ?? 16
    bits = format == .packed ? min(max(1, vocabularyBits), 16) : 16
    file = try OutputFile(partial, emptied: journal.done == 0)
    grid = provenance?.grid
    if grid == nil { try journal.forEach { grid = grid ?? $0.grid } }
    // The count is known only at the end; until then the header's space is reserved.
    if format == .npy, file.size == 0 { try file.append(Self.header(grid: grid)) }
  }

  var appended: OutputFile? { file }

  func append(_ record: TokenRecord) throws {
    guard let tokens = record.grid else { return }
    let found = [tokens.height, tokens.width]
    let expected = grid ?? found
    guard found == expected || format == .megatron else {
      throw DVAEError(
        .badData, file: record.key,
        "its grid is \(found[0])×\(found[1]), those before are "
          + "\(expected[0])×\(expected[1]), and one .\(format.rawValue) holds one size",
        advice: "use .safetensors, .jsonl, .tar or .idx, or crop to one size")
    }
    guard let bytes = BitPacking.pack(tokens.tokens, bits: bits) else {
      throw DVAEError(.badData, file: record.key, "a token that does not fit into \(bits) bits")
    }
    grid = expected
    try file.append(bytes)
  }

  func finish(as path: String, _ journal: Journal) throws {
    let count = journal.done - journal.failed
    try checkSize(journal)
    if format == .npy {
      try file.write(Self.header(count: count, grid: grid), at: 0)
      try file.sync()
    }
    let sidecar = try ArraySidecar.written(
      path + ".json", journal, bits: format == .packed ? bits : nil, provenance: provenance,
      sha256: FileHash.of(file), shape: [count] + (grid ?? [0, 0]))
    let index = format == .megatron ? try MegatronIndex.written(path, journal) : nil
    // From here on, files are only renamed, which needs no space. If this run were killed between two
    // renames, the new sidecar could stand beside an older job's array, so that is removed. The new
    // array is renamed last: while the partial file exists, the job can be resumed.
    let data = format.dataPath(path)
    try FileSystem.remove(data)
    try sidecar.commit()
    try index?.commit()
    try FileSystem.rename(file.path, to: data)
  }

  /// Compares the file's size with that of the journal's images.
  private func checkSize(_ journal: Journal) throws {
    var size = format == .npy ? try Self.header().count : 0
    try journal.forEach { entry in
      guard let grid = entry.grid else { return }
      size += BitPacking.byteCount(grid.reduce(1, *), bits: bits) ?? 0
    }
    guard size == file.size else {
      throw DVAEError.startOver(
        path: file.path,
        "expected the \(size) bytes of \(journal.done - journal.failed) images, found \(file.size)")
    }
  }

  /// Returns the start of a `.npy`, which has the same length for any count and grid.
  static func header(count: Int = 0, grid: [Int]? = nil) throws -> [UInt8] {
    try NpyHeader(.uint16, shape: [count] + (grid ?? [0, 0])).encoded()
  }
}
