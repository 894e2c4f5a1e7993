import DVAEFiles
import Synchronization
import Testing

/// Parallel work whose results come in order.
@Suite struct OrderedMapTests {
  @Test func resultsComeInOrderAndTheWindowBoundsTheWork() async throws {
    let running = Mutex((now: 0, most: 0))
    var (given, taken, waiting) = (0, [Int](), 0)
    let doubled = OrderedMap(window: 5) { () -> Int? in
      guard given < 200 else { return nil }
      given += 1
      waiting = max(waiting, given - taken.count)
      return given - 1
    } work: { number in
      running.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
      for _ in 0..<(number * 7 % 5) { await Task.yield() }
      running.withLock { $0.now -= 1 }
      return number * 2
    }
    for try await number in doubled { taken.append(number) }
    #expect(taken == (0..<200).map { $0 * 2 })
    #expect(waiting <= 6 && running.withLock { $0.most } <= 5)
  }

  @Test func cancellationEndsTheLoopAfterTheWorkUnderWay() async throws {
    let begun = Atomic(0)
    let ended = Atomic(0)
    let started = AsyncStream.makeStream(of: Void.self)
    let job = Task {
      var taken = 0
      let numbers = OrderedMap(0..<1_000_000, window: 4) { number in
        begun.add(1, ordering: .relaxed)
        if number == 10 { started.continuation.finish() }
        while number >= 10, !Task.isCancelled { await Task.yield() }
        ended.add(1, ordering: .relaxed)
        return number
      }
      for try await _ in numbers { taken += 1 }
      return taken
    }
    for await _ in started.stream {}
    job.cancel()
    await #expect(throws: CancellationError.self) { _ = try await job.value }
    #expect(begun.load(ordering: .relaxed) == ended.load(ordering: .relaxed))
    #expect(begun.load(ordering: .relaxed) <= 14)
  }

  @Test func leavingTheLoopCancelsTheWork() async throws {
    let cancelled = AsyncStream.makeStream(of: Void.self)
    for try await number in OrderedMap(
      0..<10, window: 4,
      work: { number in
        while number > 0, !Task.isCancelled { await Task.yield() }
        if number == 3 { cancelled.continuation.finish() }
        return number
      })
    {
      #expect(number == 0)
      break
    }
    for await _ in cancelled.stream {}
  }

  @Test func errorOfAnInputEndsTheLoop() async throws {
    var given = 0
    let numbers = OrderedMap(window: 2) { () throws -> Int? in
      given += 1
      if given == 3 { throw DVAEError(.badData, "the third") }
      return given
    } work: {
      $0
    }
    var taken: [Int] = []
    await #expect(throws: DVAEError(.badData, "the third")) {
      for try await number in numbers { taken.append(number) }
    }
    #expect(taken == [1])
  }

  @MainActor @Test func inputsAreGivenOnTheCallersActor() async throws {
    var given = 0
    let numbers = OrderedMap(window: 3) { () -> Int? in
      MainActor.assertIsolated()
      given += 1
      return given <= 5 ? given : nil
    } work: {
      $0
    }
    var sum = 0
    for try await number in numbers { sum += number }
    #expect(sum == 15)
  }
}
