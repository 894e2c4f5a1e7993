import DVAEFiles
import DVAEWeights

/// The folder of a run: the paths of its files, its newest intact checkpoint, and the removal of
/// old ones.
///
/// As long as a value of this type lives, no other process can open the folder for training.
package struct RunFolder: Sendable {
  /// The folder's path.
  package let path: String
  /// A file that is begun and never finished, because its writer's lock keeps other processes out;
  /// nil while the folder is only looked at.
  private nonisolated(unsafe) let lock: AtomicFile?

  /// Opens the folder of a run, or creates that of a new one.
  ///
  /// - Throws: if it cannot be created, holds files that are not a run's, or another process has it
  ///   open
  package init(_ path: String) throws {
    _ = try Self.holdsRun(path)
    self.path = Path(path).withoutTrailingSlashes.text
    for folder in [path, path + "/checkpoints", path + "/images"] {
      try FileSystem.refuseLinks(to: folder, below: path)
      try FileSystem.makeFolders(folder)
    }
    lock = try Self.lock(self.path)
    // A finished run writes nothing more, and would keep what a kill in its last moment has left.
    for file in files { try AtomicFile.check(file) }
  }

  /// Looks at the folder of a run, which another process may have open; it is not changed.
  package init(readingOnly path: String) {
    self.path = Path(path).withoutTrailingSlashes.text
    lock = nil
  }

  /// Returns whether a folder holds a run, because its files may be replaced only then.
  ///
  /// - Throws: if it holds files that a run would replace, but which are not a run's
  package static func holdsRun(_ path: String) throws -> Bool {
    let folder = RunFolder(readingOnly: path)
    if try !folder.checkpoints().isEmpty { return true }
    if FileSystem.kind(folder.configuration) != .missing {
      do {
        let json = try InputFile.contents(of: folder.configuration, limit: InputFile.settingsLimit)
        _ = try TrainingConfiguration(reading: json, path: folder.configuration)
        return true
      } catch {
        throw DVAEError.foreignFiles(
          run: folder.path, file: folder.configuration, problem: error.problem)
      }
    }
    let files = folder.files.filter { FileSystem.kind($0) != .missing }
    let folders = try [folder.images, folder.path + "/checkpoints"].filter {
      try !FileSystem.isEmpty($0)
    }
    if let file = (files + folders).first {
      throw DVAEError.foreignFiles(
        run: folder.path, file: file, problem: "there are no settings of a run beside it")
    }
    return false
  }

  /// Creates the folder of a new run.
  ///
  /// - Throws: if it cannot be created, or already holds a run or files that are not a run's
  package static func new(_ path: String) throws -> RunFolder {
    let folder = try RunFolder(path)
    guard try !holdsRun(path) else {
      throw DVAEError.cannotWrite(path: path, reason: "there is a run already")
    }
    return folder
  }

  /// Removes the files of the folder's run and opens it for a new one.
  ///
  /// - Throws: if it cannot be created, holds files that are not a run's, another process has it
  ///   open, or a file cannot be removed
  package static func replacing(_ path: String) throws -> RunFolder {
    let folder = try RunFolder(path)
    // The settings go last, because they show that the other files are a run's.
    for folder in ["checkpoints", "images"] {
      for name in try FileSystem.names(in: path + "/" + folder) where isNumbered(name) {
        try FileSystem.remove(path + "/" + folder + "/" + name)
      }
    }
    for name in try FileSystem.names(in: path) where name.hasBytePrefix("events.out.tfevents.") {
      try FileSystem.remove(path + "/" + name)
    }
    for file in folder.files { try FileSystem.remove(file) }
    return folder
  }

  /// Returns whether a name is that of a checkpoint or a picture; others are not a run's.
  private static func isNumbered(_ name: String) -> Bool {
    let name = name.withoutByteSuffix(".damaged") ?? name
    // A file that was being written during a kill.
    let whole = Path.finalName(of: name)
    let stem = whole.withoutByteSuffix(checkpointSuffix) ?? whole.withoutByteSuffix(".png")
    return stem.map { $0 == "preview" || $0.utf8.count >= 9 && $0.utf8.allSatisfy(\.isDigit) }
      ?? false
  }

  /// The files of a run beside its checkpoints, pictures and events; the settings come last.
  private var files: [String] {
    [metrics, validation, report, modelCard, weights, configuration]
  }

  /// The name of the folder itself, also where the path is `.` or a link.
  package var name: String { Path(FileSystem.resolved(path)).name }

  /// The resolved settings.
  package var configuration: String { path + "/config.json" }
  /// One row per update.
  package var metrics: String { path + "/metrics.csv" }
  /// One row per validation.
  package var validation: String { path + "/validation.csv" }
  /// Pictures of the validation images.
  package var images: String { path + "/images" }
  /// The HTML report.
  package var report: String { path + "/report.html" }
  /// The model card.
  package var modelCard: String { path + "/model-card.md" }
  /// The averaged weights, which every command can load.
  package var weights: String { path + "/weights.safetensors" }

  /// Returns the path of the checkpoint after this many updates.
  package func checkpoint(_ update: Int) -> String {
    "\(path)/checkpoints/\(zeroPadded(update, 9))\(Self.checkpointSuffix)"
  }

  /// Lists the update counts of the checkpoints, newest first.
  ///
  /// - Throws: if their folder cannot be read: they would be taken for missing
  package func checkpoints() throws -> [Int] {
    try FileSystem.names(in: path + "/checkpoints").compactMap { name -> Int? in
      guard let digits = name.withoutByteSuffix(Self.checkpointSuffix) else { return nil }
      // Other programs write numbered checkpoints too, but seldom with nine digits.
      guard digits.utf8.count >= 9, digits.utf8.allSatisfy(\.isDigit) else {
        return nil
      }
      return Int(digits)
    }.filter { FileSystem.kind(checkpoint($0)) != .folder }.sorted(by: >)
  }

  /// Returns the state of the newest intact checkpoint; nil in the folder of a new run.
  ///
  /// Checkpoints with damage are renamed to `.damaged` once an older one is found to be intact, so
  /// that they do not count among those to keep.
  ///
  /// - Parameter warn: called with the reason for each checkpoint that was skipped
  /// - Returns: the state
  /// - Throws: `DVAEError.noSoundCheckpoint` if all are damaged, `badData` if there are only weights; if
  ///   one cannot be opened or is of another version of this package
  package func latest(warn: (String) -> Void) throws -> TrainingState? {
    var damaged: [String] = []
    for update in try checkpoints() {
      let path = checkpoint(update)
      do {
        let state = try Checkpoint.load(path)
        guard state.update == update else {
          throw DVAEError(
            .badData, file: path, "is that after update \(state.update) by its content")
        }
        if lock != nil {
          for path in damaged { try? FileSystem.rename(path, to: path + ".damaged") }
        }
        return state
      } catch let error as DVAEError where error.kind == .badData && error.code != .otherVersion {
        warn("passing over a damaged checkpoint: \(path): \(error.problem)")
        damaged.append(path)
      }
    }
    guard damaged.isEmpty else { throw DVAEError.noSoundCheckpoint(run: self.path) }
    // Weights are written after a checkpoint; a new run would replace them.
    guard FileSystem.kind(weights) == .missing else {
      throw DVAEError(
        .badData, file: self.path,
        "has the weights of a run, but none of its checkpoints to go on from",
        advice: "restore one, or start a new run from the weights in another folder")
    }
    return nil
  }

  /// Writes the state's checkpoint, then removes the oldest beyond those that are to be kept.
  ///
  /// - Returns: the file
  @discardableResult
  package func save(_ state: TrainingState) throws -> String {
    let path = checkpoint(state.update)
    try Checkpoint.save(state, to: path)
    for old in try checkpoints().filter({ $0 <= state.update }).dropFirst(state.configuration.keep)
    {
      try? FileSystem.remove(checkpoint(old))
    }
    return path
  }

  /// Writes the settings.
  package func write(_ configuration: TrainingConfiguration) throws {
    try AtomicFile.write(
      Array(configuration.json()) + [UInt8(ascii: "\n")], to: self.configuration)
  }

  private static let checkpointSuffix = ".safetensors"

  /// Keeps other processes out of a run's folder as long as the file lives.
  private static func lock(_ run: String) throws(DVAEError) -> AtomicFile {
    do throws(DVAEError) {
      return try AtomicFile(run + "/.run")
    } catch  where error.code == .inUse {
      throw DVAEError(
        .cannotCreate, code: .inUse, file: run, "another process is training this run",
        advice: "wait for its end, or choose another folder")
    }
  }
}
