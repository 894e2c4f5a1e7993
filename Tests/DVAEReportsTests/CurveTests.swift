import DVAEReports
import Testing

@Suite struct CurveTests {
  @Test func curvesAreThinnedOutToMeans() {
    var curve = Curve()
    for update in 1...1_024 { curve.append(update, Double(update)) }
    #expect(curve.points.count == 1_024)
    #expect(curve.points[2].value == 3)
    for update in 1_025...4_096 { curve.append(update, Double(update)) }
    #expect(curve.points.count == 1_024)
    #expect(curve.points[0] == (2.5, 2.5))
    #expect(curve.points[1_023].value == 4_094.5)
    curve.append(4_097, .nan)
    #expect(curve.points.allSatisfy { $0.value.isFinite })
  }

  @Test func aCurveDoesNotDependOnWhenItIsRead() {
    var (a, b) = (Curve(), Curve())
    for update in 1...3_000 {
      a.append(update, Double(update % 7))
      b.append(update, Double(update % 7))
      _ = b.points
    }
    #expect(a.points.elementsEqual(b.points, by: ==))
  }
}
