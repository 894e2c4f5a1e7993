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
    isTerminal: isatty(2) == 1, columns: { windowColumns(2) }, output: { write($0, to: 1) },
    errors: { write($0, to: 2) })

  /// Whether a person watches the error side, so that a line may be redrawn.
  package let isTerminal: Bool
  /// The terminal's width at this moment; nil where it is not known.
  private let columns: @Sendable () -> Int?
  private let output: @Sendable (String) -> Bool
  private let errors: @Sendable (String) -> Bool
  private let state = Mutex(State())

  private struct State {
    var drawn = 0
    var outputFailed = false
  }

  /// Makes a console; the closures that write return whether the text could be written.
  package init(
    isTerminal: Bool, columns: @escaping @Sendable () -> Int? = { nil },
    output: @escaping @Sendable (String) -> Bool,
    errors: @escaping @Sendable (String) -> Bool
  ) {
    self.isTerminal = isTerminal
    self.columns = columns
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

  /// Draws over the last drawn line, as much as the terminal is wide; an empty line takes it away.
  package func draw(_ line: String) {
    state.withLock { draw(line, &$0) }
  }

  private func clear(_ state: inout State) {
    if state.drawn > 0 { draw("", &state) }
  }

  /// The width is asked for each time, because a window changes while a job runs.
  private func draw(_ line: String, _ state: inout State) {
    let columns = max(1, columns() ?? .max)
    // In the last column some terminals begin a new line.
    let line = line.prefix(columns - 1)
    var text = "\r"
    if state.drawn > columns {
      // The window is narrower now, and the last line takes several: go up to its start, clear all.
      text = "\u{1B}[\((state.drawn - 1) / columns)A\r\u{1B}[J"
      state.drawn = 0
    }
    text += line + String(repeating: " ", count: max(0, state.drawn - line.count))
    _ = errors(text + (line.isEmpty ? "\r" : ""))
    state.drawn = line.count
  }

  private static func windowColumns(_ descriptor: Int32) -> Int? {
    var size = winsize()
    #if canImport(Darwin)
    // A macro that Swift does not import: _IOR('t', 104, struct winsize).
    let request: UInt = 0x4008_7468
    #else
    let request = UInt(TIOCGWINSZ)
    #endif
    guard ioctl(descriptor, request, &size) == 0, size.ws_col > 0 else { return nil }
    return Int(size.ws_col)
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
