import Synchronization

/// Lets a fixed number of tasks do something at a time; the others wait in the order they came.
final class Limiter: Sendable {
  private struct State {
    var free: Int
    var waiting: [CheckedContinuation<Void, Never>] = []
  }

  private let state: Mutex<State>

  init(_ count: Int) { state = Mutex(State(free: count)) }

  func run<Result>(_ body: () async throws -> Result) async rethrows -> Result {
    await take()
    defer { giveBack() }
    return try await body()
  }

  private func take() async {
    await withCheckedContinuation { continuation in
      let isFree = state.withLock { state in
        guard state.free > 0 else {
          state.waiting.append(continuation)
          return false
        }
        state.free -= 1
        return true
      }
      if isFree { continuation.resume() }
    }
  }

  private func giveBack() {
    let next: CheckedContinuation<Void, Never>? = state.withLock { state in
      if state.waiting.isEmpty {
        state.free += 1
        return nil
      }
      return state.waiting.removeFirst()
    }
    next?.resume()
  }
}

/// Works on many inputs at once and hands over the results in the order of the inputs; never more
/// than `window` inputs are under way.
package func inOrder<Input: Sendable, Output: Sendable>(
  window: Int, next: () throws -> Input?, work: @escaping @Sendable (Input) async -> Output,
  each: (Output) throws -> Void
) async throws {
  try await withThrowingTaskGroup(of: (Int, Output).self) { group in
    var (started, taken, ended) = (0, 0, false)
    var early: [Int: Output] = [:]
    func start() throws {
      while !ended, started - taken < window {
        guard let input = try next() else {
          ended = true
          return
        }
        let number = started
        group.addTask { (number, await work(input)) }
        started += 1
      }
    }
    try start()
    while let (number, output) = try await group.next() {
      early[number] = output
      while let output = early.removeValue(forKey: taken) {
        taken += 1
        try each(output)
        try start()
      }
    }
  }
}
