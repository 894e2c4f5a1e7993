package import DVAETensors
package import Testing

/// The differences of two lists of numbers, in multiples of an error bound per element.
package struct Comparison: CustomStringConvertible, Sendable {
  /// The number of elements compared.
  package let count: Int
  /// The number of elements whose difference exceeds their bound, including NaNs.
  package let failures: Int
  /// The index of the element whose difference is the largest multiple of its bound.
  package let worst: Int
  let expected: Double
  let actual: Double
  let bound: Double

  /// Compares element by element; the lists must be of one length.
  package init(actual: [Double], expected: [Double], bound: (Int) -> Double) {
    precondition(
      actual.count == expected.count, "Comparison: \(actual.count) and \(expected.count) values")
    var (failures, worst, worstRatio) = (0, 0, -1.0)
    for i in actual.indices {
      let difference = abs(actual[i] - expected[i])
      let ratio = Self.ratio(difference, bound(i))
      if ratio > 1 { failures += 1 }
      if ratio > worstRatio { (worst, worstRatio) = (i, ratio) }
    }
    self.count = actual.count
    self.failures = failures
    self.worst = worst
    self.expected = expected.isEmpty ? 0 : expected[worst]
    self.actual = actual.isEmpty ? 0 : actual[worst]
    self.bound = actual.isEmpty ? 0 : bound(worst)
  }

  /// Difference over bound; infinite for NaN and for any difference over a zero bound.
  private static func ratio(_ difference: Double, _ bound: Double) -> Double {
    if difference == 0 { return 0 }
    if bound == .infinity, !difference.isNaN { return 0 }
    let ratio = difference / bound
    return ratio.isNaN ? .infinity : ratio
  }

  /// The worst element: index, expected, actual, difference, bound.
  package var description: String {
    "\(failures) of \(count) elements are out of bounds; worst: element \(worst), "
      + "expected \(expected), actual \(actual), difference \(abs(actual - expected)), "
      + "bound \(bound)"
  }
}

/// Expects |actual − expected| ≤ bound for every element; `bound` takes the element's index.
package func expectClose(
  _ actual: [Double], _ expected: [Double], bound: (Int) -> Double, _ what: String,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  guard actual.count == expected.count else {
    Issue.record(
      "\(what): \(actual.count) elements where \(expected.count) are expected",
      sourceLocation: sourceLocation)
    return
  }
  let comparison = Comparison(actual: actual, expected: expected, bound: bound)
  if comparison.failures > 0 {
    Issue.record("\(what): \(comparison)", sourceLocation: sourceLocation)
  }
}

/// Expects two tensors of one shape to agree within one bound for all elements.
package func expectClose(
  _ actual: Tensor, _ expected: Tensor, bound: Double, _ what: String,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  guard actual.shape == expected.shape else {
    Issue.record(
      "\(what): shape \(actual.shape) where \(expected.shape) is expected",
      sourceLocation: sourceLocation)
    return
  }
  expectClose(
    actual.doubles, expected.doubles, bound: { _ in bound }, what, sourceLocation: sourceLocation)
}

extension Tensor {
  /// The elements as doubles, in [N, H, W, C] order.
  package var doubles: [Double] { elements.map(Double.init) }

  /// Returns seeded numbers in `range`, multiples of 2⁻¹⁰, so that power-of-two steps are exact.
  package static func random(
    _ shape: Shape, seed: UInt64, in range: ClosedRange<Float> = -1...1
  ) -> Tensor {
    var generator = SeededGenerator(seed: seed)
    let width = range.upperBound - range.lowerBound
    return Tensor(
      shape,
      (0..<shape.count).map { _ in
        ((range.lowerBound + width * generator.uniform()) * 1024).rounded() / 1024
      })
  }
}
