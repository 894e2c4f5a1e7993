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
