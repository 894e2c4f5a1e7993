import DVAEReports
import Foundation
import Testing

@Suite struct PageTests {
  /// Texts that hide markup from a search by characters: the scalar before or after it merges with
  /// it into one character.
  static let hostile = [
    "<script>alert(1)</script>", "a\u{600}<img src=x onerror=alert(1)>", "\u{200D}<b>",
    "\"\u{301} onload=alert(1) x=\"", "'\u{308} onload=alert(1) x='", "&lt;b&gt;", "</pre><b>",
    "</style><b>", "\0<\0b>", "\u{1B}[31m", "\u{FE0F}<b>", "<\u{338}b>", "\r\n<b>",
  ]

  /// Makes a page with every kind of part and one text in all places.
  private func page(_ text: String) -> String {
    let picture = (title: text, jpeg: [65, 66, 67] as [UInt8])
    var curve = Curve()
    curve.append(1, 1)
    return Page(
      title: text,
      [
        .heading(text), .paragraph(text), .list([text]), .code(text),
        .table([text, ""], numbersFrom: 1, [([text, text], [(text, text)])]),
        .charts([LineChart(text, lines: [(text, curve.points)])]), .bars([(text, 1)]),
        .pictures([picture]),
        .comparison(
          name: text, caption: text, width: 1, height: 1, original: [1], reconstruction: [2]),
      ]
    ).html
  }

  @Test(arguments: hostile)
  func noTextBecomesMarkup(_ text: String) {
    // The page equals, scalar by scalar, that of a harmless text with the escaped text inserted.
    let harmless = "HARMLESS"
    var escaped = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": escaped += "&amp;".unicodeScalars
      case "<": escaped += "&lt;".unicodeScalars
      case ">": escaped += "&gt;".unicodeScalars
      case "\"": escaped += "&quot;".unicodeScalars
      case "'": escaped += "&#39;".unicodeScalars
      case "\n": escaped.append("\n")
      case "\0"..."\u{1F}": escaped.append(Unicode.Scalar(0x2400 + scalar.value) ?? "?")
      default: escaped.append(scalar)
      }
    }
    var expected: [UInt8] = []
    var rest = Array(page(harmless).utf8)[...]
    while let start = rest.indices.first(where: { rest[$0...].starts(with: harmless.utf8) }) {
      expected += rest[..<start] + Array(String(escaped).utf8)
      rest = rest[(start + harmless.utf8.count)...]
    }
    #expect(Array(page(text).utf8) == expected + rest)
  }

  @Test func aPageNeedsNothingBesideItself() {
    let html = page("x")
    for word in ["http:", "https:", "<script", "<link", "@import", "src=\"/"] {
      #expect(!html.contains(word))
    }
    #expect(html.contains("prefers-color-scheme: dark") && html.contains("name=\"viewport\""))
  }

  @Test func picturesAreInTheFileOnce() {
    let picture = (title: "After 5", jpeg: Array("ABC".utf8))
    let pair = Page.Part.comparison(
      name: "a", caption: "", width: 3, height: 2, original: Array("o".utf8),
      reconstruction: Array("r".utf8))
    let html = Page(title: "t", [.pictures([picture]), pair, pair]).html
    #expect(html.contains("src=\"data:image/jpeg;base64,QUJD\""))
    #expect(html.components(separatedBy: "data:image/png;base64,").count == 5)
    #expect(html.contains("#f1 .o{") && html.contains("id=\"f2\""))
  }

  @Test func chartsShowTheirCurves() {
    var loss = Curve()
    for update in 1...10 { loss.append(update, Double(update)) }
    let chart = LineChart("Loss", lines: [("training", loss.points)])
    let html = Page(title: "t", [.charts([chart, LineChart("Empty", lines: [])])]).html
    #expect(html.contains("points=\"82.0,196.0 112.0,178.7 "))
    #expect(html.components(separatedBy: "nothing yet").count == 2)
    #expect(!html.contains("nan") && !html.contains("inf"))
  }

  /// All charts of a run have one axis, from 0 to its last update.
  @Test(arguments: [(1, nil, 1), (60, nil, 60), (60, 100, 100), (3, 2, 3)] as [(Int, Int?, Int)])
  func updatesStartAt0(_ update: Int, _ last: Int?, _ end: Int) {
    var curve = Curve()
    curve.append(update, 7)
    let chart = LineChart("PSNR", lastUpdate: last, lines: [("validation", curve.points)])
    let html = Page(title: "t", [.charts([chart])]).html
    #expect(html.contains(">0</text>") && html.contains(">update \(end)</text>"))
    let place = Numbers.fixed(52 + 300 * Double(update) / Double(end), 1)
    #expect(html.contains("<circle cx=\"\(place)\""), "\(html)")
  }

  /// The labels of a chart's values, from the lowest to the highest.
  private func labels(_ values: [Double], isLogarithmic: Bool = false) -> [String] {
    var curve = Curve()
    for (update, value) in values.enumerated() { curve.append(update + 1, value) }
    let chart = LineChart(
      "Loss", isLogarithmic: isLogarithmic, lines: [("training", curve.points)])
    return Page(title: "t", [.charts([chart])]).html.components(separatedBy: "text-anchor:end\">")
      .dropFirst().dropLast().map { String($0.prefix { $0 != "<" }) }
  }

  @Test func valuesOnAxesAreRoundAndDiffer() {
    #expect(labels([1, 10]) == ["2", "4", "6", "8", "10"])
    #expect(labels([-0.3484, 0.1781]) == ["-0.3", "-0.2", "-0.1", "0.0", "0.1"])
    #expect(
      labels([0.99999, 1]) == [
        "0.999990", "0.999992", "0.999994", "0.999996", "0.999998", "1.000000",
      ])
    #expect(labels([2.9, 10.87], isLogarithmic: true) == ["4", "6", "8", "10"])
    #expect(labels([0.001, 20], isLogarithmic: true) == ["0.001", "0.01", "0.1", "1", "10"])
    #expect(labels([3.1, 3.3], isLogarithmic: true).count >= 3)
    #expect(labels([6.6, 6.6, 6.6]).count >= 3)
    for values in [
      [1e300, 1], [.infinity, .nan, 2], [.leastNonzeroMagnitude, 0], [-1e99, 1e99],
      [1e15, 1e15 + 1],
    ] {
      for isLogarithmic in [false, true] {
        let labels = labels(values, isLogarithmic: isLogarithmic)
        #expect(Set(labels).count == labels.count)
      }
    }
  }

  @Test func barsOfNothingHaveNoLength() {
    let html = Page(
      title: "t",
      [
        .stage(whole: 0, entered: 0, left: 0), .bars([("never", 0)]),
        .columns([0, 0], label: "none"),
      ]
    ).html
    #expect(!html.contains("nan") && html.contains("width:0.00%"))
  }
}

@Suite struct NumbersTests {
  @Test func numbersAreWrittenInOneWay() {
    #expect(Numbers.fixed(3.14159, 2) == "3.14" && Numbers.fixed(-0.5, 0) == "-0")
    #expect(Numbers.fixed(nil, 2) == "–" && Numbers.fixed(.nan, 2, none: "∞") == "∞")
    #expect(Numbers.fixed(1e300, 1).count > 300)
    #expect(Numbers.percent(0.125, 1) == "12.5 %" && Numbers.aligned("ab", 4) == "  ab")
    for (value, text) in [
      (0, "0"), (8192, "8192"), (0.03125, "0.0312"), (12.5, "12.5"), (99.0, "99"),
      (1e-5, "1.0e-05"),
      (-2.5e7, "-2.5e+07"), (100.4, "100"), (Double.infinity, "–"),
    ] { #expect(Numbers.short(value) == text) }
  }

  @Test func timesAreWrittenForPeople() {
    for (seconds, text) in [
      (0, "0 seconds"), (1.2, "1 second"), (40, "40 seconds"), (99, "99 seconds"),
      (100, "2 minutes"), (720, "12 minutes"), (7200, "2.0 hours"), (11_520, "3.2 hours"),
      (-1.0, "–"), (.nan, "–"),
    ] { #expect(Numbers.duration(seconds: seconds) == text) }
    #expect(Numbers.clock(seconds: 3723) == "1:02:03" && Numbers.clock(seconds: 59.2) == "1:00")
    #expect(Numbers.clock(seconds: .infinity) == "?" && Numbers.clock(seconds: -5) == "?")
  }
}
