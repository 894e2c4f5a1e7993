/// Works on many inputs in parallel and gives the results in the order of the inputs.
///
/// At most `window` inputs are held at a time, whatever their number; an input is begun when a result
/// is asked for. If the task is cancelled, the work under way is cancelled and awaited; if the loop is
/// left in another way, it is cancelled.
///
/// ```swift
/// for try await picture in OrderedMap(paths, window: 8, work: read) { … }
/// ```
package struct OrderedMap<Input: Sendable, Output: Sendable>: AsyncSequence {
  private let window: Int
  private let inputs: () throws -> Input?
  private let work: @Sendable (Input) async -> Output

  /// Prepares the work on inputs that are made as they are needed.
  ///
  /// - Parameters:
  ///   - window: the largest number of inputs between the first that is not taken and the last begun
  ///   - inputs: gives the next input; nil at the end
  ///   - work: what is done in parallel
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

  /// Begins.
  package func makeAsyncIterator() -> Iterator {
    Iterator(window: window, inputs: inputs, work: work)
  }

  /// The work under way.
  package struct Iterator: AsyncIteratorProtocol {
    fileprivate let window: Int
    fileprivate let inputs: () throws -> Input?
    fileprivate let work: @Sendable (Input) async -> Output
    private let underWay = UnderWay()
    private var ended = false

    fileprivate init(
      window: Int, inputs: @escaping () throws -> Input?,
      work: @escaping @Sendable (Input) async -> Output
    ) {
      self.window = window
      self.inputs = inputs
      self.work = work
    }

    /// The next result; nil after the last.
    ///
    /// - Throws: `CancellationError`, and what giving an input throws
    package mutating func next() async throws -> Output? {
      try await next(isolation: nil)
    }

    /// Waits for the next result.
    ///
    /// - Parameter actor: the actor that the inputs are given on; the caller's
    /// - Returns: the result; nil after the last
    /// - Throws: `CancellationError`, and what giving an input throws
    package mutating func next(
      isolation actor: isolated (any Actor)?
    ) async throws -> Output? {
      while !ended, underWay.tasks.count < window {
        guard let input = try inputs() else {
          ended = true
          break
        }
        underWay.tasks.append(Task { [work] in await work(input) })
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

    /// The tasks that have begun and are not taken, in order; cancelled with the loop that left them.
    private final class UnderWay {
      var tasks: [Task<Output, Never>] = []

      func cancel() { for task in tasks { task.cancel() } }

      deinit { cancel() }
    }
  }
}
