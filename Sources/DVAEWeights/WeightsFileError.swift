/// What can be wrong with a file of tensors, read or written.
///
/// `description` is one line that names the file, what was expected, what was found and what to do.
public enum WeightsFileError: Error, Hashable, Sendable, CustomStringConvertible {
  /// There is nothing at the path.
  case missing(path: String)
  /// The system refuses to open or map the file.
  case notReadable(path: String, reason: String)
  /// The path leads to a folder, a device or a pipe.
  case notAFile(path: String, found: String)
  /// The file has no bytes.
  case empty(path: String)
  /// The content is of no known format; `found` says what it looks like.
  case unrecognised(path: String, found: String)
  /// The file ends before what it promises: `part` needs bytes that are not there.
  case truncated(path: String, part: String, needed: Int, available: Int)
  /// The content contradicts its own format.
  case malformed(path: String, problem: String)
  /// A pickle asks for a name that loading weights has no need of; running it could do anything.
  case refusedName(path: String, name: String)
  /// A pickle uses an instruction that `torch.save` does not write.
  case refusedInstruction(path: String, opcode: UInt8, offset: Int)
  /// The file asks for more than any weights need, as a bomb would.
  case limitExceeded(path: String, what: String, limit: Int)
  /// The format is known and this variety of it is not read; `advice` says what to do.
  case unsupported(path: String, what: String, advice: String)
  /// One tensor's shape, type, strides or place in the file is wrong.
  case invalidTensor(path: String, tensor: String, problem: String)
  /// Two tensors have one name.
  case duplicateTensor(path: String, tensor: String)
  /// The file holds no tensor.
  case noTensors(path: String)
  /// The file became shorter after it had been opened.
  case changed(path: String)
  /// The output cannot be created.
  case cannotCreate(path: String, reason: String)
  /// Writing the output failed on the way; what was there before is still there.
  case cannotWrite(path: String, reason: String)

  /// The file that the error is about.
  public var path: String {
    switch self {
    case .missing(let path), .notReadable(let path, _), .notAFile(let path, _), .empty(let path),
      .unrecognised(let path, _), .truncated(let path, _, _, _), .malformed(let path, _),
      .refusedName(let path, _), .refusedInstruction(let path, _, _),
      .limitExceeded(let path, _, _), .unsupported(let path, _, _),
      .invalidTensor(let path, _, _), .duplicateTensor(let path, _), .noTensors(let path),
      .changed(let path), .cannotCreate(let path, _), .cannotWrite(let path, _):
      path
    }
  }

  /// One line for people.
  public var description: String { oneLine("\(path): \(explanation)") }

  private var explanation: String {
    switch self {
    case .missing:
      "there is no such file; check the path"
    case .notReadable(_, let reason):
      "cannot be read (\(reason)); check its permissions"
    case .notAFile(_, let found):
      "expected a file, found \(found)"
    case .empty:
      "the file is empty; fetch or write it again"
    case .unrecognised(_, let found):
      "expected safetensors or a file of torch.save, found \(found)"
    case .truncated(_, let part, let needed, let available):
      "cut short: \(part) needs \(needed) bytes, found \(available); fetch the file again"
    case .malformed(_, let problem):
      "damaged: \(problem); fetch the file again"
    case .refusedName(_, let name):
      "refuses the pickled name '\(name)', which weights have no need of; do not open this file "
        + "with Python either unless you trust who made it"
    case .refusedInstruction(_, let opcode, let offset):
      "refuses the pickle instruction 0x\(hexadecimal(opcode)) at byte \(offset), which torch.save "
        + "does not write; save the weights again with torch.save or as safetensors"
    case .limitExceeded(_, let what, let limit):
      "refused: \(what), the limit is \(limit); no weights file needs that"
    case .unsupported(_, let what, let advice):
      "\(what) cannot be read; \(advice)"
    case .invalidTensor(_, let tensor, let problem):
      "tensor '\(tensor)' \(problem)"
    case .duplicateTensor(_, let tensor):
      "two tensors are named '\(tensor)'; expected each name once"
    case .noTensors:
      "expected weights, found no tensor in the file"
    case .changed:
      "became shorter while it was in use; open it again once it is complete"
    case .cannotCreate(_, let reason):
      "cannot be created: \(reason)"
    case .cannotWrite(_, let reason):
      "cannot be written: \(reason); what was there before is unchanged"
    }
  }
}

/// Two hexadecimal digits.
func hexadecimal(_ byte: UInt8) -> String {
  (byte < 16 ? "0" : "") + String(byte, radix: 16)
}

/// Text from a file made safe to print: one line, no control characters, not endless.
func oneLine(_ text: String, limit: Int = 600) -> String {
  var line = ""
  for scalar in text.unicodeScalars.prefix(limit) {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate:
      line += "\\u{\(String(scalar.value, radix: 16))}"
    default:
      line.unicodeScalars.append(scalar)
    }
  }
  return text.unicodeScalars.count > limit ? line + "…" : line
}
