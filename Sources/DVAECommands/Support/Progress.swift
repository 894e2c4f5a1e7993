import DVAEFiles
import DVAEReports
import Synchronization

/// Prints the progress of a job on the error stream: one line that is redrawn on a terminal, or
/// occasional plain lines in a file.
package final class Progress: Sendable {
  private let console: Console
  private let what: String
  private let total: Int?
  private let unit: String
  private let quiet: Bool
  private let start = ContinuousClock.now
  private let state: Mutex<State>

  private struct State {
    var first: Int
    var done: Int
    var shown: ContinuousClock.Instant
  }

  /// Starts to count.
  ///
  /// - Parameters:
  ///   - what: the activity, such as `tokenizing`
  ///   - total: the final count, if known
  ///   - done: the count at the start; it does not enter the rate
  ///   - unit: the unit of the count; bytes are shown as sizes
  ///   - quiet: prints nothing
  ///   - console: the console to print on
  package init(
    _ what: String, of total: Int?, done: Int = 0, unit: String = "images", quiet: Bool,
    console: Console = .current
  ) {
    self.console = console
    self.what = what
    self.total = total
    self.unit = unit
    self.quiet = quiet
    state = Mutex(
      State(first: done, done: done, shown: console.isTerminal ? start - console.pause : start))
    if console.isTerminal, !quiet { Signals.endLineAtInterruption() }
  }

  /// Sets the count.
  package func update(_ done: Int, of total: Int? = nil) {
    guard !quiet else { return }
    let now = ContinuousClock.now
    let fields: [String]? = state.withLock { state in
      state.done = done
      guard now - state.shown >= console.pause else { return nil }
      state.shown = now
      return self.fields(state, of: total ?? self.total, now)
    }
    if let fields { console.draw(fields) }
  }

  /// Clears the line at the end of the job.
  package func finish() {
    if !quiet { console.draw([]) }
  }

  private func fields(
    _ state: State, of total: Int?, _ now: ContinuousClock.Instant
  ) -> [String] {
    let seconds = (now - start) / .seconds(1)
    let rate = seconds > 0 ? Double(state.done - state.first) / seconds : 0
    var line = "\(what) \(amount(state.done))"
    if let total {
      line += "/\(amount(total))"
      if total > 0 {
        line += Numbers.aligned("\(Int(100 * Double(state.done) / Double(total)))", 4) + "%"
      }
    }
    var fields = [line]
    if rate > 0 {
      fields.append(
        unit == "bytes" ? "\(amount(Int(rate)))/s" : "\(Numbers.fixed(rate, 2)) \(unit)/s")
      if let total {
        fields.append("\(Numbers.clock(seconds: Double(total - state.done) / rate)) left")
      }
    }
    return fields
  }

  private func amount(_ count: Int) -> String {
    unit == "bytes" ? sizeText(count) : "\(count)"
  }
}
