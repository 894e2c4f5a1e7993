import ArgumentParser
import DVAEFiles

/// The rule about finished outputs, the same in every command that writes: they stay, unless
/// `--overwrite` is given.
///
/// An empty folder is not an output. What an interrupted run left behind is not a finished one: see
/// `InterruptedJobOptions`.
struct OverwriteOption: ParsableArguments {
  @Flag(help: "Replace finished outputs of the same name, which are otherwise errors.")
  var overwrite = false

  /// Refuses a name that a finished output has.
  func check(_ path: String) throws(DVAEError) {
    guard !overwrite, try Self.isTaken(path) else { return }
    throw .exists(path: path)
  }

  /// Refuses a folder that holds something already, or a name that is not a folder's.
  private static func isTaken(_ path: String) throws(DVAEError) -> Bool {
    switch FileSystem.kind(path) {
    case .missing: false
    case .file: true
    case .folder: try !FileSystem.names(in: path).isEmpty
    }
  }
}
