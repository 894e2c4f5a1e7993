import DVAEModel
import DVAETraining
import Testing

@Suite struct RunReportTests {
  private func report(
    _ training: [String: Curve] = [:], pictures: [RunReport.Picture] = [],
    codebook: CodebookUse? = nil
  ) -> String {
    RunReport(
      title: "a <b> & \"c\"", status: "going", training: training, validation: [:],
      pictures: pictures, codebook: codebook, configuration: "{\"x\": \"</pre>\"}"
    ).html
  }

  @Test func aPageBeforeTheFirstUpdateSaysSo() {
    let html = report()
    #expect(html.contains("nothing yet"))
    #expect(html.contains("<title>a &lt;b&gt; &amp; &quot;c&quot;</title>"))
    #expect(html.contains("&lt;/pre&gt;"))
    #expect(!html.contains("nan") && !html.contains("inf"))
  }

  @Test func everythingIsOnThePageAndNothingElsewhere() {
    var loss = Curve()
    for update in 1...10 { loss.append(update, Double(update)) }
    var codebook = CodebookUse(vocabulary: 8)
    codebook.count([1, 1, 2])
    let picture = RunReport.Picture(title: "After 5", base64: "QUJD", type: "image/jpeg")
    let html = report(["loss": loss], pictures: [picture], codebook: codebook)
    #expect(html.contains("<polyline points=\"52.0,196.0 85.3,178.7 "))
    #expect(html.contains("data:image/jpeg;base64,QUJD"))
    #expect(html.contains("2 of 8 codes in use"))
    for word in ["http:", "https:", "<script", "<link", "src=\"/"] {
      #expect(!html.contains(word))
    }
  }

  @Test func curvesAreThinnedOutToMeans() {
    var curve = Curve()
    for update in 1...1_024 { curve.append(update, Double(update)) }
    #expect(curve.points.count == 1_024)
    #expect(curve.points[2].value == 3)
    for update in 1_025...4_096 { curve.append(update, Double(update)) }
    #expect(curve.points.count == 1_024)
    #expect(curve.points[0] == Curve.Point(update: 2.5, value: 2.5))
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
    #expect(a == b)
  }
}
