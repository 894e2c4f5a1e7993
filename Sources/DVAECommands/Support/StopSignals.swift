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

  /// The line on standard error after the first signal.
  enum Answer: Int {
    case none
    /// A training run writes a checkpoint.
    case checkpoint
    /// A service answers its pending requests.
    case drain
  }

  /// Installs the handlers.
  init(_ answer: Answer) {
    received.store(0, ordering: .sequentiallyConsistent)
    answers.store(answer.rawValue, ordering: .sequentiallyConsistent)
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
private let answers = Atomic(StopSignals.Answer.none.rawValue)

private func take(_ number: Int32) {
  let first = received.compareExchange(
    expected: 0, desired: number, ordering: .sequentiallyConsistent)
  guard first.exchanged else { _exit(128 + number) }
  switch StopSignals.Answer(rawValue: answers.load(ordering: .sequentiallyConsistent)) {
  case .checkpoint:
    Signals.write("\nWriting a checkpoint after this update; the same signal again ends at once.\n")
  case .drain:
    Signals.write("\nAnswering the remaining requests; the same signal again ends at once.\n")
  case .none?, nil: break
  }
}
