import Dispatch
import Foundation
import Synchronization

/// Turns SIGTERM, SIGINT (Ctrl-C) and SIGHUP into a flag, so that a run can write a checkpoint; the
/// second one ends the process at once.
final class StopSignals {
  private let received = Box()
  private var sources: [any DispatchSourceSignal] = []

  /// Starts to listen; `note` is told of the first signal.
  init(note: @escaping @Sendable (String) -> Void) {
    let received = received
    sources = [(SIGTERM, "SIGTERM"), (SIGINT, "Ctrl-C"), (SIGHUP, "SIGHUP")].map { number, name in
      // Without this the process ends before the source is told.
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler {
        let first = received.signal.compareExchange(
          expected: 0, desired: number, ordering: .sequentiallyConsistent)
        guard first.exchanged else { _exit(128 + number) }
        note("\(name): writing a checkpoint after this update; once more to end at once")
      }
      source.resume()
      return source
    }
  }

  deinit {
    for source in sources { source.cancel() }
    for number in [SIGTERM, SIGINT, SIGHUP] { signal(number, SIG_DFL) }
  }

  /// The first signal; nil before there was one.
  var signalNumber: Int32? {
    let number = received.signal.load(ordering: .sequentiallyConsistent)
    return number == 0 ? nil : number
  }

  private final class Box: Sendable {
    let signal = Atomic<Int32>(0)
  }
}
