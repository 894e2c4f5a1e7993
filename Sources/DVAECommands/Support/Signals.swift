import Foundation

/// Signals from outside: Ctrl-C, kill, a scheduler.
enum Signals {
  /// Installs a signal handler, unless the signal was ignored when the program started: `nohup`
  /// ignores SIGHUP, and a shell ignores SIGINT for the background jobs of a script.
  ///
  /// - Parameters:
  ///   - number: the signal
  ///   - handler: may only call async-signal-safe functions
  /// - Returns: whether the signal is handled
  @discardableResult
  static func handle(_ number: Int32, _ handler: @escaping @convention(c) (Int32) -> Void) -> Bool {
    let previous = signal(number, handler)
    guard unsafeBitCast(previous, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) else {
      return true
    }
    signal(number, SIG_IGN)
    return false
  }

  /// Writes to standard error within a signal handler.
  static func write(_ text: StaticString) {
    _ = Foundation.write(2, text.utf8Start, text.utf8CodeUnitCount)
  }

  /// From now on, Ctrl-C prints how to continue a job before it ends the program.
  static func explainInterruption() {
    handle(SIGINT) { _ in
      Signals.write("\nInterrupted: the same command with --resume goes on.\n")
      signal(SIGINT, SIG_DFL)
      raise(SIGINT)
    }
  }

  /// From now on, Ctrl-C ends the drawn line before it ends the program, unless it does more.
  static func endLineAtInterruption() {
    let previous = signal(SIGINT) { _ in
      Signals.write("\n")
      signal(SIGINT, SIG_DFL)
      raise(SIGINT)
    }
    guard unsafeBitCast(previous, to: Int.self) != unsafeBitCast(SIG_DFL, to: Int.self) else {
      return
    }
    signal(SIGINT, previous)
  }
}
