import DVAEKit
import Foundation
import Synchronization

/// Where a command prints: results to one side, everything else to the other.
///
/// Tests put their own console in the task-local place and read what was printed.
package final class Console: Sendable {
  /// The console of the running command.
  @TaskLocal package static var current = Console.standard

  /// Standard output and standard error.
  package static let standard = Console(
    isTerminal: isatty(2) == 1, output: { write($0, to: 1) }, errors: { write($0, to: 2) })

  /// Whether a person watches the error side, so that a line may be redrawn.
  package let isTerminal: Bool
  private let output: @Sendable (String) -> Bool
  private let errors: @Sendable (String) -> Bool
  private let state = Mutex(State())

  private struct State {
    var drawn = 0
    var outputFailed = false
  }

  /// Makes a console; the closures return whether the text could be written.
  package init(
    isTerminal: Bool, output: @escaping @Sendable (String) -> Bool,
    errors: @escaping @Sendable (String) -> Bool
  ) {
    self.isTerminal = isTerminal
    self.output = output
    self.errors = errors
  }

  /// Whether a result could not be delivered, other than by a reader that went away on purpose.
  package var outputFailed: Bool { state.withLock { $0.outputFailed } }

  /// Prints a line of results.
  package func print(_ line: String) {
    state.withLock { state in
      clear(&state)
      if !output(line + "\n") { state.outputFailed = true }
    }
  }

  /// Prints a line beside the results: a warning, an error.
  package func note(_ line: String) {
    state.withLock { state in
      clear(&state)
      _ = errors(line + "\n")
    }
  }

  /// Draws over the last drawn line; an empty line takes it away.
  package func draw(_ line: String) {
    state.withLock { state in
      let blank = String(repeating: " ", count: max(0, state.drawn - line.count))
      _ = errors("\r" + line + blank + (line.isEmpty ? "\r" : ""))
      state.drawn = line.count
    }
  }

  private func clear(_ state: inout State) {
    guard state.drawn > 0 else { return }
    _ = errors("\r" + String(repeating: " ", count: state.drawn) + "\r")
    state.drawn = 0
  }

  // A reader that closed its end (`dvae … | head`) has what it wanted: not a failure.
  private static func write(_ text: String, to descriptor: Int32) -> Bool {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes {
        Foundation.write(descriptor, $0.baseAddress, $0.count)
      }
      if written < 0 {
        if errno == EINTR { continue }
        return errno == EPIPE
      }
      rest = rest.dropFirst(written)
    }
    return true
  }
}
