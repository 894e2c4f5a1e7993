/// Why a run cannot start or go on; one line that says what to do.
public enum TrainingError: Error, Hashable, Sendable, CustomStringConvertible {
  /// A value of the configuration cannot be.
  case configuration(field: String, problem: String)
  /// A configuration file is not one.
  case configurationFile(path: String, problem: String)
  /// The run in a folder was started with other settings.
  case settingsChanged(run: String, changes: [SettingChange])
  /// A checkpoint is not what its run needs.
  case checkpoint(path: String, problem: String)
  /// A folder holds checkpoints, and none of them can be read.
  case noSoundCheckpoint(run: String)
  /// A loss, a gradient or a parameter is not a number any more.
  case diverged(update: Int, what: String, lastCheckpoint: String?)
  /// The weights to start from are those of another architecture.
  case initialWeights(path: String, problem: String)
  /// The images are not those that the checkpoint counted.
  case dataChanged(problem: String)
  /// A file of the run cannot be written.
  case cannotWrite(path: String, reason: String)

  /// One line for people.
  public var description: String {
    switch self {
    case .configuration(let field, let problem):
      "setting '\(field)' \(problem)"
    case .configurationFile(let path, let problem):
      "\(path): \(problem)"
    case .settingsChanged(let run, let changes):
      "\(run): this run was started with other settings: "
        + changes.map(\.description).joined(separator: ", ")
        + "; leave them out to resume it, or start a new run in another folder"
    case .checkpoint(let path, let problem):
      "\(path): \(problem)"
    case .noSoundCheckpoint(let run):
      "\(run): none of its checkpoints can be read; restore one, or start a new run in another "
        + "folder"
    case .diverged(let update, let what, let lastCheckpoint):
      "training diverged at update \(update): \(what); "
        + (lastCheckpoint.map { "the last checkpoint, \($0), is sound; " } ?? "")
        + "lower the learning rate, limit the gradient's norm, or let the temperature fall more "
        + "slowly"
    case .initialWeights(let path, let problem):
      "\(path): cannot start from these weights: \(problem)"
    case .dataChanged(let problem):
      "the training images are not those that this run was started with: \(problem); give the "
        + "same ones again, or start a new run in another folder"
    case .cannotWrite(let path, let reason):
      "\(path): cannot be written (\(reason))"
    }
  }
}

/// A setting that differs between a run and what was asked for.
public struct SettingChange: Hashable, Sendable, CustomStringConvertible {
  /// Path of the key: `learning_rate.start`.
  public let field: String
  /// The run's value.
  public let old: String
  /// The value asked for.
  public let new: String

  /// `batch_size 8 → 16`.
  public var description: String { "\(field) \(old) → \(new)" }
}
