import CDVAEKernels
import Dispatch
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

/// Runs independent tasks on a fixed number of threads.
///
/// Tasks depend on the size of the work, never on the number of threads, and no two of them write
/// the same memory: so the thread that runs a task never affects the result. Within tasks, subnormal
/// numbers are zero: near the end of training most relaxed tokens and their gradients would be such.
package struct ThreadTeam: Sendable {
  let threads: Int
  private let priority = Priority()

  /// Calls `body(task, worker)` for every task; `worker` in 0..<threads identifies the thread's
  /// scratch.
  package func run(_ tasks: Int, _ body: (_ task: Int, _ worker: Int) -> Void) {
    let workers = min(threads, tasks)
    guard workers > 1 else { return asWorker { for task in 0..<tasks { body(task, 0) } } }
    let next = Atomic(0)
    withoutActuallyEscaping(body) { body in
      // Safe to share: `run` returns only when all threads have left it, and tasks write disjoint memory.
      nonisolated(unsafe) let body = body
      DispatchQueue.concurrentPerform(iterations: workers) { worker in
        asWorker {
          while true {
            let task = next.wrappingAdd(1, ordering: .relaxed).oldValue
            if task >= tasks { return }
            body(task, worker)
          }
        }
      }
    }
  }

  /// Calls `body` with the process's priority and without subnormal numbers.
  private func asWorker(_ body: () -> Void) {
    priority.adopt()
    let state = dvae_flush_subnormals()
    defer { dvae_restore(state) }
    body()
  }

  /// Splits a long range into tasks of equal size, for cheap elementwise work.
  func runChunks(of count: Int, size: Int, _ body: (Range<Int>) -> Void) {
    run((count + size - 1) / size) { task, _ in
      body(task * size..<min(count, (task + 1) * size))
    }
  }
}

/// The priority that the process was started with.
///
/// Dispatch's threads on Linux set their own, so `nice dvae train` would compete with everything
/// else on the machine.
private struct Priority: Sendable {
  #if canImport(Glibc)
  private static let process = Int32(PRIO_PROCESS.rawValue)
  private let nice = getpriority(Self.process, id_t(getpid()))

  func adopt() {
    if nice > 0 { setpriority(Self.process, 0, nice) }
  }
  #else
  func adopt() {}
  #endif
}
