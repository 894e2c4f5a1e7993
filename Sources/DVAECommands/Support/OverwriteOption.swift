import ArgumentParser
import DVAEFiles
import DVAEKit
import DVAETokens

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

  /// Returns whether a path is a folder with contents, or not a folder.
  private static func isTaken(_ path: String) throws(DVAEError) -> Bool {
    switch FileSystem.kind(path) {
    case .missing: false
    case .file: true
    case .folder: try !FileSystem.isEmpty(path)
    }
  }
}
