import ArgumentParser
import DVAECPUEngine
import DVAEKit
import DVAEModel
import DVAETraining
import DVAEImages
import DVAEWeights

/// The exit statuses, which are those of BSD's sysexits.
enum ExitStatus {
  static let done: Int32 = 0
  static let usage: Int32 = 64
  static let badData: Int32 = 65
  static let missing: Int32 = 66
  static let fault: Int32 = 70
  static let cannotCreate: Int32 = 73
  static let inputOutput: Int32 = 74

  /// The status that an error stands for; nil for those of the argument parser.
  static func of(_ error: any Error) -> Int32? {
    switch error {
    case let error as DVAEError: of(error.kind)
    case let error as ImageError: of(error)
    case let error as WeightsFileError: of(error)
    case let error as TrainingError: of(error)
    case is ParameterError, is ArchitectureError, is ModelInputError: badData
    case is InstructionSetError: usage
    case is CancellationError: inputOutput
    case is ValidationError, is CleanExit, is ExitCode: nil
    default: isOfParser(error) ? nil : fault
    }
  }

  private static func of(_ kind: DVAEError.Kind) -> Int32 {
    switch kind {
    case .usage: usage
    case .badData: badData
    case .missing: missing
    case .cannotCreate: cannotCreate
    case .inputOutput: inputOutput
    case .internal: fault
    }
  }

  private static func of(_ error: ImageError) -> Int32 {
    if case .invalidSetting = error { return usage }
    return error.isMissingInput ? missing : badData
  }

  private static func of(_ error: WeightsFileError) -> Int32 {
    switch error {
    case .missing, .notReadable, .notAFile: missing
    case .cannotCreate: cannotCreate
    case .cannotWrite: inputOutput
    default: badData
    }
  }

  private static func of(_ error: TrainingError) -> Int32 {
    switch error {
    case .configuration, .configurationFile, .settingsChanged: usage
    case .checkpoint, .noSoundCheckpoint, .diverged, .initialWeights, .dataChanged: badData
    case .cannotWrite: cannotCreate
    }
  }

  // The parser keeps its own errors to itself; their module's name is all there is to see.
  private static func isOfParser(_ error: any Error) -> Bool {
    String(reflecting: type(of: error)).hasPrefix("ArgumentParser.")
  }
}

/// A bulk job that is done but for some items, each of which has been reported.
struct FinishedWithFailures: Error, CustomStringConvertible {
  /// Items that failed.
  var failed: Int
  /// Items in all.
  var total: Int
  /// What became of them.
  var what = "could not be done"
  /// What the program ends with.
  var status = ExitStatus.badData

  var description: String { "\(failed) of \(total) \(what)" }
}

extension ExitStatus {
  /// Whether an error is of one item of a job, which then goes on.
  static func isOfItem(_ error: any Error) -> Bool {
    if error is ImageError { return true }
    return (error as? DVAEError)?.kind == .badData
  }
}
