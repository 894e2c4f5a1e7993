import DVAEFiles

/// A line of provenance, a line for each item, and a checksum line.
final class JSONLinesOutput: PartialOutput {
  private let file: OutputFile

  /// The first line of a file of unknown provenance.
  static let unknownProvenance = Array(#"{"provenance":null}"#.utf8)

  init(_ partial: String, _ provenance: Provenance?, _ journal: Journal) throws {
    file = try OutputFile(partial, emptied: journal.done == 0)
    if file.size == 0 { try file.append(jsonLine(["provenance": provenance])) }
  }

  var appended: OutputFile? { file }

  func append(_ record: TokenRecord) throws {
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
    try file.append(text + [UInt8(ascii: "\n")])
  }

  func finish(as path: String, _ journal: Journal) throws {
    try file.append(jsonLine(Checksum(bytes: file.size, sha256: FileHash.of(file))))
    try file.sync()
    try FileSystem.rename(file.path, to: path)
  }
}

/// A line of the file.
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
