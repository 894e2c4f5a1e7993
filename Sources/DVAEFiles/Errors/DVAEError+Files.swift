extension DVAEError.Code {
  /// The path does not exist.
  public static let missing = Self(rawValue: "missing")
  /// The system refuses to open or read the file.
  public static let unreadable = Self(rawValue: "unreadable")
  /// The file is empty.
  public static let empty = Self(rawValue: "empty")
  /// The file ends before its content does.
  public static let truncated = Self(rawValue: "truncated")
  /// The content contradicts its own format.
  public static let malformed = Self(rawValue: "malformed")
  /// The content is of no known format.
  public static let unrecognised = Self(rawValue: "unrecognised")
  /// The format is known, but not this variety of it.
  public static let unsupported = Self(rawValue: "unsupported")
  /// The content needs more time or memory than a limit allows.
  public static let limitExceeded = Self(rawValue: "limit-exceeded")
  /// The input has more bytes than a limit allows.
  public static let tooManyBytes = Self(rawValue: "too-many-bytes")
  /// The name is impossible for a file, or its path leads through a file.
  public static let impossibleName = Self(rawValue: "impossible-name")
  /// A finished output already has the name.
  public static let exists = Self(rawValue: "exists")
  /// An unfinished output of an earlier run is in the way.
  public static let unfinished = Self(rawValue: "unfinished")
  /// Another process is writing the output.
  public static let inUse = Self(rawValue: "in-use")
  /// The unfinished output cannot be continued.
  public static let startOver = Self(rawValue: "start-over")
  /// The file was truncated after it was opened.
  public static let changed = Self(rawValue: "changed")
  /// A tar archive violates its format.
  public static let badTar = Self(rawValue: "bad-tar")
}

extension DVAEError {
  /// Whether the error concerns one item of a job: its input or its name, but not the job's output.
  package var isOfItem: Bool {
    kind == .badData || [.missing, .unreadable, .impossibleName].contains(code)
  }

  /// Returns the error of a path that does not exist.
  package static func missing(path: String) -> DVAEError {
    DVAEError(
      .missing, code: .missing, file: path,
      FileSystem.isLink(path)
        ? "is a link to a file that does not exist" : "no such file or folder",
      advice: path == "-"
        ? "standard input is not read here; a file of that name is './-'"
        : path.unicodeScalars.contains("\u{FFFD}") ? "names have to be UTF-8: rename it" : nil)
  }

  /// Returns the error of a path that the system refuses to open or read.
  package static func unreadable(path: String, reason: String) -> DVAEError {
    DVAEError(.missing, code: .unreadable, file: path, "cannot be read: \(reason)")
  }

  /// Returns the error of an input larger than a limit.
  package static func tooManyBytes(name: String, bytes: Int, limit: Int) -> DVAEError {
    DVAEError(
      .badData, code: .tooManyBytes, file: name,
      "has \(bytes) bytes, more than the limit of \(limit)")
  }

  /// Returns the error of a path that leads to a folder, a device or a pipe.
  package static func notAFile(path: String, found: String) -> DVAEError {
    DVAEError(.missing, code: .unreadable, file: path, expected: "a file", found: found)
  }

  /// Returns the error of an empty file.
  package static func empty(path: String) -> DVAEError {
    DVAEError(
      .badData, code: .empty, file: path, "the file is empty", advice: "fetch or write it again")
  }

  /// Returns the error of a file that ends early: `part` needs more bytes.
  package static func truncated(
    path: String, part: String, needed: Int, available: Int
  ) -> DVAEError {
    DVAEError(
      .badData, code: .truncated, file: path,
      "cut short: \(part) needs \(needed) bytes, found \(available)",
      advice: "fetch the file again")
  }

  /// Returns the error of content that contradicts its own format.
  package static func malformed(path: String, problem: String) -> DVAEError {
    DVAEError(
      .badData, code: .malformed, file: path, "damaged: \(problem)", advice: "fetch the file again")
  }

  /// Returns the error of an unsupported variety of a known format.
  package static func unsupported(path: String, what: String, advice: String) -> DVAEError {
    DVAEError(.badData, code: .unsupported, file: path, "\(what) cannot be read", advice: advice)
  }

  /// Returns the error of content that exceeds a limit.
  package static func limitExceeded(path: String, what: String, limit: Int) -> DVAEError {
    DVAEError(
      .badData, code: .limitExceeded, file: path, "refused: \(what), the limit is \(limit)")
  }

  /// Returns the error of a file that became shorter while it was in use.
  package static func changed(path: String) -> DVAEError {
    DVAEError(
      .badData, code: .changed, file: path, "became shorter while it was in use",
      advice: "open it again once it is complete")
  }

  /// Returns the error of an output whose name is taken by a finished output.
  package static func exists(path: String) -> DVAEError {
    DVAEError(
      .cannotCreate, code: .exists, file: path, "already exists",
      advice: "choose another name, or replace it")
  }

  /// Returns the error of an unfinished output of an earlier run.
  package static func unfinished(path: String) -> DVAEError {
    DVAEError(
      .cannotCreate, code: .unfinished, file: path, "an unfinished output is here",
      advice: "continue it, or start over")
  }

  /// Returns the error of a file or folder that has got an output's name while the output was made.
  package static func appeared(
    _ path: String, whileMaking partial: String, _ problem: String = "already exists"
  ) -> DVAEError {
    DVAEError(
      .cannotCreate, code: .unfinished, file: path,
      "\(problem): it appeared during the job, whose output is complete in \(partial)",
      advice: "move it away, then continue the output")
  }

  /// Returns the error of an output that another process is writing.
  package static func inUse(path: String) -> DVAEError {
    DVAEError(.cannotCreate, code: .inUse, file: path, "another run is writing this output")
  }

  /// Returns the error of an unfinished output that cannot be continued.
  package static func startOver(
    _ kind: Kind = .badData, path: String, _ problem: String
  ) -> DVAEError {
    DVAEError(kind, code: .startOver, file: path, problem, advice: "start over")
  }

  /// Returns the error of an output that cannot be created.
  package static func cannotCreate(
    code: Code = .other, path: String, reason: String
  ) -> DVAEError {
    DVAEError(.cannotCreate, code: code, file: path, "cannot be created: \(reason)")
  }

  /// Returns the error of an output that could not be written completely.
  package static func cannotWrite(path: String, reason: String) -> DVAEError {
    DVAEError(
      .inputOutput, file: path, "cannot be written: \(reason)",
      advice: "what was there before is unchanged")
  }

  /// Returns the error of a tar archive that violates its format at a byte offset.
  package static func badTar(path: String, offset: Int, reason: String) -> DVAEError {
    DVAEError(
      .badData, code: .badTar, file: path, "not a sound tar archive at byte \(offset): \(reason)")
  }

  /// Returns the error of a tensor whose shape, type, strides or position in the file is wrong.
  package static func invalidTensor(path: String, tensor: String, problem: String) -> DVAEError {
    // The array of a .npy file has no name.
    let subject = tensor.isEmpty ? "the array" : "tensor '\(tensor)'"
    return DVAEError(.badData, code: .malformed, file: path, "\(subject) \(problem)")
  }

  /// Returns the error of two tensors with the same name.
  package static func duplicateTensor(path: String, tensor: String) -> DVAEError {
    DVAEError(
      .badData, code: .malformed, file: path,
      "two tensors are named '\(tensor)'; expected each name once")
  }
}
