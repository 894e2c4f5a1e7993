/// Maps many inputs in parallel and yields the results in the order of the inputs.
///
/// At most `window` inputs are in memory; an input is started when a result is requested. If the
/// task is cancelled, the running work is cancelled and awaited; if the loop exits otherwise, it is
/// cancelled.
///
/// ```swift
/// for try await picture in OrderedMap(paths, window: 8, work: read) { … }
/// ```
package struct OrderedMap<Input: Sendable, Output: Sendable>: AsyncSequence {
  fileprivate let window: Int
  fileprivate let inputs: () throws -> Input?
  fileprivate let work: @Sendable (Input) async -> Output

  /// Prepares the work on inputs that are generated on demand.
  ///
  /// - Parameters:
  ///   - window: the largest number of inputs that are started and not yet taken
  ///   - inputs: returns the next input; nil at the end
  ///   - work: runs in parallel
  package init(
    window: Int, inputs: @escaping () throws -> Input?,
    work: @escaping @Sendable (Input) async -> Output
  ) {
    self.window = window
    self.inputs = inputs
    self.work = work
  }

  /// Prepares the work on the elements of a sequence.
  package init(
    _ inputs: some Sequence<Input>, window: Int,
    work: @escaping @Sendable (Input) async -> Output
  ) {
    var iterator = inputs.makeIterator()
    self.init(window: window, inputs: { iterator.next() }, work: work)
  }

  /// Starts the iteration.
  package func makeAsyncIterator() -> Iterator { Iterator(map: self) }

  /// The iteration and its running work.
  package struct Iterator: AsyncIteratorProtocol {
    fileprivate let map: OrderedMap
    fileprivate let underWay = UnderWay()
    fileprivate var ended = false

    /// Waits for the next result.
    ///
    /// - Parameter actor: the caller's actor, on which the inputs are generated
    /// - Returns: the result; nil after the last
    /// - Throws: `CancellationError`, and errors of `inputs`
    package mutating func next(
      isolation actor: isolated (any Actor)?
    ) async throws -> Output? {
      while !ended, underWay.tasks.count < map.window {
        guard let input = try map.inputs() else {
          ended = true
          break
        }
        underWay.tasks.append(Task { [work = map.work] in await work(input) })
      }
      guard let first = underWay.tasks.first else { return nil }
      let output = await withTaskCancellationHandler {
        await first.value
      } onCancel: {
        first.cancel()
      }
      if Task.isCancelled {
        underWay.cancel()
        for task in underWay.tasks { _ = await task.value }
        throw CancellationError()
      }
      underWay.tasks.removeFirst()
      return output
    }

    /// The started tasks whose results are not yet taken, in order; cancelled on deallocation.
    fileprivate final class UnderWay {
      var tasks: [Task<Output, Never>] = []

      func cancel() { for task in tasks { task.cancel() } }

      deinit { cancel() }
    }
  }
}
