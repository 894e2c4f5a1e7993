/// A line of provenance, then a line for each item.
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
      line.text = record.companions["txt"].map { String(decoding: $0, as: UTF8.self) }
    case .failure(let reason):
      line.error = reason
    }
    pending += try jsonLine(line)
  }

  func sync() throws {
    try file.append(pending)
    pending = []
    try file.sync()
  }

  func cut(to size: Int) throws { try file.truncate(to: size) }

  func finish(as path: String, _ journal: Journal) throws {
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
}
