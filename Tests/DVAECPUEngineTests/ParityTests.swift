import DVAETestSupport
import DVAETensors
import Testing

@Suite("Comparing within error bounds")
struct ComparisonTests {
  @Test("The worst element is the one with the largest multiple of its bound")
  func worst() {
    let comparison = Comparison(
      actual: [1, 2.5, 3.25, 4], expected: [1, 2, 3, 4], bound: { [1, 1, 0.125, 1][$0] })
    #expect(comparison.failures == 1)
    #expect(comparison.worst == 2)
    #expect(
      comparison.description
        == "1 of 4 elements are out of bounds; worst: element 2, expected 3.0, actual 3.25, "
        + "difference 0.25, bound 0.125")
  }

  @Test("NaN is out of any bound, and nothing but equality is within zero")
  func extremes() {
    #expect(Comparison(actual: [.nan], expected: [0], bound: { _ in .infinity }).failures == 1)
    #expect(Comparison(actual: [.nan], expected: [0], bound: { _ in 1 }).failures == 1)
    #expect(
      Comparison(actual: [.leastNonzeroMagnitude], expected: [0], bound: { _ in 0 }).failures == 1)
    #expect(Comparison(actual: [7], expected: [7], bound: { _ in 0 }).failures == 0)
    #expect(Comparison(actual: [7], expected: [0], bound: { _ in .infinity }).failures == 0)
    #expect(Comparison(actual: [], expected: [], bound: { _ in 0 }).failures == 0)
  }

  @Test("A mismatch is recorded with its place")
  func recorded() {
    withKnownIssue {
      expectClose([1, 2], [1, 3], bound: { _ in 0.5 }, "sum")
    } matching: {
      $0.comments.first?.rawValue.hasPrefix("sum: 1 of 2 elements are out of bounds") == true
    }
    withKnownIssue {
      expectClose([1], [1, 3], bound: { _ in 0.5 }, "sum")
    } matching: {
      $0.comments.first?.rawValue == "sum: 1 elements where 2 are expected"
    }
    withKnownIssue {
      expectClose(
        Tensor(Shape(1, 1, 1, 2), repeating: 0), Tensor(Shape(1, 2, 1, 1), repeating: 0),
        bound: 1, "map")
    } matching: {
      $0.comments.first?.rawValue == "map: shape [1, 1, 1, 2] where [1, 2, 1, 1] is expected"
    }
  }
}

@Suite("The table of operation cases")
struct OperationTableTests {
  @Test("A result that is off by a twentieth is out of bounds in every row")
  func boundsAreTight() {
    for row in OperationTable.all {
      for (result, bound) in zip(row.results(of: ReferenceEngine()), row.bounds()) {
        let isInformative = zip(result.values, bound).contains { abs($0) > 1e-30 && $1 < .infinity }
        guard isInformative else { continue }
        let comparison = Comparison(
          actual: result.values.map { $0 * 1.05 }, expected: result.values, bound: { bound[$0] })
        #expect(comparison.failures > 0, "\(row.testDescription): \(result.name)")
      }
    }
  }

  @Test("Every row has a bound for every element")
  func boundsAreComplete() {
    for row in OperationTable.all {
      #expect(
        row.results(of: ReferenceEngine()).map(\.values.count) == row.bounds().map(\.count),
        "\(row.testDescription)")
    }
  }
}
