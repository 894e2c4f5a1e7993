import DVAEKit
import Foundation
import Synchronization

/// The output of a command: results to one stream, everything else to the other.
///
/// Tests set the task-local console to their own and read the output.
package final class Console: Sendable {
  /// The console of the running command.
  @TaskLocal package static var current = Console.standard

  /// Standard output and standard error.
  package static let standard = Console(
    isTerminal: isatty(2) == 1, columns: { windowColumns(2) },
    // A program that reads results gets them as they are; a terminal would obey names from files.
    output: { write(isatty(1) == 1 ? printable($0) : $0, to: 1) },
    errors: { write($0, to: 2) })

  /// Whether the error stream is a terminal, so that lines may be redrawn.
  package let isTerminal: Bool
  /// The shortest time between two lines of progress of a job.
  package let pause: Duration
  /// The terminal's current width; nil if unknown.
  private let columns: @Sendable () -> Int?
  private let output: @Sendable (String) -> Bool
  private let errors: @Sendable (String) -> Bool
  private let state = Mutex(State())

  private struct State {
    var drawn = 0
    var outputFailed = false
  }

  /// Makes a console; the write closures return whether they succeeded.
  ///
  /// Progress is shown as often as it can be read: by default, in a file every 30 s.
  package init(
    isTerminal: Bool, pause: Duration? = nil, columns: @escaping @Sendable () -> Int? = { nil },
    output: @escaping @Sendable (String) -> Bool,
    errors: @escaping @Sendable (String) -> Bool
  ) {
    self.isTerminal = isTerminal
    self.pause = pause ?? (isTerminal ? .milliseconds(200) : .seconds(30))
    self.columns = columns
    self.output = output
    self.errors = errors
  }

  /// Whether a result could not be delivered, other than to a reader that closed its end on
  /// purpose.
  package var outputFailed: Bool { state.withLock { $0.outputFailed } }

  /// Prints a line of results.
  ///
  /// Names from files may hold line breaks, which would look like further results. They are escaped,
  /// as are all control characters but the tab.
  package func print(_ line: String) { print(lines: [line]) }

  /// Prints lines of results, each as `print(_:)` does.
  package func print(lines: [String]) {
    let text = lines.map { escapingControls($0) + "\n" }.joined()
    state.withLock { state in
      clear(&state)
      if !output(text) { state.outputFailed = true }
    }
  }

  /// Prints text of several lines, in which nothing comes from files.
  package func print(text: String) {
    print(lines: text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init))
  }

  /// Other invisible characters belong to names that programs open, such as joined emoji.
  private func escapingControls(_ line: String) -> String {
    let isControl = { (scalar: Unicode.Scalar) in
      scalar.properties.generalCategory == .control && scalar != "\t"
    }
    guard line.unicodeScalars.contains(where: isControl) else { return line }
    return line.unicodeScalars.map {
      isControl($0) ? printable(String($0), keeping: []) : String($0)
    }.joined()
  }

  /// Prints a line other than a result: a warning, an error.
  package func note(_ line: String) {
    state.withLock { state in
      clear(&state)
      _ = errors(printable(line) + "\n")
    }
  }

  /// Shows progress: on a terminal it replaces the last drawn line, else it is a line of its own.
  ///
  /// As many fields are shown as fit into the width (in a file 80 columns), the first of them truncated
  /// if need be; no fields clear the line.
  package func draw(_ fields: [String]) {
    guard isTerminal else {
      if !fields.isEmpty { note(Self.line(of: fields, columns: 81)) }
      return
    }
    state.withLock { draw(fields, &$0) }
  }

  // The last column stays free, because some terminals wrap after writing it.
  private static func line(of fields: [String], columns: Int) -> String {
    var line = String((fields.first ?? "").prefix(columns - 1))
    for field in fields.dropFirst() {
      guard line.count + 2 + field.count < columns else { break }
      line += ", " + field
    }
    return line
  }

  private func clear(_ state: inout State) {
    if state.drawn > 0 { draw([], &state) }
  }

  /// The width is read each time, because a window can be resized during a job.
  private func draw(_ fields: [String], _ state: inout State) {
    let columns = max(1, columns() ?? .max)
    let line = Self.line(of: fields, columns: columns)
    var text = "\r"
    if state.drawn > columns {
      // The window is narrower now and the last line wraps: go up to its start and clear all.
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
    // Swift does not import this macro: _IOR('t', 104, struct winsize).
    let request: UInt = 0x4008_7468
    #else
    let request = UInt(TIOCGWINSZ)
    #endif
    guard ioctl(descriptor, request, &size) == 0, size.ws_col > 0 else { return nil }
    return Int(size.ws_col)
  }

  /// Waits until a descriptor that is full, and does not block by itself, takes more.
  ///
  /// Other programs at the same terminal or pipe, such as ssh, can make it so at any time.
  private static func waited(for descriptor: Int32) -> Bool {
    guard errno == EAGAIN || errno == EWOULDBLOCK else { return false }
    var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    return poll(&request, 1, -1) > 0 || errno == EINTR
  }

  // A reader that closed its end (`dvae … | head`) has all it needs, so this is not a failure.
  private static func write(_ text: String, to descriptor: Int32) -> Bool {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes {
        Foundation.write(descriptor, $0.baseAddress, $0.count)
      }
      if written < 0 {
        if errno == EINTR || waited(for: descriptor) { continue }
        return errno == EPIPE
      }
      rest = rest.dropFirst(written)
    }
    return true
  }
}
