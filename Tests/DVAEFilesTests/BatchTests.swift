import DVAEFiles
import Testing

@Suite("Batches") struct BatchTests {
  private typealias Words = Batch<Int, String>

  private func batches(_ words: [String?], of limit: Int) async throws -> [Words] {
    let elements = words.enumerated().map { at, word -> Words.Element in
      (at, word.map { .success($0) } ?? .failure(DVAEError(.badData, "broken")))
    }
    var batches: [Words] = []
    let all = OrderedMap(elements, window: 3) { $0 }.batches(of: limit) { [$0.count] }
    for try await batch in all { batches.append(batch) }
    return batches
  }

  @Test("Successive items of one size are a batch; failures end none") func sizes() async throws {
    let found = try await batches(["a", nil, "b", "cc", "dd", "ee", nil, "f"], of: 3)
    #expect(found.map { $0.elements.map(\.tag) } == [[0, 1, 2], [3, 4, 5], [6, 7]])
    #expect(try await batches([nil, "a", "bb", "c"], of: 9).map(\.elements.count) == [2, 1, 1])
    #expect(try await batches(["a", "bb", "c"], of: 1).map(\.elements.count) == [1, 1, 1])
    #expect(try await batches([], of: 4).isEmpty)
  }

  @Test("A batch that is refused is split, so that only the item at fault fails") func splitting()
    async throws
  {
    let batch = try #require(try await batches(["a", "b", nil, "x", "d", "e"], of: 6).first)
    var sizes: [Int] = []
    let results = try batch.results(describe: { $0.about("item \($1)") }) { words in
      sizes.append(words.count)
      if words.contains("x") { throw DVAEError(.badData, "too large") }
      return words.map { $0 + "!" }
    }
    #expect(results.map(\.tag) == Array(0..<6))
    #expect(results.map { try? $0.result.get() } == ["a!", "b!", nil, nil, "d!", "e!"])
    #expect(sizes == [5, 2, 3, 1, 2])
    guard case .failure(let error) = results[3].result else { throw DVAEError(.internal, "none") }
    #expect(error.description == "item 3: too large")
    #expect(throws: DVAEError.self) {
      try batch.results { words -> [String] in throw DVAEError(.inputOutput, "the disk is full") }
    }
  }
}
