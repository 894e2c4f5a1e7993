import DVAETensors

/// An SVG chart of curves over the updates of a run.
package struct LineChart: Sendable {
  /// A curve with its name.
  package struct Line: Sendable {
    /// The name.
    package var name: String
    /// The points in order.
    package var points: [Curve.Point]

    /// Makes a line.
    package init(_ name: String, _ points: [Curve.Point]) {
      self.name = name
      self.points = points
    }
  }

  /// The title.
  package var title: String
  /// Whether the values are on a logarithmic scale.
  package var isLogarithmic: Bool
  /// The curves; at most two.
  package var lines: [Line]

  /// Makes a chart.
  package init(_ title: String, isLogarithmic: Bool = false, lines: [Line]) {
    self.title = title
    self.isLogarithmic = isLogarithmic
    self.lines = lines
  }

  /// Names of the lines' colours in the page's style.
  private static let classes = ["first", "second"]
  private static let (width, height) = (360.0, 220.0)
  private static let (left, right, top, bottom) = (52.0, 352.0, 40.0, 196.0)

  /// The chart; a message if there are no points.
  var svg: String {
    let shown = lines.map { line in
      Line(line.name, line.points.filter { !isLogarithmic || $0.value > 0 })
    }
    let all = shown.flatMap(\.points)
    var body = text(title, x: Self.left, y: 16, class: "title")
    if let xs = range(all.map(\.update)), let ys = range(all.map { scaled($0.value) }) {
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

  /// Returns the range of values, widened if they are all equal; nil without values.
  private func range(_ values: [Double]) -> ClosedRange<Double>? {
    guard let low = values.min(), let high = values.max() else { return nil }
    if high > low { return low...high }
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
    for step in 0...4 {
      let value = ys.lowerBound + (ys.upperBound - ys.lowerBound) * Double(step) / 4
      let height = y(value, ys)
      body +=
        "<line class=\"grid\" x1=\"\(coordinate(Self.left))\" x2=\"\(coordinate(Self.right))\" "
        + "y1=\"\(coordinate(height))\" y2=\"\(coordinate(height))\"/>"
      let label = isLogarithmic ? power(10, value) : value
      body += text(Numbers.short(label), x: Self.left - 4, y: height + 4, style: "text-anchor:end")
    }
    for (update, anchor) in [(xs.lowerBound, "start"), (xs.upperBound, "end")] {
      body += text(
        "\(Int(update))", x: x(update, xs), y: Self.bottom + 16, style: "text-anchor:\(anchor)")
    }
    return body
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
      body + "<circle cx=\"\(coordinate(place.0))\" cy=\"\(coordinate(place.1))\" r=\"2\" "
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
