/// Works on many inputs in parallel and takes the results in the order of the inputs.
///
/// At most `window` inputs are held at a time, whatever their number. If the task is cancelled, or if
/// `next` or `each` throws, the work under way is cancelled and nothing more is taken.
///
/// - Parameters:
///   - window: the largest number of inputs between the first that is not taken and the last begun
///   - isolation: the actor that `next` and `each` run on; the caller's
///   - next: gives the next input; nil at the end
///   - work: what is done in parallel
///   - each: takes one result; also the place to commit
/// - Throws: `CancellationError`, and what `next` and `each` throw
package func orderedMap<Input: Sendable, Output: Sendable>(
  window: Int, isolation: isolated (any Actor)? = #isolation, next: () throws -> Input?,
  work: @escaping @Sendable (Input) async -> Output, each: (Output) throws -> Void
) async throws {
  try await withThrowingTaskGroup(of: (Int, Output).self) { group in
    // A closure runs on the actor of an isolated parameter only if it captures it.
    _ = isolation
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
        try Task.checkCancellation()
        taken += 1
        try each(output)
        try start()
      }
    }
  }
}
