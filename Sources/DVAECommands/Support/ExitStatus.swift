import DVAEFiles
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

extension DVAEError {
  /// The line that the command line prints: the description, with the options of its advice.
  ///
  /// The library does not know them.
  var line: String {
    switch code {
    case .exists, .settingsChanged: description + " (--overwrite)"
    case .unfinished: description + " (--resume, --restart)"
    case .startOver: description + " (--restart)"
    default: description
    }
  }
}

extension ExitStatus {
  /// Whether an error is of one item of a job, which then goes on.
  static func isOfItem(_ error: any Error) -> Bool {
    guard let error = error as? DVAEError else { return false }
    return error.kind == .badData
      || [.missing, .unreadable, .impossibleName].contains(error.code)
  }
}
