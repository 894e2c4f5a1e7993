import ArgumentParser
import DVAEKit
import DVAEPreparation

/// The exit statuses of BSD's sysexits.
enum ExitStatus {
  static let done: Int32 = 0
  static let usage: Int32 = 64
  static let badData: Int32 = 65
  static let missing: Int32 = 66
  static let fault: Int32 = 70
  static let cannotCreate: Int32 = 73
  static let inputOutput: Int32 = 74

  /// Returns the status of an error; nil for errors of the argument parser.
  static func of(_ error: any Error) -> Int32? {
    switch error {
    case let error as DVAEError: of(error.kind)
    // A cancelled job stopped midway, as one whose disk is full, and can be continued.
    case is CancellationError: inputOutput
    case is ValidationError, is CleanExit, is ExitCode: nil
    // The parser's error types are not public; only their module's name identifies them.
    default: String(reflecting: type(of: error)).hasPrefix("ArgumentParser.") ? nil : fault
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
}

/// A bulk job in which some items failed, each of which has been reported.
struct FinishedWithFailures: Error, CustomStringConvertible {
  /// The number of failed items.
  var failed: Int
  /// The number of all items.
  var total: Int
  /// The failure in words.
  var what = "could not be done"
  /// The exit status.
  var status = ExitStatus.badData

  var description: String { "\(failed) of \(total) \(what)" }
}

extension DVAEError {
  /// The printed line: the description, with the options or the command in its advice.
  var line: String { description + code.options }

  /// The line of an error that ended a command, which may lack the option that another one has.
  func line(of command: any ParsableCommand.Type) -> String {
    guard let (option, other) = code.optionElsewhere,
      !CommandWords.options(of: command).contains(option)
    else { return line }
    return "\(description) (\(other) \(option))"
  }
}

extension DVAEError.Code {
  /// The options or the command that help with an error, in parentheses; empty if there are none.
  ///
  /// The library does not know them. The reason for which `dvae prepare` drops a pair is a code.
  var options: String { Self.options[self].map { " (\($0))" } ?? "" }

  /// An option that helps with an error, but which not every command has that meets it, and a command
  /// that has it.
  fileprivate var optionElsewhere: (option: String, command: String)? {
    self == .unknownGrid ? ("--grid", "dvae tokens convert") : nil
  }

  private static let options: [Self: String] = [
    .exists: "--overwrite", .settingsChanged: "--overwrite", .unfinished: "--resume, --restart",
    .startOver: "--restart", .notDownloaded: "dvae weights download",
    .tooManyPixels: "--max-pixels", .unknownGrid: "--grid",
    .unknownFormat: "--format", .unknownColumns: "--caption-column, --image-column",
    Self(rawValue: "cannot-listen"): "--port, --host",
    Self(rawValue: "no-caption"):
      "NAME.txt, --caption-column; --require-caption off",
    Self(rawValue: "too-large"): "--max-bytes",
    Self(rawValue: "missing-file"): "--images", Self(rawValue: "outside-images"): "--images",
    Self(rawValue: "private-address"): "--allow-private-addresses",
  ]
}
