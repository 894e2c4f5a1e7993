import Foundation

/// Ctrl-C during a job that can be resumed.
enum Interruption {
  /// From now on an interruption says how to go on before it ends the program, as it always does.
  static func explain() {
    signal(SIGINT) { _ in
      // Nothing but calls that are safe within a signal handler.
      let text: StaticString = "\nInterrupted: the same command with --resume goes on.\n"
      _ = write(2, text.utf8Start, text.utf8CodeUnitCount)
      signal(SIGINT, SIG_DFL)
      raise(SIGINT)
    }
  }
}
