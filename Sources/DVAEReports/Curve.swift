/// A curve over the updates of a run, thinned out as it grows to at most 1,024 points, each the
/// mean of equally many neighbours.
package struct Curve: Sendable {
  /// The means of neighbouring updates and of their values.
  package typealias Point = (update: Double, value: Double)

  /// The number of updates in a point; the last point may have fewer.
  private var width = 1
  private var sums: [(update: Double, value: Double, count: Double)] = []
  private static let capacity = 1_024

  /// Makes an empty curve.
  package init() {}

  /// Adds the next update's value; values that are not finite are ignored.
  package mutating func append(_ update: Int, _ value: Double) {
    guard value.isFinite else { return }
    if let last = sums.last, Int(last.count) < width {
      sums[sums.count - 1] = (
        last.update + Double(update), last.value + value, last.count + 1
      )
    } else {
      if sums.count == Self.capacity { halve() }
      sums.append((Double(update), value, 1))
    }
  }

  /// The points in order.
  package var points: [Point] {
    sums.map { ($0.update / $0.count, $0.value / $0.count) }
  }

  private mutating func halve() {
    width *= 2
    sums = stride(from: 0, to: sums.count, by: 2).map { i in
      let (a, b) = (sums[i], sums[i + 1])
      return (a.update + b.update, a.value + b.value, a.count + b.count)
    }
  }
}
