package import DVAEFiles

/// The files of an item in a WebDataset, by name; none for a failed one.
///
/// - Throws: `impossibleName` for a name that would lead out of the folder
func webDatasetFiles(
  of record: TokenRecord
) throws(DVAEError) -> [(name: String, bytes: [UInt8])] {
  guard let grid = record.grid else { return [] }
  let tokens = NpyArray.encoded(grid.tokens, shape: [grid.height, grid.width])
  let soft = record.soft?.fields(grid) ?? []
  let files =
    [(record.key + ".tokens.npy", tokens)]
    + soft.map { ("\(record.key).\($0.name).npy", $0.npy) }
    + record.sidecars.sorted { $0.key < $1.key }.map { ("\(record.key).\($0.key)", $0.value) }
  for (name, _) in files where Key(insideFolder: name) != Key(name) {
    throw DVAEError(
      .badData, code: .impossibleName, file: name,
      expected: "a name below the output's folder, without '..'", found: "one that leads out of it")
  }
  return files
}

/// The names of a WebDataset's metadata, which its readers skip.
enum WebDatasetNotes {
  static let provenance = ".provenance.json"
  static let failures = ".failures.json"
  static let checksum = ".checksum.json"

  /// Returns the record of a job's failures; nil if there are none.
  static func failures(_ journal: Journal) throws -> [UInt8]? {
    let failures = try journal.failures()
    return failures.isEmpty ? nil : try jsonLine(failures)
  }
}

/// WebDataset in a folder.
///
/// Files that a killed run wrote after its last commit are written again.
final class FolderOutput: PartialOutput {
  private let place: OutputFolder
  private let isReplacing: Bool
  // Files that are written and possibly not yet flushed.
  private var pending: [String] = []
  private(set) var size: Int

  private var folder: String { place.partial }

  var appended: OutputFile? { nil }

  init(
    _ path: String, replacing: Bool, _ provenance: Provenance?, _ journal: Journal
  ) throws {
    place = try OutputFolder(path, of: .tokens)
    isReplacing = replacing
    size = journal.bytes
    if journal.done == 0 { try place.discard() }
    try journal.forEach { entry in
      let tokens = folder + "/" + entry.key + ".tokens.npy"
      guard entry.grid != nil, FileSystem.kind(tokens) != .file else { return }
      throw DVAEError.startOver(path: tokens, "is missing, but its journal counts it")
    }
    try place.checkPartial()
    try FileSystem.makeFolders(folder)
    try write(jsonLine(provenance), to: WebDatasetNotes.provenance)
  }

  func append(_ record: TokenRecord) throws {
    let files = try webDatasetFiles(of: record)
    let before = pending.count
    do {
      for (name, bytes) in files { try write(bytes, to: name) }
    } catch {
      // Keep all files of an item or none.
      for path in pending[before...] where FileSystem.kind(path) == .file {
        try FileSystem.remove(path)
      }
      pending.removeSubrange(before...)
      throw error
    }
    size += files.reduce(0) { $0 + $1.bytes.count }
  }

  private func write(_ bytes: [UInt8], to name: String) throws {
    let path = folder + "/" + name
    // It is noted before it is written, because a full disk leaves an empty file.
    pending.append(path)
    try FileSystem.withFolder(of: path, below: folder) {
      try OutputFile(path, emptied: true).append(bytes)
    }
  }

  func sync() throws {
    for path in pending { try OutputFile(path, emptied: false).sync() }
    let folders = Set(pending.map { Path($0).folder }).union([Path(folder)])
    pending = []
    for folder in folders { FileSystem.flushFolder(folder.text) }
  }

  func finish(as path: String, _ journal: Journal) throws {
    if let failures = try WebDatasetNotes.failures(journal) {
      try write(failures, to: WebDatasetNotes.failures)
    }
    try sync()
    try place.finish(replacing: isReplacing)
  }
}

extension OutputFolder.Kind {
  /// The folder of tokens, which has its provenance in it.
  package static let tokens = Self("tokens") { folder in
    let notes = folder + "/" + WebDatasetNotes.provenance
    guard FileSystem.kind(notes) == .file,
      let json = try? InputFile.contents(of: notes, limit: InputFile.settingsLimit)
    else { return false }
    do {
      _ = try Provenance.read(json, in: notes)
      return true
    } catch {
      return false
    }
  } hasFile: { folder, name in
    if [WebDatasetNotes.provenance, WebDatasetNotes.failures].contains(name) { return true }
    if name.hasByteSuffix(".tokens.npy") { return true }
    let beside = ["txt", "json"] + SoftTokens.names.map { $0 + ".npy" }
    return beside.contains { ending in
      name.withoutByteSuffix("." + ending).map {
        FileSystem.kind(folder + "/" + $0 + ".tokens.npy") == .file
      } ?? false
    }
  }
}
