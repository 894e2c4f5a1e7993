import Foundation
import Synchronization

/// Turns the signals that ask a program to end into a flag, so that it can end in its own way; the
/// second one ends the process at once.
///
/// The handler itself sets the flag. A thread or a dispatch queue in its place would wait for a
/// processor core, and the only one may be computing.
final class StopSignals {
  /// SIGUSR1 and SIGUSR2 are what schedulers send ahead of a time limit.
  private static let numbers = [SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2]
  private let handled: [Int32]

  /// The line on standard error that answers the first signal.
  enum Answer: Int {
    case none
    /// A run of training writes a checkpoint.
    case checkpoint
    /// A service answers the requests that it has.
    case drain
  }

  /// Starts to listen.
  init(_ answer: Answer) {
    received.store(0, ordering: .sequentiallyConsistent)
    answers.store(answer.rawValue, ordering: .sequentiallyConsistent)
    handled = Self.numbers.filter { Signals.handle($0, take) }
  }

  deinit {
    for number in handled { signal(number, SIG_DFL) }
  }

  /// The first signal; nil before there was one.
  var signalNumber: Int32? {
    let number = received.load(ordering: .sequentiallyConsistent)
    return number == 0 ? nil : number
  }
}

// A signal handler has no context: what it knows is global. The first signal, or 0.
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
    Signals.write("\nAnswering the requests that are here; the same signal again ends at once.\n")
  case .none?, nil: break
  }
}
