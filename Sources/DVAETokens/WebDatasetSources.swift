import DVAEFiles
import DVAEImages

private let tokensExtension = "tokens.npy"
private let sidecarExtensions = ["txt", "json"]

private func grid(_ bytes: [UInt8], _ name: String) throws -> TokenGrid {
  let array = try NpyArray.parse(bytes, path: name)
  return try TokenGrid(reading: array.int64s(), shape: array.shape, name: name)
}

/// The `.tokens.npy` of every sample in a tar.
struct TarSource: TokenSource {
  let provenance: Provenance?
  private let path: String
  private var reader: WebDatasetReader

  init(_ path: String) throws {
    self.path = path
    var members = try TarReader(path: path)
    let first = try members.next()
    provenance =
      first?.name == WebDatasetNotes.provenance
      ? try first.flatMap { try Provenance.read(members.file.contents(of: $0), in: path) } : nil
    reader = try WebDatasetReader(path: path)
  }

  func failures() throws -> [Failure] {
    var members = try TarReader(path: path)
    while let member = try members.next() {
      guard member.name == WebDatasetNotes.failures else { continue }
      return try Failure.list(members.file.contents(of: member), in: path)
    }
    return []
  }

  func checkSum() throws -> Bool {
    var members = try TarReader(path: path)
    var last: TarEntry?
    while let member = try members.next() { last = member }
    // Bytes after a checksum are not covered by it.
    guard let note = last, note.name == WebDatasetNotes.checksum else { return false }
    let bytes = try members.file.contents(of: note)
    guard let checksum = try? decodedJSON(Checksum.self, bytes) else {
      throw DVAEError(.badData, file: path, "its checksum cannot be read")
    }
    try checksum.check(path, at: note.start)
    // The checksum and the end mark are not under the checksum; they are always written alike.
    let end = try TarFormat.file(name: note.name, jsonLine(checksum)) + TarFormat.end
    let file = try InputFile(path: path)
    guard
      try file.size == note.start + end.count
        && file.read(at: note.start, count: end.count) == end
    else {
      throw DVAEError(
        .badData, file: path,
        "bytes were changed or added after byte \(note.start), where its checksum stands: copy or make "
          + "it again")
    }
    return true
  }

  mutating func next(withSidecars: Bool) throws -> TokenReader.Item? {
    guard let record = try reader.nextRecord() else { return nil }
    let name = "\(path): \(record.key)"
    func bytes(_ name: String) throws -> [UInt8]? {
      try record.members.first { $0.extension == name }.map {
        try reader.file.contents(of: $0.entry, limit: DecodingLimits.default.maximumBytes)
      }
    }
    guard let tokens = try bytes(tokensExtension).map({ try grid($0, name) }) else {
      let found = record.members.map(\.extension).joined(separator: ", ")
      throw DVAEError(.badData, file: name, "expected a .\(tokensExtension), found \(found)")
    }
    var sidecars: [String: [UInt8]] = [:]
    if withSidecars {
      for name in sidecarExtensions { sidecars[name] = try bytes(name) }
    }
    let soft = try SoftTokens(reading: name, tokens, provenance) { field in
      try bytes(field + ".npy").map { try NpyArray.parse($0, path: "\(name).\(field).npy") }
    }
    return .init(key: record.key, grid: tokens, soft: soft, sidecars: sidecars)
  }
}

/// Every `.tokens.npy` below a folder, in the order of the paths.
struct FolderSource: TokenSource {
  let provenance: Provenance?
  private let folder: String
  // Paths in the folder that are still to be visited, the next one last.
  private var waiting: [String] = []
  // The folders entered so far; folders that link to each other have infinitely many paths.
  private var visited: Set<FileIdentity> = []

  init(_ path: String) throws {
    folder = Path(path).withoutTrailingSlashes.text
    let notes = folder + "/" + WebDatasetNotes.provenance
    provenance =
      FileSystem.kind(notes) == .file ? try Provenance.read(Self.read(notes), in: notes) : nil
    try enter("")
  }

  /// Adds the names in a folder to those that wait, once for each real folder.
  private mutating func enter(_ name: String) throws {
    let path = folder + "/" + name
    if let identity = FileIdentity(path), !visited.insert(identity).inserted { return }
    let entries = try FileSystem.entries(of: path).filter { !FolderWalk.isPassedOver($0) }
    waiting += entries.reversed().map { name.isEmpty ? $0.name : name + "/" + $0.name }
  }

  func failures() throws -> [Failure] {
    let notes = folder + "/" + WebDatasetNotes.failures
    guard FileSystem.kind(notes) == .file else { return [] }
    return try Failure.list(Self.read(notes), in: notes)
  }

  func checkSum() -> Bool { false }

  mutating func next(withSidecars: Bool) throws -> TokenReader.Item? {
    while let name = waiting.popLast() {
      let path = folder + "/" + name
      if FileSystem.kind(path) == .folder {
        try enter(name)
      } else if let key = name.withoutByteSuffix("." + tokensExtension) {
        let tokens = try grid(Self.read(path), path)
        var sidecars: [String: [UInt8]] = [:]
        for name in sidecarExtensions where withSidecars {
          let path = "\(folder)/\(key).\(name)"
          if FileSystem.kind(path) == .file { sidecars[name] = try Self.read(path) }
        }
        let soft = try SoftTokens(reading: path, tokens, provenance) { name in
          let path = "\(folder)/\(key).\(name).npy"
          guard FileSystem.kind(path) == .file else { return nil }
          return try NpyArray.open(path)
        }
        return .init(key: key, grid: tokens, soft: soft, sidecars: sidecars)
      }
    }
    return nil
  }

  private static func read(_ path: String) throws -> [UInt8] {
    try InputFile.contents(of: path, limit: DecodingLimits.default.maximumBytes)
  }
}
