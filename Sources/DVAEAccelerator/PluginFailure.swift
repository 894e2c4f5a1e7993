import CDVAEPJRT
import DVAEFiles

/// An error from a function of a plugin.
struct PluginFailure: Error {
  /// One of gRPC's codes.
  let code: Int
  /// The plugin's message, which may have many lines.
  let text: String

  /// The first line of the message.
  var message: String {
    String(text.split(whereSeparator: \.isNewline).first ?? "no message")
  }

  /// The step that failed.
  enum Step {
    case starting
    case compiling
    /// Transferring this many bytes to or from the device.
    case moving(bytes: Int)
    case running
  }

  /// Whether the device is out of memory.
  var isOutOfMemory: Bool {
    code == DVAE_PJRT_RESOURCE_EXHAUSTED || text.contains("RESOURCE_EXHAUSTED")
      || text.contains("Out of memory")
  }
}

extension Plugin {
  /// Converts a plugin's error.
  ///
  /// - Parameters:
  ///   - failure: the plugin's error
  ///   - step: the step that failed
  ///   - memory: the memory of the device and of the program, for an error about memory
  /// - Returns: the error, one line
  func error(
    _ failure: PluginFailure, _ step: PluginFailure.Step, memory: () -> String = { "" }
  ) -> DVAEError {
    if failure.isOutOfMemory {
      var facts = [memory()]
      if case .moving(let bytes) = step { facts.insert("\(sizeText(bytes)) for a tensor", at: 0) }
      let known = facts.filter { !$0.isEmpty }.joined(separator: ", ")
      return DVAEError(
        .inputOutput, file: name,
        "the device is out of memory\(known.isEmpty ? "" : " (\(known))"): "
          + "\(failure.message); use smaller batches")
    }
    return switch step {
    case .starting: DVAEError(.missing, file: name, "no usable device: \(failure.message)")
    case .compiling:
      DVAEError(.internal, file: name, "the program cannot be compiled: \(failure.message)")
    case .moving, .running:
      failure.code == DVAE_PJRT_INVALID_ARGUMENT
        ? DVAEError(
          .internal, file: name, "the program does not fit its arguments: \(failure.message)")
        : DVAEError(.inputOutput, file: name, "the device failed: \(failure.message)")
    }
  }
}
