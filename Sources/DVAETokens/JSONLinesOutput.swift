import DVAEFiles

/// A line of provenance, then a line for each item, then the checksum of them all.
final class JSONLinesOutput: PartialOutput {
  private let file: OutputFile
  private var pending: [UInt8] = []

  init(_ partial: String, _ provenance: Provenance, _ journal: Journal) throws {
    file = try OutputFile(partial, emptied: journal.done == 0)
    if file.size == 0 { try file.append(jsonLine(["provenance": provenance])) }
  }

  var size: Int { file.size + pending.count }

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
    pending += try jsonText(line)
    if record.grid != nil, let description = try record.description() {
      // As it is: a parser and an encoder between could change numbers.
      pending.removeLast()
      pending += Array(",\"json\":\(description)}".utf8)
    }
    pending.append(UInt8(ascii: "\n"))
  }

  func sync() throws {
    try file.append(pending)
    pending = []
    try file.sync()
  }

  func cut(to size: Int) throws { try file.truncate(to: size) }

  func finish(as path: String, _ journal: Journal) throws {
    try file.append(jsonLine(Checksum(bytes: file.size, sha256: FileHash.of(file))))
    try file.sync()
    try FileSystem.rename(file.path, to: path)
  }
}

/// A line of the file, as it is written and read.
struct JSONTokenLine: Codable {
  var key: String?
  var shape: [Int]?
  var tokens: [UInt16]?
  var text: String?
  var error: String?
  var provenance: Provenance?
  /// With `bytes`: the checksum of all lines before this one.
  var sha256: String?
  var bytes: Int?
}

/// What closes a file that grew line by line or member by member.
struct Checksum: Codable {
  /// Bytes that it covers, from the start of the file.
  var bytes: Int
  /// Their SHA-256 in hexadecimal.
  var sha256: String

  /// Compares it with a file, in which it begins at a byte.
  ///
  /// - Throws: what differs.
  func check(_ path: String, at position: Int) throws {
    guard bytes == position else {
      throw DVAEError(
        .badData, file: path,
        "its checksum is of \(bytes) bytes, but stands at byte \(position): the file was "
          + "cut, or put together from several")
    }
    try sha256Matches(path, 0..<bytes, sha256)
  }
}

/// Compares a part of a file with its checksum.
func sha256Matches(_ path: String, _ range: Range<Int>?, _ expected: String) throws {
  let found = try FileHash.of(path, range)
  guard found == expected else {
    throw DVAEError(
      .badData, file: path,
      "its bytes have the SHA-256 \(found.prefix(12))…, expected \(expected.prefix(12))…: "
        + "the file has been changed since it was written; copy or make it again")
  }
}
