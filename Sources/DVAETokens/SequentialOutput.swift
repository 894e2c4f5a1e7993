import DVAEFiles

/// A file that is written from its first byte to its last: the provenance, the items in order, and the
/// checksum of all bytes before it, as lines of JSON or as members of a WebDataset in a tar.
final class SequentialOutput: PartialOutput {
  private let file: OutputFile
  private let isArchive: Bool

  init(
    _ partial: String, _ format: TokenFormat, _ provenance: Provenance?, _ journal: Journal
  ) throws {
    isArchive = format == .tar
    file = try OutputFile(partial, emptied: journal.done == 0)
    guard file.size == 0 else { return }
    try file.append(
      isArchive
        ? TarFormat.file(name: WebDatasetNotes.provenance, jsonLine(provenance))
        : jsonLine(["provenance": provenance]))
  }

  var appended: OutputFile? { file }

  func append(_ record: TokenRecord) throws {
    try file.append(
      isArchive
        ? webDatasetFiles(of: record).flatMap { try TarFormat.file(name: $0.name, $0.bytes) }
        : JSONTokenLine.encoded(record))
  }

  func finish(as path: String, _ journal: Journal) throws {
    if isArchive, let failures = try WebDatasetNotes.failures(journal) {
      try file.append(TarFormat.file(name: WebDatasetNotes.failures, failures))
    }
    let checksum = try jsonLine(Checksum(bytes: file.size, sha256: FileHash.of(file)))
    try file.append(
      isArchive
        ? TarFormat.file(name: WebDatasetNotes.checksum, checksum) + TarFormat.end : checksum)
    try file.sync()
    try FileSystem.rename(file.path, to: path)
  }
}

/// A line of a file of JSON lines.
struct JSONTokenLine: Codable {
  var key: String?
  var shape: [Int]?
  var tokens: [UInt16]?
  var text: String?
  var error: String?
  var provenance: Provenance?
  /// With `bytes`: the checksum of all preceding lines.
  var sha256: String?
  var bytes: Int?

  /// The first line of a file of unknown provenance.
  static let unknownProvenance = Array(#"{"provenance":null}"#.utf8)

  /// Returns the line of an item with its newline.
  static func encoded(_ record: TokenRecord) throws -> [UInt8] {
    var line = JSONTokenLine(key: record.key)
    switch record.outcome {
    case .tokens(let grid):
      line.shape = [grid.height, grid.width]
      line.tokens = grid.tokens
      line.text = record.caption
    case .failure(let reason):
      line.error = reason
    }
    var text = try jsonText(line)
    if record.grid != nil, let description = try record.description() {
      // Copied unchanged: parsing and encoding could change numbers.
      text.removeLast()
      text += Array(",\"json\":\(description)}".utf8)
    }
    return text + [UInt8(ascii: "\n")]
  }
}

/// The checksum at the end of a file that was written sequentially.
struct Checksum: Codable {
  /// The number of bytes that it covers, from the start of the file.
  var bytes: Int
  /// Their SHA-256 in hexadecimal.
  var sha256: String

  /// Verifies a file, in which the checksum begins at `position`.
  ///
  /// - Throws: an error that names the difference.
  func check(_ path: String, at position: Int) throws {
    guard bytes == position else {
      throw DVAEError(
        .badData, file: path,
        "its checksum is of \(bytes) bytes, but stands at byte \(position): the file was "
          + "cut, or put together from several")
    }
    try checkSHA256(path, 0..<bytes, sha256)
  }
}

/// Verifies the SHA-256 of a file, or of a range of it.
///
/// - Throws: `badData` if it differs.
func checkSHA256(_ path: String, _ range: Range<Int>?, _ expected: String) throws {
  let found = try FileHash.of(path, range)
  guard found == expected else {
    throw DVAEError(
      .badData, file: path,
      "its bytes have the SHA-256 \(found.prefix(12))…, expected \(expected.prefix(12))…: "
        + "the file has been changed since it was written; copy or make it again")
  }
}
