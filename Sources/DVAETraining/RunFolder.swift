import DVAEFiles
import DVAEWeights

/// The folder of a run: the paths of its files, its newest intact checkpoint, and the removal of
/// old ones.
///
/// As long as a value of this type lives, no other process can open the folder for training.
package struct RunFolder: Sendable {
  /// The folder's path.
  package let path: String
  private let lock: RunLock

  /// Opens or creates a run's folder.
  ///
  /// - Throws: if it cannot be created or another process has it open.
  package init(_ path: String) throws {
    self.path = path
    for folder in [path, path + "/checkpoints", path + "/images"] {
      try FileSystem.makeFolder(folder)
    }
    lock = try RunLock(path + "/.run")
  }

  /// Opens the folder of an existing run; nil if there is none.
  ///
  /// - Throws: if another process has it open
  package static func existing(_ path: String) throws -> RunFolder? {
    let isBegun = ["/config.json", "/checkpoints"].contains {
      FileSystem.kind(path + $0) != .missing
    }
    return isBegun ? try RunFolder(path) : nil
  }

  /// Creates the folder of a new run.
  ///
  /// - Throws: if it cannot be created, or already holds a run
  package static func new(_ path: String) throws -> RunFolder {
    let folder = try RunFolder(path)
    guard folder.checkpoints().isEmpty else {
      throw DVAEError.cannotWrite(path: path, reason: "there is a run already")
    }
    return folder
  }

  /// Removes the files of the folder's run and opens it for a new one.
  ///
  /// - Throws: if it cannot be created, another process has it open, or a file cannot be removed
  package static func replacing(_ path: String) throws -> RunFolder {
    let folder = try RunFolder(path)
    // Checkpoints go first: after a kill, the folder then holds no run.
    for name in ["checkpoints", "images"] {
      try FileSystem.removeFolder(path + "/" + name)
      try FileSystem.makeFolder(path + "/" + name)
    }
    let files = [
      folder.configuration, folder.metrics, folder.validation, folder.report, folder.modelCard,
      folder.weights,
    ]
    for file in files { try FileSystem.remove(file) }
    for name in try FileSystem.names(in: path) where name.hasBytePrefix("events.out.tfevents.") {
      try FileSystem.remove(path + "/" + name)
    }
    return folder
  }

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
    let digits = "\(update)"
    let zeros = String(repeating: "0", count: max(0, 9 - digits.count))
    return "\(path)/checkpoints/\(zeros)\(digits)\(Self.checkpointSuffix)"
  }

  /// Lists the update counts of the checkpoints, newest first.
  package func checkpoints() -> [Int] {
    let names = try? FileSystem.names(in: path + "/checkpoints")
    return (names ?? []).compactMap { name in
      guard let digits = name.withoutByteSuffix(Self.checkpointSuffix) else { return nil }
      return digits.utf8.allSatisfy { (48...57).contains($0) } ? Int(digits) : nil
    }.sorted(by: >)
  }

  /// Returns the state of the newest intact checkpoint; nil in the folder of a new run.
  ///
  /// A damaged checkpoint is renamed to `.damaged`, so that it does not count among those to keep.
  ///
  /// - Parameter warn: called with the reason for each checkpoint that was skipped
  /// - Returns: the state
  /// - Throws: `DVAEError.noSoundCheckpoint` if all are damaged; if one cannot be opened
  package func latest(warn: (String) -> Void) throws -> TrainingState? {
    let updates = checkpoints()
    for update in updates {
      let path = checkpoint(update)
      do {
        return try Checkpoint.load(path)
      } catch let error as DVAEError where error.kind == .badData {
        warn("passing over a damaged checkpoint: \(error)")
        try? FileSystem.rename(path, to: path + ".damaged")
      }
    }
    guard updates.isEmpty else { throw DVAEError.noSoundCheckpoint(run: self.path) }
    return nil
  }

  /// Writes the state's checkpoint, then removes the oldest beyond those that are to be kept.
  ///
  /// - Returns: the file
  @discardableResult
  package func save(_ state: TrainingState) throws -> String {
    let path = checkpoint(state.update)
    try Checkpoint.save(state, to: path)
    for old in checkpoints().filter({ $0 <= state.update }).dropFirst(state.configuration.keep) {
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
}

/// Keeps other processes out of a run's folder as long as it lives.
private final class RunLock: @unchecked Sendable {
  // A file that is begun and never finished: its writer's lock is what is wanted.
  private let file: AtomicFile

  init(_ path: String) throws {
    file = try AtomicFile(path)
  }
}
