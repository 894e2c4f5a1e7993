import Foundation
import Synchronization

/// Turns the signals that ask a program to end into a flag, so that it can end gracefully; the
/// second signal ends the process at once.
///
/// The handler sets the flag directly. A thread or dispatch queue would have to wait for a
/// processor core while the program computes.
final class StopSignals {
  /// Schedulers send SIGUSR1 and SIGUSR2 before a time limit.
  private static let numbers = [SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2]
  private let handled: [Int32]

  /// Installs the handlers.
  ///
  /// - Parameter first: the text on standard error after the first signal
  init(announcing first: StaticString) {
    received.store(0, ordering: .sequentiallyConsistent)
    announcement = first
    handled = Self.numbers.filter { Signals.handle($0, take) }
  }

  deinit {
    for number in handled { signal(number, SIG_DFL) }
  }

  /// The first signal; nil before any.
  var signalNumber: Int32? {
    let number = received.load(ordering: .sequentiallyConsistent)
    return number == 0 ? nil : number
  }
}

// The first signal, or 0. Global, because a signal handler has no context.
private let received = Atomic<Int32>(0)
// It is set before the handlers are installed.
private nonisolated(unsafe) var announcement: StaticString = ""

private func take(_ number: Int32) {
  let first = received.compareExchange(
    expected: 0, desired: number, ordering: .sequentiallyConsistent)
  guard first.exchanged else { _exit(128 + number) }
  Signals.write(announcement)
}
