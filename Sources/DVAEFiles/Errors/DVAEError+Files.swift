extension DVAEError.Code {
  /// Nothing lies at the path.
  public static let missing = Self(rawValue: "missing")
  /// The system refuses to open or read the file.
  public static let unreadable = Self(rawValue: "unreadable")
  /// The file has no bytes.
  public static let empty = Self(rawValue: "empty")
  /// The file ends before its content does.
  public static let truncated = Self(rawValue: "truncated")
  /// The content contradicts its own format.
  public static let malformed = Self(rawValue: "malformed")
  /// The content is of no known format.
  public static let unrecognised = Self(rawValue: "unrecognised")
  /// The format is known, and this variety of it is not read.
  public static let unsupported = Self(rawValue: "unsupported")
  /// The content needs more time or memory than a limit allows.
  public static let limitExceeded = Self(rawValue: "limit-exceeded")
  /// The input has more bytes than a limit allows.
  public static let tooManyBytes = Self(rawValue: "too-many-bytes")
  /// A name that no file can have, or that leads through a file.
  public static let impossibleName = Self(rawValue: "impossible-name")
  /// A finished output has the name already.
  public static let exists = Self(rawValue: "exists")
  /// An unfinished output of an earlier run is in the way.
  public static let unfinished = Self(rawValue: "unfinished")
  /// An unfinished output cannot be continued.
  public static let startOver = Self(rawValue: "start-over")
  /// The file was shortened after it had been opened.
  public static let changed = Self(rawValue: "changed")
}

extension DVAEError {
  /// The error of a path that leads to nothing.
  package static func missing(path: String) -> DVAEError {
    DVAEError(
      .missing, code: .missing, file: path, "no such file or folder",
      advice: path.unicodeScalars.contains("\u{FFFD}")
        ? "names have to be UTF-8: rename it" : nil)
  }

  /// The error of a path that the system refuses to open or read.
  package static func unreadable(path: String, reason: String) -> DVAEError {
    DVAEError(.missing, code: .unreadable, file: path, "cannot be read: \(reason)")
  }

  /// The error of an input of more bytes than a limit allows.
  package static func tooManyBytes(name: String, bytes: Int, limit: Int) -> DVAEError {
    DVAEError(
      .badData, code: .tooManyBytes, file: name,
      "has \(bytes) bytes, more than the limit of \(limit)")
  }

  /// The error of a path that leads to a folder, a device or a pipe.
  package static func notAFile(path: String, found: String) -> DVAEError {
    DVAEError(.missing, code: .unreadable, file: path, expected: "a file", found: found)
  }

  /// The error of a file without bytes.
  package static func empty(path: String) -> DVAEError {
    DVAEError(
      .badData, code: .empty, file: path, "the file is empty", advice: "fetch or write it again")
  }

  /// The error of a file that ends early: `part` needs bytes that are not there.
  package static func truncated(
    path: String, part: String, needed: Int, available: Int
  ) -> DVAEError {
    DVAEError(
      .badData, code: .truncated, file: path,
      "cut short: \(part) needs \(needed) bytes, found \(available)",
      advice: "fetch the file again")
  }

  /// The error of content that contradicts its own format.
  package static func malformed(path: String, problem: String) -> DVAEError {
    DVAEError(
      .badData, code: .malformed, file: path, "damaged: \(problem)", advice: "fetch the file again")
  }

  /// The error of a variety of a known format that is not read.
  package static func unsupported(path: String, what: String, advice: String) -> DVAEError {
    DVAEError(.badData, code: .unsupported, file: path, "\(what) cannot be read", advice: advice)
  }

  /// The error of content that asks for more than a limit.
  package static func limitExceeded(path: String, what: String, limit: Int) -> DVAEError {
    DVAEError(
      .badData, code: .limitExceeded, file: path, "refused: \(what), the limit is \(limit)")
  }

  /// The error of a file that became shorter while it was in use.
  package static func changed(path: String) -> DVAEError {
    DVAEError(
      .badData, code: .changed, file: path, "became shorter while it was in use",
      advice: "open it again once it is complete")
  }

  /// The error of an output whose name a finished one has.
  package static func exists(path: String) -> DVAEError {
    DVAEError(
      .cannotCreate, code: .exists, file: path, "is there already",
      advice: "choose another name, or replace it")
  }

  /// The error of an unfinished output of an earlier run.
  package static func unfinished(path: String) -> DVAEError {
    DVAEError(
      .cannotCreate, code: .unfinished, file: path, "an unfinished output is here",
      advice: "continue it, or start over")
  }

  /// The error of an output that another process is writing.
  package static func inUse(path: String) -> DVAEError {
    DVAEError(.cannotCreate, file: path, "another run is writing this output")
  }

  /// The error of an unfinished output that cannot be continued.
  package static func startOver(
    _ kind: Kind = .badData, path: String, _ problem: String
  ) -> DVAEError {
    DVAEError(kind, code: .startOver, file: path, problem, advice: "start over")
  }

  /// The error of an output that cannot be created.
  package static func cannotCreate(
    code: Code = .other, path: String, reason: String
  ) -> DVAEError {
    DVAEError(.cannotCreate, code: code, file: path, "cannot be created: \(reason)")
  }

  /// The error of an output whose writing failed on the way.
  package static func cannotWrite(path: String, reason: String) -> DVAEError {
    DVAEError(
      .inputOutput, file: path, "cannot be written: \(reason)",
      advice: "what was there before is unchanged")
  }
}
