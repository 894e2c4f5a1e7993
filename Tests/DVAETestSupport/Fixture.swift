import DVAEFiles
package import Foundation
package import DVAETensors
package import DVAEWeights

/// The files in Tests/Fixtures, located relative to this source file.
package enum Fixture {
  /// Tests/Fixtures.
  package static let directory = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Fixtures", directoryHint: .isDirectory)

  /// Returns the file at a path below Tests/Fixtures, such as `tiny/encoder.pkl`.
  package static func url(_ path: String) -> URL { directory.appending(path: path) }

  /// Returns the same as a path.
  package static func path(_ path: String) -> String { url(path).path }

  /// Returns the bytes of the file at a path below Tests/Fixtures.
  package static func bytes(_ path: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: url(path)))
  }

  /// The folder with the tiny model.
  package static let tiny = path("tiny")

  /// The folder with the photos.
  package static let images = path("images")

  /// The names of the photos, sorted.
  package static let names = ["kodim04", "kodim23", "odd_401x333"]

  /// The photos, in the order of their names.
  package static let imageFiles = ["kodim04.jpg", "kodim23.png", "odd_401x333.png"].map {
    images + "/" + $0
  }

  /// Returns the weights file at a path below Tests/Fixtures.
  package static func weights(_ path: String) throws -> WeightsFile {
    try WeightsFile.open(url(path).path)
  }

  /// Returns the `.npy` array at a path below Tests/Fixtures; [N, C, H, W] becomes [N, H, W, C].
  package static func activation(_ path: String) throws -> Tensor {
    let array = try NpyArray.open(url(path).path)
    return channelsLast(try array.floats(), array.shape)
  }

  /// Returns the integers of the `.npy` array at a path below Tests/Fixtures.
  package static func integers(_ path: String) throws -> [Int64] {
    try NpyArray.open(url(path).path).int64s()
  }

  /// Returns the values of an array [N, C, H, W] as a tensor [N, H, W, C].
  package static func channelsLast(_ values: some Collection<Float>, _ shape: [Int]) -> Tensor {
    precondition(
      shape.count == 4 && values.count == shape.reduce(1, *), "channelsLast: \(shape)")
    let y = Tensor(Shape(shape[0], shape[2], shape[3], shape[1]))
    let positions = shape[2] * shape[3]
    for (i, value) in values.enumerated() {
      let (plane, position) = i.quotientAndRemainder(dividingBy: positions)
      let (n, c) = plane.quotientAndRemainder(dividingBy: shape[1])
      y.pointer[(n * positions + position) * shape[1] + c] = value
    }
    return y
  }
}
