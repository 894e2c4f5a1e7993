import DVAEFiles
import DVAEReports

/// The curves of a run: thinned-out columns of one of its tables.
struct RunHistory {
  private let columns: [String]
  /// Curves by the names of their columns.
  private(set) var curves: [String: Curve] = [:]
  /// The newest row by the names of its columns; empty before the first.
  private(set) var lastRow: [String: Double] = [:]
  /// Seconds per image, summed over the updates.
  private(set) var secondsPerImage = 0.0

  /// Begins with the existing rows of a table.
  init(_ table: String, columns: String) {
    self.columns = columns.split(separator: ",").map(String.init)
    for name in self.columns.dropFirst() { curves[name] = Curve() }
    guard let file = try? InputFile(path: table) else { return }
    var lines = LineReader(file)
    while let line = try? lines.next() { append(String(decoding: line, as: UTF8.self)) }
  }

  /// Adds a row of comma-separated values.
  mutating func append(_ row: String) {
    let values = row.split(separator: ",").map { Double($0) ?? .nan }
    guard values.count == columns.count, values.allSatisfy(\.isFinite),
      let update = Int(exactly: values[0]), (0...1 << 53).contains(update)
    else { return }
    lastRow = Dictionary(uniqueKeysWithValues: zip(columns, values))
    for (name, value) in zip(columns, values).dropFirst() {
      curves[name]?.append(update, value)
      if name == "images_per_second", value > 0 { secondsPerImage += 1 / value }
    }
  }
}
