import ArgumentParser
import DVAEKit

/// The rule for finished outputs in every command that writes: they are kept, unless `--overwrite`
/// is given.
///
/// An empty folder is not an output. The output of an interrupted run is not finished: see
/// `InterruptedJobOptions`.
struct OverwriteOption: ParsableArguments {
  @Flag(help: "Replace finished outputs of the same name, which are otherwise errors.")
  var overwrite = false

  /// Refuses a name that is taken by a finished output.
  func check(_ path: String) throws(DVAEError) {
    guard !overwrite, try Self.isTaken(path) else { return }
    throw .exists(path: path)
  }

  /// Returns whether the finished output of a job of tokens is there.
  ///
  /// - Throws: for the output of another job that may not be replaced
  func isComplete(_ path: String, _ provenance: Provenance) throws -> Bool {
    do {
      return try TokenWriter.isComplete(path, provenance)
    } catch let error as DVAEError where error.kind == .cannotCreate && overwrite {
      return false
    }
  }

  /// Opens an output of tokens for writing.
  ///
  /// - Returns: nil if a job that may be continued finds its finished output
  /// - Throws: for a name that is taken
  func writer(
    _ path: String, _ format: TokenFormat, _ provenance: Provenance?, _ start: JobStart
  ) throws -> TokenWriter? {
    func isComplete() throws -> Bool {
      guard start == .resuming, let provenance else { return false }
      return try self.isComplete(path, provenance)
    }
    if try isComplete() { return nil }
    try TokenWriter.check(path, format: format, provenance, start: start, replacing: overwrite)
    do {
      return try TokenWriter(
        path, format: format, provenance: provenance, start: start, replacing: overwrite)
    } catch let error as DVAEError where error.code == .exists {
      // Another process has finished it in this moment.
      if try isComplete() { return nil }
      throw error
    }
  }

  /// Returns whether a path is a folder with contents, or not a folder.
  private static func isTaken(_ path: String) throws(DVAEError) -> Bool {
    switch FileSystem.kind(path) {
    case .missing: false
    case .file: true
    case .folder: try !FileSystem.isEmpty(path)
    }
  }
}
