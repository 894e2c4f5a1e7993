import WeightFiles

/// One uint16 array [N, H, W] and, beside it, `PATH.json`.
final class NpyOutput: PartialOutput {
  private let file: OutputFile
  private let provenance: Provenance
  private var grid: [Int]?

  init(_ partial: String, _ provenance: Provenance, _ journal: Journal) throws {
    self.provenance = provenance
    file = try OutputFile(partial, emptied: journal.done == 0)
    grid = provenance.grid
    if grid == nil { try journal.forEach { grid = grid ?? $0.grid } }
    // The count is not known before the end; until then the header's place is kept.
    if file.size == 0 { try file.append(header(count: 0)) }
  }

  var size: Int { file.size }

  func append(_ record: TokenRecord) throws {
    guard let tokens = record.grid else { return }
    let found = [tokens.height, tokens.width]
    let expected = grid ?? found
    guard found == expected else {
      throw DVAEError(
        .badData,
        "\(record.key): its grid is \(found[0])×\(found[1]), those before are "
          + "\(expected[0])×\(expected[1]), and one .npy holds one size: "
          + "use .safetensors, .jsonl or .tar, or another --crop")
    }
    grid = expected
    try file.append(tokens.littleEndianBytes)
  }

  func sync() throws { try file.sync() }

  func cut(to size: Int) throws { try file.truncate(to: size) }

  func finish(as path: String, _ journal: Journal) throws {
    // An array of an earlier job would be taken for the one that the new sidecar lists, were this
    // run killed between the two.
    try FileSystem.remove(path)
    try writeSidecar(path + ".json", journal)
    try file.write(header(count: journal.done - journal.failed), at: 0)
    try file.sync()
    try FileSystem.rename(file.path, to: path)
  }

  // As long for any count.
  private func header(count: Int) throws -> [UInt8] {
    try NpyHeader(.uint16, shape: [count] + (grid ?? [0, 0])).encoded()
  }

  // {"count": …, "failures": […], "keys": […], "provenance": {…}}, written piece by piece: keys
  // may be millions.
  private func writeSidecar(_ path: String, _ journal: Journal) throws {
    let file = try AtomicFile(path)
    try file.write("{\"count\":\(journal.done - journal.failed),\n\"failures\":[")
    var separator = "\n"
    try journal.forEach { entry in
      guard let error = entry.error else { return }
      try file.write(separator)
      try file.write(jsonText(Failure(key: entry.key, error: error)))
      separator = ",\n"
    }
    try file.write("],\n\"keys\":[")
    separator = "\n"
    try journal.forEach { entry in
      guard entry.error == nil else { return }
      try file.write(separator)
      try file.write(jsonText(entry.key))
      separator = ",\n"
    }
    try file.write("],\n\"provenance\":")
    try file.write(jsonLine(provenance).dropLast() + Array("}\n".utf8))
    try file.commit()
  }
}

/// An item that could not be done, as files record it.
struct Failure: Codable, Hashable {
  /// The item.
  var key: String
  /// Why, in one line.
  var error: String
}
