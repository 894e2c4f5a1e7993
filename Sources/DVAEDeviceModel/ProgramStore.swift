import DVAEFiles
import Synchronization

/// Compiled programs by their keys, of which the most recently used ones are kept.
///
/// Compiling takes seconds. Meanwhile, threads that need another program go on; those that need the
/// same one wait for it.
package final class ProgramStore<Key: Hashable & Sendable, Program: Sendable>: Sendable {
  private struct State {
    var ready: RecentlyUsed<Key, Program>
    var underWay: [Key: Pending] = [:]
  }

  /// A program that is being compiled, by the first thread that gets the lock.
  private final class Pending: Sendable {
    private let result = Mutex<Result<Program, any Error>?>(nil)

    func program(_ compile: () throws -> Program) throws -> Program {
      try result.withLock { result in
        let made = result ?? Result { try compile() }
        result = made
        return try made.get()
      }
    }
  }

  private let state: Mutex<State>

  package init(capacity: Int) { state = Mutex(State(ready: RecentlyUsed(capacity: capacity))) }

  /// The number of programs that are kept.
  package var count: Int { state.withLock { $0.ready.keys.count } }

  /// Returns a program that is there, or compiles one.
  ///
  /// - Parameters:
  ///   - key: the key of the program to compile if there is none
  ///   - choose: returns the best of the programs that are there; nil if none of them fits
  ///   - compile: makes the program of `key`; runs once for all threads that wait for it
  /// - Returns: the program and its key
  /// - Throws: the error of `compile`, for all threads that wait for it; a later call tries again
  package func program(
    _ key: Key, from choose: ([Key]) -> Key?, compile: () throws -> Program
  ) throws -> (program: Program, key: Key) {
    let (found, pending) = state.withLock { state -> ((Program, Key)?, Pending) in
      if let best = choose(state.ready.keys), let program = state.ready.value(of: best) {
        return ((program, best), Pending())
      }
      let pending = state.underWay[key] ?? Pending()
      state.underWay[key] = pending
      return (nil, pending)
    }
    if let found { return found }
    let result = Result { try pending.program(compile) }
    return try state.withLock { state in
      // The first of the waiting threads to come here ends the wait.
      if state.underWay[key] === pending {
        state.underWay[key] = nil
        if let program = try? result.get() { state.ready.add(program, key) }
      }
      return (try result.get(), key)
    }
  }
}
