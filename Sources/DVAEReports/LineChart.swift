import DVAETensors

/// An SVG chart of curves over the updates of a run.
package struct LineChart: Sendable {
  /// A curve with its name.
  package typealias Line = (name: String, points: [Curve.Point])

  /// The title.
  package var title: String
  /// Whether the values are on a logarithmic scale.
  package var isLogarithmic: Bool
  /// The last update of the run, at which all its charts end; nil for that of the curves.
  package var lastUpdate: Int?
  /// The curves; at most two.
  package var lines: [Line]

  /// Makes a chart.
  package init(
    _ title: String, isLogarithmic: Bool = false, lastUpdate: Int? = nil, lines: [Line]
  ) {
    self.title = title
    self.isLogarithmic = isLogarithmic
    self.lastUpdate = lastUpdate
    self.lines = lines
  }

  /// Names of the lines' colours in the page's style.
  private static let classes = ["first", "second"]
  private static let (width, height) = (360.0, 220.0)
  private static let (left, right, top, bottom) = (52.0, 352.0, 40.0, 196.0)

  /// The chart; a message if there are no points.
  var svg: String {
    let shown = lines.map { line in
      // Beyond 1e100, differences and ticks could overflow.
      (
        name: line.name,
        points: line.points.filter {
          abs($0.value) < 1e100 && (!isLogarithmic || $0.value > 1e-100)
        }
      )
    }
    let all = shown.flatMap(\.points)
    let title = isLogarithmic ? title + ", logarithmic" : title
    var body = text(title, x: Self.left, y: 16, class: "title")
    if let xs = updates(of: all), let ys = range(all.map { scaled($0.value) }) {
      body += grid(xs, ys)
      for (i, curve) in shown.enumerated() where !curve.points.isEmpty {
        let name = Self.classes[i % 2]
        body += line(curve.points, class: name, xs, ys)
        body += text("● " + curve.name, x: Self.left + 90 * Double(i), y: 31, class: name)
      }
    } else {
      body += text("nothing yet", x: 160, y: 120)
    }
    return "<svg viewBox=\"0 0 \(coordinate(Self.width)) \(coordinate(Self.height))\" role=\"img\" "
      + "aria-label=\"\(escaped(title))\">\(body)</svg>"
  }

  private func scaled(_ value: Double) -> Double {
    isLogarithmic ? naturalLogarithm(value) / naturalLogarithm(10) : value
  }

  /// Returns the updates from 0 to the last one; nil without points.
  private func updates(of points: [Curve.Point]) -> ClosedRange<Double>? {
    guard let last = points.map(\.update).max() else { return nil }
    return 0...max(last, Double(lastUpdate ?? 1), 1)
  }

  /// Returns the range of values, widened if they are nearly equal; nil without values.
  private func range(_ values: [Double]) -> ClosedRange<Double>? {
    guard let low = values.min(), let high = values.max() else { return nil }
    if high - low > 1e-9 * max(abs(low), abs(high)) + 1e-30 { return low...high }
    let room = max(abs(low) * 0.1, 1e-6)
    return (low - room)...(high + room)
  }

  private func x(_ update: Double, _ range: ClosedRange<Double>) -> Double {
    Self.left + (Self.right - Self.left) * (update - range.lowerBound)
      / (range.upperBound - range.lowerBound)
  }

  private func y(_ value: Double, _ range: ClosedRange<Double>) -> Double {
    Self.bottom - (Self.bottom - Self.top) * (value - range.lowerBound)
      / (range.upperBound - range.lowerBound)
  }

  private func grid(_ xs: ClosedRange<Double>, _ ys: ClosedRange<Double>) -> String {
    var body = ""
    for (value, label) in ticks(ys) {
      let height = y(value, ys)
      body +=
        "<line class=\"grid\" x1=\"\(coordinate(Self.left))\" x2=\"\(coordinate(Self.right))\" "
        + "y1=\"\(coordinate(height))\" y2=\"\(coordinate(height))\"/>"
      body += text(label, x: Self.left - 4, y: height + 4, style: "text-anchor:end")
    }
    let ends = [
      ("\(Int(xs.lowerBound))", xs.lowerBound, "start"),
      ("update \(Int(xs.upperBound))", xs.upperBound, "end"),
    ]
    for (label, update, anchor) in ends {
      body += text(label, x: x(update, xs), y: Self.bottom + 16, style: "text-anchor:\(anchor)")
    }
    return body
  }

  /// Returns round values within a range of scaled values, at their scaled places, with labels.
  private func ticks(_ range: ClosedRange<Double>) -> [(place: Double, label: String)] {
    guard isLogarithmic else {
      return roundValues(range).map { ($0.value, $0.label) }
    }
    let decades = Int(range.lowerBound.rounded(.down))...Int(range.upperBound.rounded(.up))
    let factors: [Double] = range.upperBound - range.lowerBound > 2 ? [1] : [1, 2, 5]
    let ticks = decades.flatMap { decade in factors.map { $0 * power(10, Double(decade)) } }
      .map { (place: scaled($0), label: Numbers.short($0)) }
      .filter { range.contains($0.place) }
    if ticks.count > 2 { return ticks }
    return roundValues(power(10, range.lowerBound)...power(10, range.upperBound))
      .map { (scaled($0.value), $0.label) }
  }

  /// Returns multiples of 1, 2 or 5 times a power of ten, with as many decimals as tell them apart.
  private func roundValues(_ range: ClosedRange<Double>) -> [(value: Double, label: String)] {
    let least = (range.upperBound - range.lowerBound) / 6
    let exponent = (naturalLogarithm(least) / naturalLogarithm(10)).rounded(.down)
    let unit = power(10, exponent)
    let step = [1, 2, 5, 10].map { $0 * unit }.first { $0 >= least } ?? 10 * unit
    let decimals = max(0, -Int(exponent) - (step > 5 * unit ? 1 : 0))
    let first = Int((range.lowerBound / step - 1e-6).rounded(.up))
    let last = Int((range.upperBound / step + 1e-6).rounded(.down))
    return (first...max(first, last)).map { number in
      let value = Double(number) * step
      return (value, decimals > 6 ? Numbers.scientific(value, 1) : Numbers.fixed(value, decimals))
    }
  }

  private func line(
    _ points: [Curve.Point], class name: String, _ xs: ClosedRange<Double>,
    _ ys: ClosedRange<Double>
  ) -> String {
    let places = points.map { (x($0.update, xs), y(scaled($0.value), ys)) }
    let path = places.map { "\(coordinate($0.0)),\(coordinate($0.1))" }.joined(separator: " ")
    let line = "<polyline class=\"\(name)\" points=\"\(path)\"/>"
    // Mark single points if there are few.
    guard places.count <= 30 else { return line }
    return places.reduce(line) { body, place in
      body
        + "<circle cx=\"\(coordinate(place.0))\" cy=\"\(coordinate(place.1))\" r=\"\(places.count == 1 ? 3 : 2)\" "
        + "class=\"\(name)\"/>"
    }
  }

  private func text(
    _ text: String, x: Double, y: Double, class name: String? = nil, style: String? = nil
  ) -> String {
    let attributes =
      (name.map { " class=\"\($0)\"" } ?? "") + (style.map { " style=\"\($0)\"" } ?? "")
    return
      "<text x=\"\(coordinate(x))\" y=\"\(coordinate(y))\"\(attributes)>\(escaped(text))</text>"
  }
}

/// Rounds a coordinate to visible precision.
private func coordinate(_ x: Double) -> String { Numbers.fixed(x, 1) }
