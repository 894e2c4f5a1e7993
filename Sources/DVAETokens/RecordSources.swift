import DVAEFiles
import DVAEWeights

/// One tensor [H, W] per key.
struct SafetensorsSource: TokenSource {
  let provenance: Provenance?
  private let file: WeightsFile
  private var index = 0

  init(_ path: String) throws {
    file = try WeightsFile.open(path)
    // Otherwise each tensor would fail in the same way.
    guard file.tensors.isEmpty || !file.tensors.allSatisfy(\.elementType.isFloatingPoint) else {
      throw DVAEError(
        .badData, file: path, expected: "tokens", found: "floating-point tensors, such as weights")
    }
    provenance = try file.metadata["provenance"].flatMap {
      try Provenance.read(Array($0.utf8), in: path)
    }
  }

  func failures() throws -> [Failure] {
    guard let text = file.metadata["failures"] else { return [] }
    return try Failure.list(Array(text.utf8), in: file.path)
  }

  var coversMetadata: Bool { file.metadata[MetadataChecksum.name] != nil }

  func checkSum() throws -> Bool {
    guard let expected = file.metadata["data_sha256"] else { return false }
    let whole = try InputFile(path: file.path)
    let length = try whole.read(at: 0, count: 8).reversed().reduce(0) { $0 << 8 | Int($1) }
    try checkSHA256(file.path, 8 + length..<whole.size, expected)
    try MetadataChecksum.check(
      names: file.metadata.byText.keys, SafetensorsOutput.metadataNames, provenance, in: file.path)
    if let digits = file.metadata[MetadataChecksum.name] {
      try MetadataChecksum.check(whole.read(at: 8, count: length), digits, in: file.path)
    }
    return true
  }

  // The form cannot hold captions.
  mutating func next(withSidecars: Bool) throws -> TokenReader.Item? {
    let isSoft = provenance?.soft != nil
    while index < file.tensors.count {
      let tensor = file.tensors[index]
      index += 1
      // With soft tokens, keys have no dots.
      if isSoft, SoftTokens.names.contains(where: { tensor.name.hasByteSuffix("." + $0) }) {
        continue
      }
      let name = "\(file.path): \(tensor.name)"
      _ = try TokenGrid.count(tensor.shape, in: name)
      let grid = try TokenGrid(reading: tensor.int64s(), shape: tensor.shape, name: name)
      let soft = try SoftTokens(reading: name, grid, provenance) {
        isSoft ? file["\(tensor.name).\($0)"] : nil
      }
      return .init(key: tensor.name, grid: grid, soft: soft)
    }
    return nil
  }
}

/// One line per image; lines of failures, checksums and further provenance (in concatenated files)
/// are skipped.
struct JSONLinesSource: TokenSource {
  let provenance: Provenance?
  private let path: String
  private var lines: LineReader
  private var number = 0

  init(_ path: String) throws {
    self.path = path
    let file = try InputFile(path: path)
    lines = LineReader(file)
    var first = LineReader(file)
    provenance = try first.next().flatMap { try Self.provenance(in: $0, path) }
  }

  private struct Head: Decodable {
    var provenance: Provenance?
  }

  /// Returns the provenance in the first line; nil if the line has none.
  private static func provenance(in line: ArraySlice<UInt8>, _ path: String) throws -> Provenance? {
    do throws(JSONMismatch) {
      return try decodedJSON(Head.self, line).provenance
    } catch {
      // A line that is not JSON is reported with its number when it is read.
      guard error.isBelow("provenance") else { return nil }
      throw DVAEError.unreadableProvenance(in: "\(path), line 1", error)
    }
  }

  func failures() throws -> [Failure] {
    var lines = LineReader(try InputFile(path: path))
    var found: [Failure] = []
    while let text = try lines.next() {
      guard let line = try? Self.line(text), let error = line.error else { continue }
      found.append(Failure(key: line.key ?? "", error: error))
    }
    return found
  }

  func checkSum() throws -> Bool {
    let file = try InputFile(path: path)
    var lines = LineReader(file)
    var (found, position) = (false, 0)
    while let text = try lines.next() {
      defer { position = lines.position }
      // Checksums are short lines; long lines, which hold tokens, need not be parsed.
      guard text.count < 200, let line = try? Self.line(text), let sum = line.sha256 else {
        // Bytes after a checksum are not covered by it.
        found = false
        continue
      }
      try Checksum(bytes: line.bytes ?? -1, sha256: sum).check(path, at: position)
      found = true
    }
    if found, try file.read(at: file.size - 1, count: 1) != [UInt8(ascii: "\n")] {
      throw DVAEError(
        .badData, file: path, "its last newline is missing: the file was cut; copy or make it again"
      )
    }
    return found
  }

  mutating func next(withSidecars: Bool) throws -> TokenReader.Item? {
    while true {
      number += 1
      guard let text = try lines.next() else { return nil }
      if text.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\r") }) { continue }
      let line: JSONTokenLine
      do {
        line = try Self.line(text)
      } catch {
        let isCut = lines.lacksNewline && (try? JSONValue(parsing: Array(text), path: path)) == nil
        throw DVAEError(
          .badData, file: path,
          "line \(number) is not a line of tokens"
            + (isCut
              ? ": the file was cut there; copy or make it again"
              : error.path.isEmpty ? "" : ": \(error)"))
      }
      guard let shape = line.shape, let tokens = line.tokens else {
        if line.error != nil || line.provenance != nil || line.sha256 != nil { continue }
        let compact = text.filter { $0 > UInt8(ascii: " ") }
        if compact.elementsEqual(JSONTokenLine.unknownProvenance) { continue }
        throw DVAEError(.badData, file: path, "line \(number) has no \"shape\" or no \"tokens\"")
      }
      let key = line.key ?? "\(number)"
      var sidecars: [String: [UInt8]] = [:]
      if withSidecars {
        sidecars["txt"] = line.text.map { Array($0.utf8) }
        sidecars["json"] = Self.description(text).map(descriptionBytes)
      }
      return try .init(
        key: key,
        grid: TokenGrid(
          reading: tokens.map(Int64.init), shape: shape, name: "\(path): line \(number), \(key)"),
        sidecars: sidecars)
    }
    return nil
  }

  /// Returns the bytes of a line's description; nil if there is none.
  private static func description(_ line: ArraySlice<UInt8>) -> [UInt8]? {
    Array(line).withRawBytes { text in
      var reader = JSONReader(text)
      var found: [UInt8]?
      try? reader.object { (reader, name) throws(JSONReader.Problem) in
        let value = try reader.rawValue()
        if name == "json" { found = value }
      }
      return found
    }
  }

  private static func line(_ text: ArraySlice<UInt8>) throws(JSONMismatch) -> JSONTokenLine {
    try decodedJSON(JSONTokenLine.self, text)
  }
}
