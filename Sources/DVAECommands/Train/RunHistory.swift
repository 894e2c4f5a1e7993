import DVAETraining
import Foundation
import DVAEImages

/// What the page of a run is made from: thinned-out columns of its tables.
struct RunHistory {
  private var columns: [String] = []
  /// Curves by the names of their columns.
  private(set) var curves: [String: Curve] = [:]
  /// Seconds that the updates took, for one image of each.
  private(set) var secondsPerImage = 0.0

  /// Begins with the rows that a table holds already.
  init(_ table: String, columns: String) {
    self.columns = columns.split(separator: ",").map(String.init)
    for name in self.columns.dropFirst() { curves[name] = Curve() }
    guard let data = FileManager.default.contents(atPath: table) else { return }
    for line in data.split(separator: UInt8(ascii: "\n")).dropFirst() {
      append(String(decoding: line, as: UTF8.self))
    }
  }

  /// Adds a row of comma-separated values.
  mutating func append(_ row: String) {
    let values = row.split(separator: ",").map { Double($0) ?? .nan }
    guard values.count == columns.count, let update = Int(exactly: values[0]) else { return }
    for (name, value) in zip(columns, values).dropFirst() {
      curves[name]?.append(update, value)
      if name == "images_per_second", value > 0 { secondsPerImage += 1 / value }
    }
  }
}

extension RunReport.Picture {
  /// The grid of a validation, as JPEG.
  init(_ grid: PixelImage, update: Int) throws {
    self.init(
      title: "After update \(update)",
      base64: Data(try encodeJPEG(grid, quality: 85)).base64EncodedString(), type: "image/jpeg")
  }
}
