public import DVAEFiles

/// Writes the tokens of a bulk job, in input order, so that a kill at any moment loses no finished
/// work and leaves no torn file.
///
/// Until the end the output is `PATH.partial`, with a journal beside it; what is committed is on
/// the disk, and a writer that resumes goes on after it. The finished output is the same bytes
/// whether the job was interrupted or not. `finish` renames it to its own name, where it replaces
/// an older file.
public final class TokenWriter {
  /// Where the finished output goes.
  public let path: String
  /// Its form.
  public let format: TokenFormat
  /// Items that an earlier run has done: the caller goes on after so many.
  public let resumed: Int

  private let output: any PartialOutput
  private let journal: Journal
  private var uncommitted = 0

  // Bytes that may wait in memory before they are committed.
  private static let longestWait = 8 << 20

  /// Opens an output for writing.
  ///
  /// - Parameters:
  ///   - path: where the finished output goes; its folder is made where it is missing
  ///   - format: the form
  ///   - provenance: of the tokens; a resumed output must have the same
  ///   - start: what to do about an unfinished output
  ///   - replacingFolder: whether a folder of tokens may be replaced, as files are
  /// - Throws: an unfinished output in the way, one of a job with other settings, one that another
  ///   process is writing, and what the file system refuses.
  public init(
    _ path: String, format: TokenFormat, provenance: Provenance, start: JobStart = .fresh,
    replacingFolder: Bool = false
  ) throws {
    let path = Path(path).withoutTrailingSlashes.text
    self.path = path
    self.format = format
    let partial = path + ".partial"
    let journalPath = partial + ".journal"
    let isUnfinished = FileSystem.kind(partial) != .missing
    try FileSystem.makeFolder(Path(path).folder.text)
    if start == .fresh, isUnfinished {
      throw DVAEError.unfinished(path: partial)
    }
    try Self.checkTarget(path, format, replacingFolder)
    var continued: Journal?
    if start == .resuming, isUnfinished, FileSystem.kind(journalPath) != .missing {
      continued = try Journal(continuing: journalPath, provenance)
    }
    journal = try continued ?? Journal(starting: journalPath, provenance)
    resumed = journal.done
    if resumed == 0, format != .folder, FileSystem.kind(partial) == .folder {
      try FileSystem.removeFolder(partial)
    }
    output =
      switch format {
      case .npy, .flat, .packed, .megatron:
        try ArrayOutput(partial, format, provenance, journal)
      case .safetensors: try SafetensorsOutput(partial, provenance, journal)
      case .jsonLines: try JSONLinesOutput(partial, provenance, journal)
      case .tar: try TarOutput(partial, provenance, journal)
      case .folder: try FolderOutput(partial, provenance, journal)
      }
    if resumed > 0 {
      guard output.size >= journal.bytes else {
        throw DVAEError.startOver(
          path: partial,
          "expected the \(journal.bytes) bytes that its journal counts, found \(output.size)")
      }
      try output.cut(to: journal.bytes)
    } else {
      try output.sync()
      try journal.commit(bytes: output.size)
    }
  }

  /// Items that failed, those of earlier runs included.
  public var failed: Int { journal.failed }

  /// Adds what became of the next item.
  ///
  /// - Throws: `badData` where the form cannot hold it, as a grid of another size in `.npy`, and
  ///   `DVAEError.Code.impossibleName` where a folder cannot hold its key; the output is then as it was before, and takes the failure in its place.
  public func append(_ record: TokenRecord) throws {
    let before = output.size
    try output.append(record)
    uncommitted += max(0, output.size - before)
    switch record.outcome {
    case .tokens(let grid):
      var entry = JournalEntry(key: record.key, grid: [grid.height, grid.width])
      if format.hasSidecar {
        entry.text = record.caption
        entry.json = try record.description()
      }
      try journal.note(entry)
    case .failure(let reason):
      try journal.note(JournalEntry(key: record.key, error: reason))
    }
    if uncommitted >= Self.longestWait { try commit() }
  }

  /// Brings everything so far to the disk; a kill from now on loses none of it.
  public func commit() throws {
    try output.sync()
    try journal.commit(bytes: output.size)
    uncommitted = 0
  }

  /// Completes the output and gives it its name.
  public func finish() throws {
    try commit()
    try output.finish(as: path, journal)
    try FileSystem.remove(path + ".partial.journal")
  }

  /// Removes the unfinished output.
  public func discard() throws {
    let partial = path + ".partial"
    if FileSystem.kind(partial) == .folder {
      try FileSystem.removeFolder(partial)
    } else {
      try FileSystem.remove(partial)
    }
    try FileSystem.remove(partial + ".journal")
  }

  /// Whether the finished output of this very job is at a path already.
  ///
  /// - Throws: the output of another job is there.
  public static func isComplete(_ path: String, _ provenance: Provenance) throws -> Bool {
    guard FileSystem.kind(path) != .missing, FileSystem.kind(path + ".partial") == .missing,
      let found = try TokenReader(contentsOf: path).provenance
    else { return false }
    if let difference = found.difference(from: provenance) {
      throw DVAEError(
        .cannotCreate, code: .exists, file: path,
        "holds the tokens of a job with other \(difference)",
        advice: "choose another name, or replace it")
    }
    // A kill may have come between the last two steps of the job.
    try FileSystem.remove(path + ".partial.journal")
    return true
  }

  // Better to know now than after a week of work.
  private static func checkTarget(
    _ path: String, _ format: TokenFormat, _ replacingFolder: Bool
  ) throws(DVAEError) {
    switch (FileSystem.kind(path), format) {
    case (.folder, .folder)
    where replacingFolder && FileSystem.kind(path + "/" + WebDatasetNotes.provenance) == .file:
      break
    case (.folder, .folder):
      if try !FileSystem.names(in: path).isEmpty {
        throw DVAEError(.cannotCreate, file: path, "the folder is not empty: choose another")
      }
    case (.file, .folder):
      throw DVAEError(.cannotCreate, file: path, "a file is in the place of the folder")
    case (.folder, _):
      throw DVAEError(.cannotCreate, file: path, "a folder is in the place of the file")
    case (_, .flat) where FileSystem.kind(TokenFormat.megatronIndex(of: path)) != .missing:
      throw DVAEError(
        .cannotCreate, file: path,
        "belongs to \(TokenFormat.megatronIndex(of: path)): choose another name")
    case (.missing, .megatron) where FileSystem.kind(format.dataPath(path)) != .missing:
      throw DVAEError(
        .cannotCreate, file: path,
        "the tokens would replace \(format.dataPath(path)), which is no part of it: "
          + "choose another name")
    default: break
    }
    if format.hasSidecar { try checkSidecar(of: path) }
  }

  // That of an older output gives way to the new one.
  private static func checkSidecar(of path: String) throws(DVAEError) {
    let sidecar = path + ".json"
    guard FileSystem.kind(sidecar) != .missing,
      (try? ArraySidecar(of: path))?.provenance == nil
    else { return }
    throw DVAEError(
      .cannotCreate, file: sidecar,
      "the keys of \(path) would replace it, and it is no list of keys: choose "
        + "another name")
  }
}

/// An output that is not finished: bytes are appended and flushed, and may be cut back.
protocol PartialOutput: AnyObject {
  /// Bytes so far; 0 for a folder, which is not cut back but written over.
  var size: Int { get }

  /// Adds an item.
  func append(_ record: TokenRecord) throws

  /// Returns when everything is on the disk.
  func sync() throws

  /// Goes back to an earlier size.
  func cut(to size: Int) throws

  /// Completes the output and renames it. May be killed anywhere and called again.
  func finish(as path: String, _ journal: Journal) throws
}
