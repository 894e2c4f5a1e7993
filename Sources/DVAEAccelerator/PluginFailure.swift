import CDVAEPJRT
import DVAEFiles

/// The error that a function of a plugin returned.
struct PluginFailure: Error {
  /// One of gRPC's codes.
  let code: Int
  /// The plugin's message, which may have many lines.
  let text: String

  /// The first line of the message.
  var message: String {
    String(text.split(whereSeparator: \.isNewline).first ?? "no message")
  }

  /// What was being done.
  enum Step {
    case starting
    case compiling
    /// Moving so many bytes to or from the device.
    case moving(bytes: Int)
    case running
  }

  /// Whether the device has no memory left.
  var isOutOfMemory: Bool {
    code == DVAE_PJRT_RESOURCE_EXHAUSTED || text.contains("RESOURCE_EXHAUSTED")
      || text.contains("Out of memory")
  }
}

extension Plugin {
  /// The error of the whole package for a failure of the plugin.
  ///
  /// - Parameters:
  ///   - failure: the plugin's error
  ///   - step: what was being done
  ///   - memory: the memory of the device and of the program, for an error about memory
  /// - Returns: the error, one line
  func error(
    _ failure: PluginFailure, _ step: PluginFailure.Step, memory: () -> String = { "" }
  ) -> DVAEError {
    if failure.isOutOfMemory {
      let asked =
        if case .moving(let bytes) = step { "\(gigabytes(bytes)) for a tensor" } else { memory() }
      return DVAEError(
        .inputOutput,
        "\(name): the device is out of memory\(asked.isEmpty ? "" : " (\(asked))"): "
          + "\(failure.message); use smaller batches")
    }
    return switch step {
    case .starting: DVAEError(.missing, "\(name): no usable device: \(failure.message)")
    case .compiling:
      DVAEError(.internal, "\(name): the program cannot be compiled: \(failure.message)")
    case .moving, .running:
      failure.code == DVAE_PJRT_INVALID_ARGUMENT
        ? DVAEError(
          .internal, "\(name): the program does not fit its arguments: \(failure.message)")
        : DVAEError(.inputOutput, "\(name): the device failed: \(failure.message)")
    }
  }
}

/// A number of bytes for people.
func gigabytes(_ bytes: Int) -> String {
  let tenths = (Double(bytes) / 1e8).rounded() / 10
  return tenths >= 1 ? "\(tenths) GB" : "\((bytes + 999_999) / 1_000_000) MB"
}
