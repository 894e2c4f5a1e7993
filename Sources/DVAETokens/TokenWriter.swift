public import DVAEFiles

#if canImport(FoundationEssentials)
public import FoundationEssentials
#else
public import Foundation
#endif

/// Writes the tokens of a bulk job, in input order, so that a kill at any moment loses no committed
/// work and leaves no incomplete file.
///
/// Until the end the output is `PATH.partial`, with a journal beside it; committed items are on
/// disk, and a resumed writer continues after them. Interruptions do not change the bytes of the
/// finished output. `finish` renames it to its final name.
public final class TokenWriter {
  /// The path of the finished output.
  public let path: String
  /// Its form.
  public let format: TokenFormat
  /// The number of items done by earlier runs: the caller continues after them.
  public let resumed: Int
  /// The number of items that earlier runs had done, and whose bytes have changed or vanished since:
  /// they are among those that the caller does.
  package var damaged: Int { journal.damaged }
  /// The captions and descriptions of this run that the output does not hold as they are.
  package private(set) var captions = FormLosses()

  private let provenance: Provenance?
  private let partial: String
  private let output: any PartialOutput
  // The files at the output's names when the writer was opened, which may be replaced.
  private let earlierFiles: Set<String>
  private let madeFolders: [String]
  private let journal: Journal
  private var uncommitted = 0

  // The largest number of bytes in memory before a commit.
  private static let longestWait = 8 << 20

  /// Opens the output of a file URL for writing: see the same of its path.
  public convenience init(
    _ url: URL, format: TokenFormat, provenance: Provenance?, start: JobStart = .fresh,
    replacing: Bool = false
  ) throws {
    try self.init(
      Path(url).text, format: format, provenance: provenance, start: start, replacing: replacing)
  }

  /// Opens an output for writing.
  ///
  /// - Parameters:
  ///   - path: the path of the finished output; its folder is created if missing
  ///   - format: the form
  ///   - provenance: the provenance of the tokens; a resumed output must have the same. Nil if it is
  ///     unknown: the output can then not be resumed
  ///   - start: the treatment of an unfinished output
  ///   - replacing: whether a finished output may be replaced
  /// - Throws: `DVAEError.Code.exists` if there is a finished output; also if there is an unfinished
  ///   output, one of a job with other settings, or one that another process is writing, and for errors
  ///   of the file system.
  public init(
    _ path: String, format: TokenFormat, provenance: Provenance?, start: JobStart = .fresh,
    replacing: Bool = false
  ) throws {
    let path = Path(path).withoutTrailingSlashes.text
    self.path = path
    self.format = format
    self.provenance = provenance
    let folder = format == .folder ? try OutputFolder(path, of: .tokens) : nil
    partial = folder?.partial ?? Path(path).unfinished.text
    try folder?.recover()
    let filesBefore = format.existingFiles(path)
    try Self.check(path, format: format, provenance, start: start, replacing: replacing)
    if let provenance { try Self.checkCount(path, format, provenance) }
    let isUnfinished = try Self.isUnfinished(partial)
    madeFolders = try FileSystem.makeFolders(Path(partial).folder.text)
    let data =
      format == .folder
      ? nil : CommittedBytes(partial, from: format == .npy ? try ArrayOutput.header().count : 0)
    do {
      var continued: Journal?
      if start == .resuming, isUnfinished {
        continued = try Journal(continuing: partial + ".journal", provenance, of: data)
      }
      journal = try continued ?? Journal(starting: partial + ".journal", provenance, of: data)
      // The process that had the journal until now may have finished the output.
      earlierFiles = format.existingFiles(path)
      guard replacing || earlierFiles.isSubset(of: filesBefore) else {
        try FileSystem.remove(partial + ".journal")
        throw DVAEError.exists(path: path)
      }
    } catch {
      FileSystem.removeEmpty(madeFolders)
      throw error
    }
    resumed = journal.done
    output =
      switch format {
      case .npy, .flat, .packed, .megatron:
        try ArrayOutput(partial, format, provenance, journal)
      case .safetensors: try SafetensorsOutput(partial, provenance, journal)
      case .jsonLines, .tar: try SequentialOutput(partial, format, provenance, journal)
      case .folder: try FolderOutput(path, replacing: replacing, provenance, journal)
      }
    if resumed > 0 {
      try output.appended?.truncate(to: journal.bytes)
    } else {
      try commit()
    }
  }

  /// The number of failed items, including those of earlier runs.
  public var failed: Int { journal.failed }

  /// Whether the output is one shard of a job.
  var isShard: Bool { provenance?.shard != nil }

  /// Adds the outcome of the next item.
  ///
  /// - Throws: `badData` if the form cannot hold it, such as a grid of another size in `.npy`, and
  ///   `DVAEError.Code.impossibleName` if a folder cannot hold its key; the output is then
  ///   unchanged and accepts a failure instead.
  public func append(_ record: TokenRecord) throws {
    if let grid = record.grid { try checkSoftTokens(record.soft, of: grid, record.key) }
    // The sidecar holds what the journal holds, and a little less.
    guard !format.hasSidecar || journal.size <= ArraySidecar.largest else {
      throw DVAEError(
        .inputOutput, file: path,
        "too many keys and captions for the one file of JSON beside a .\(format.rawValue), which has at "
          + "most \(ArraySidecar.largest) bytes",
        advice: "use .tar or .jsonl, or split the job into shards")
    }
    let before = output.size
    try output.append(record)
    captions.add(record, in: format)
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

  /// Checks that an item has the arrays that the provenance promises for every item.
  private func checkSoftTokens(
    _ soft: SoftTokens?, of grid: TokenGrid, _ key: String
  ) throws(DVAEError) {
    let expected = SoftTokens.sizes(provenance?.soft, positions: grid.count)
    let found = SoftTokens.sizes(soft)
    guard found == expected else {
      throw DVAEError(
        .badData, file: path, expected: "\(expected) soft values for '\(key)'", found: "\(found)")
    }
  }

  /// Writes everything so far to the disk; a kill from now on loses none of it.
  public func commit() throws {
    try output.sync()
    try journal.commit(bytes: output.size, of: output.appended)
    uncommitted = 0
  }

  /// Completes the output and renames it to its final name.
  ///
  /// - Throws: errors of the file system, and `cannotCreate` if a file got its name while it was
  ///   written; it can then be continued
  public func finish() throws {
    try commit()
    let late = format.existingFiles(path).subtracting(earlierFiles).min()
    if format != .folder, let late { throw DVAEError.appeared(late, whileMaking: partial) }
    try output.finish(as: path, journal)
    try FileSystem.remove(partial + ".journal")
  }

  /// Removes the unfinished output.
  public func discard() throws {
    if format == .folder {
      try OutputFolder(path, of: .tokens).discard()
    } else {
      try FileSystem.remove(partial)
    }
    try FileSystem.remove(partial + ".journal")
    FileSystem.removeEmpty(madeFolders)
  }

  /// Returns whether the finished output of this same job is already at a path.
  ///
  /// - Throws: if the output of another job is there.
  public static func isComplete(_ path: String, _ provenance: Provenance) throws -> Bool {
    let folder = FileSystem.kind(path) == .folder ? try OutputFolder(path, of: .tokens) : nil
    let partial = folder?.partial ?? Path(path).unfinished.text
    guard FileSystem.kind(path) != .missing, !FileSystem.exists(partial),
      let found = try TokenReader(contentsOf: path).provenance
    else { return false }
    if let difference = found.difference(from: provenance) {
      throw DVAEError(
        .cannotCreate, code: .exists, file: path,
        "holds the tokens of a job with other \(difference)",
        advice: "choose another name, or replace it")
    }
    // The job may have been killed between its last steps.
    try folder?.removeReplaced()
    if try Journal.isOwn(partial + ".journal") { try FileSystem.remove(partial + ".journal") }
    return true
  }

  /// Returns whether the output of a file URL is complete: see the same of its path.
  public static func isComplete(_ url: URL, _ provenance: Provenance) throws -> Bool {
    try isComplete(Path(url).text, provenance)
  }

  /// Refuses what a writer of these arguments would refuse about the names that are taken.
  ///
  /// - Throws: an unfinished output in the way, and a finished one that would not be replaced
  package static func check(
    _ path: String, format: TokenFormat, _ provenance: Provenance?, start: JobStart, replacing: Bool
  ) throws {
    let folder = format == .folder ? try OutputFolder(path, of: .tokens) : nil
    let partial = folder?.partial ?? Path(path).unfinished.text
    if start == .fresh, FileSystem.exists(partial) {
      throw OutputFile.inTheWay(partial, lock: partial + ".journal")
    }
    if let folder {
      try folder.check(replacing: replacing)
    } else {
      try checkTarget(path, format)
      let isContinued = start == .resuming && FileSystem.exists(partial)
      guard
        replacing || !FileSystem.exists(path)
          || (isContinued && isLeft(at: path, format, by: provenance))
      else { throw DVAEError.exists(path: path) }
    }
  }

  /// Returns whether a file is what this job leaves there if it is killed between the renames of its files.
  private static func isLeft(
    at path: String, _ format: TokenFormat, by provenance: Provenance?
  ) -> Bool {
    let found =
      switch format {
      // The index gets its name before the tokens, and the list of keys before both.
      case .megatron where !FileSystem.exists(format.dataPath(path)):
        (try? ArraySidecar(of: path))?.provenance
      // The tokens are copied, and the copy gets the name before they are removed.
      case .safetensors: (try? TokenReader(contentsOf: path))?.provenance
      default: nil as Provenance?
      }
    guard let found, let provenance else { return false }
    return found.difference(from: provenance) == nil
  }

  /// Refuses inputs in a folder that an output would replace.
  ///
  /// - Throws: `usage` if one of the inputs lies in it
  package static func refuse(
    inputs: Set<FileIdentity>, output path: String, _ format: TokenFormat
  ) throws(DVAEError) {
    if format == .folder { try OutputFolder(path, of: .tokens).refuse(inputs: inputs) }
  }

  /// Returns whether there is an unfinished output.
  ///
  /// - Throws: `cannotCreate` if one of its names belongs to a file that no writer has made
  private static func isUnfinished(_ partial: String) throws(DVAEError) -> Bool {
    let isOwn = try Journal.isOwn(partial + ".journal")
    guard FileSystem.exists(partial) else { return false }
    guard isOwn else {
      throw DVAEError(
        .cannotCreate, file: partial,
        "has the name of an unfinished output of tokens, but no journal beside it",
        advice: "move it away, or choose another name")
    }
    return true
  }

  // Report this now instead of after a week of work.
  private static func checkCount(
    _ path: String, _ format: TokenFormat, _ provenance: Provenance
  ) throws(DVAEError) {
    let most: Int
    if format == .safetensors {
      most = SafetensorsOutput.mostImages(provenance.soft)
    } else if format.hasSidecar {
      most = ArraySidecar.mostImages
    } else {
      return
    }
    guard provenance.inputs.count <= most else {
      throw DVAEError(
        .usage, file: path,
        "the keys of \(provenance.inputs.count) images do not fit into one .\(format.rawValue), which "
          + "has room for at most \(most)",
        advice: "use .tar or .jsonl, or split the job into shards")
    }
  }

  private static func checkTarget(
    _ path: String, _ format: TokenFormat
  ) throws(DVAEError) {
    for name in [path, Path(path).unfinished.text] { try FileSystem.checkReplaceable(name) }
    switch (FileSystem.kind(path), format) {
    case (_, .flat) where FileSystem.exists(TokenFormat.megatronIndex(of: path)):
      throw DVAEError(
        .cannotCreate, file: path,
        "belongs to \(TokenFormat.megatronIndex(of: path)): choose another name")
    case (.missing, .megatron) where FileSystem.exists(format.dataPath(path)):
      throw DVAEError(
        .cannotCreate, file: path,
        "the tokens would replace \(format.dataPath(path)), which is not a part of it: "
          + "choose another name")
    default: break
    }
    if format.hasSidecar { try checkSidecar(of: path) }
  }

  // An older output's sidecar is replaced by the new one.
  private static func checkSidecar(of path: String) throws(DVAEError) {
    let sidecar = path + ".json"
    guard FileSystem.exists(sidecar) else { return }
    if let found = try? ArraySidecar(of: path),
      found.provenance != nil || found.metadataSHA256 != nil
    {
      return
    }
    throw DVAEError(
      .cannotCreate, file: sidecar,
      "the keys of \(path) would replace it, and it is not a list of keys: choose "
        + "another name")
  }
}

/// An unfinished output: bytes are appended and flushed.
protocol PartialOutput: AnyObject {
  /// The file that grows; nil for a folder.
  var appended: OutputFile? { get }

  /// The size in bytes; 0 for a folder, which is not truncated but overwritten.
  var size: Int { get }

  /// Adds an item.
  func append(_ record: TokenRecord) throws

  /// Flushes everything to disk.
  func sync() throws

  /// Completes the output and renames it. It may be killed anywhere and called again.
  func finish(as path: String, _ journal: Journal) throws
}

extension PartialOutput {
  var size: Int { appended?.size ?? 0 }
  func sync() throws { try appended?.sync() }
}
