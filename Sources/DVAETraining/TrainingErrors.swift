public import DVAEFiles

extension DVAEError.Code {
  /// The run was started with other settings.
  public static let settingsChanged = Self(rawValue: "settings-changed")
  /// The checkpoint is intact, but of another version of this package.
  public static let otherVersion = Self(rawValue: "other-version")
}

extension DVAEError {
  /// Returns the error of a setting with an impossible value.
  package static func configuration(field: String, problem: String) -> DVAEError {
    DVAEError(.usage, "setting '\(field)' \(problem)")
  }

  /// Returns the error of a file that is not a configuration.
  package static func configurationFile(path: String, problem: String) -> DVAEError {
    DVAEError(.usage, file: path, problem)
  }

  /// Returns the error of an intact checkpoint that another version of this package has written.
  package static func checkpointVersion(path: String, problem: String) -> DVAEError {
    DVAEError(
      .badData, code: .otherVersion, file: path,
      "it is intact, but of another version: \(problem)",
      advice: "resume the run with the version that wrote it")
  }

  /// Returns the error of a folder that cannot become a run's.
  package static func foreignFiles(run: String, file: String, problem: String) -> DVAEError {
    DVAEError(
      .cannotCreate, file: run,
      "the folder holds '\(Path(file).name)', which a run would replace and which is not a run's: "
        + problem,
      advice: "choose an empty folder")
  }

  /// Returns the error of a folder without an intact checkpoint.
  package static func noSoundCheckpoint(run: String) -> DVAEError {
    DVAEError(
      .badData, file: run, "none of its checkpoints can be read",
      advice: "restore one, or start a new run in another folder")
  }

  /// Returns the error of images that differ from those that the checkpoint counted.
  package static func dataChanged(problem: String) -> DVAEError {
    DVAEError(
      .badData,
      "the training images are not those that this run was started with: \(problem)",
      advice: "give the same ones again, or start a new run in another folder")
  }
}

/// A setting whose value in the run differs from the requested one.
package struct SettingChange: Hashable, Sendable, CustomStringConvertible {
  /// The path of the key: `learning_rate.start`.
  package let field: String
  /// The run's value.
  package let old: String
  /// The requested value.
  package let new: String

  /// `batch_size 8 → 16`.
  package var description: String { "\(field) \(old) → \(new)" }
}
