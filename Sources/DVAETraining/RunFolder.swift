import DVAEFiles
import DVAEWeights

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The folder of a run: where its files are, which of its checkpoints is the newest sound one, and
/// which may go.
///
/// While a value of this type lives, no other process can open the folder for a run.
package struct RunFolder: Sendable {
  /// The folder.
  package let path: String
  private let lock: RunLock

  /// Opens or creates a run's folder.
  ///
  /// - Throws: where it cannot be created, or another process has it open.
  package init(_ path: String) throws {
    self.path = path
    for folder in [path, path + "/checkpoints", path + "/images"] {
      do {
        try FileManager.default.createDirectory(
          atPath: folder, withIntermediateDirectories: true)
      } catch {
        throw DVAEError.cannotCreate(path: folder, reason: "the folder cannot be created")
      }
    }
    lock = try RunLock(path + "/.run")
  }

  /// Opens the folder of a run that has begun; nil where there is none.
  ///
  /// - Throws: where another process has it open
  package static func existing(_ path: String) throws -> RunFolder? {
    let isBegun = ["/config.json", "/checkpoints"].contains {
      FileManager.default.fileExists(atPath: path + $0)
    }
    return isBegun ? try RunFolder(path) : nil
  }

  /// Creates the folder of a new run.
  ///
  /// - Throws: where it cannot be created, or a run has been there or has come there meanwhile
  package static func new(_ path: String) throws -> RunFolder {
    let folder = try RunFolder(path)
    guard folder.checkpoints().isEmpty else {
      throw DVAEError.cannotWrite(path: path, reason: "there is a run already")
    }
    return folder
  }

  /// Opens the folder of a new run in the place of another, whose files are removed.
  ///
  /// - Throws: where it cannot be created, another process has it open, or a file cannot be removed
  package static func replacing(_ path: String) throws -> RunFolder {
    let folder = try RunFolder(path)
    // The checkpoints first: what is left after a kill is then a folder without a run.
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
  /// The page that shows how the run goes.
  package var report: String { path + "/report.html" }
  /// The description of the model.
  package var modelCard: String { path + "/model-card.md" }
  /// The averaged parameters in the form that `--weights` takes.
  package var weights: String { path + "/weights.safetensors" }

  /// Where the checkpoint after so many updates is.
  package func checkpoint(_ update: Int) -> String {
    let digits = "\(update)"
    let zeros = String(repeating: "0", count: max(0, 9 - digits.count))
    return "\(path)/checkpoints/\(zeros)\(digits)\(Self.checkpointSuffix)"
  }

  /// Updates of the checkpoints that there are, the newest first.
  package func checkpoints() -> [Int] {
    let names = try? FileManager.default.contentsOfDirectory(atPath: path + "/checkpoints")
    return (names ?? []).compactMap { name in
      guard name.hasSuffix(Self.checkpointSuffix) else { return nil }
      let digits = name.dropLast(Self.checkpointSuffix.count)
      return digits.utf8.allSatisfy { (48...57).contains($0) } ? Int(digits) : nil
    }.sorted(by: >)
  }

  /// The state of the newest sound checkpoint; nil in the folder of a new run.
  ///
  /// One that is damaged gets `.damaged` behind its name, so that it is never counted among those
  /// that are kept.
  ///
  /// - Parameter warn: told of each checkpoint that was passed over, and why
  /// - Returns: the state
  /// - Throws: `DVAEError.noSoundCheckpoint` where all are damaged; where one cannot be opened
  package func latest(warn: (String) -> Void) throws -> TrainingState? {
    let updates = checkpoints()
    for update in updates {
      let path = checkpoint(update)
      do {
        return try Checkpoint.load(path)
      } catch let error as DVAEError where error.kind == .badData {
        warn("passing over a damaged checkpoint: \(error)")
        try? FileManager.default.moveItem(atPath: path, toPath: path + ".damaged")
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
      try? FileManager.default.removeItem(atPath: checkpoint(old))
    }
    return path
  }

  /// Writes the settings.
  package func write(_ configuration: TrainingConfiguration) throws {
    let file = try AtomicFile(self.configuration)
    try file.write(Array(try configuration.json()) + [UInt8(ascii: "\n")])
    try file.commit()
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
