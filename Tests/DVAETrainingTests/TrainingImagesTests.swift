import DVAETestSupport
import DVAEFiles
import DVAETraining
import Foundation
import DVAEImages
import Synchronization
import DVAETensors
import Testing

@Suite struct TrainingImagesTests {
  let folder = TemporaryFolder()
  private let warnings = Warnings()

  private final class Warnings: Sendable {
    let lines = Mutex<[String]>([])
  }

  private func images(
    _ paths: [String], workers: Int = 1, cached: Bool = false, batchSize: Int = 2
  ) throws -> TrainingImages {
    var configuration = TrainingConfiguration.tiny
    configuration.batchSize = batchSize
    configuration.resolution = 32
    let warnings = warnings
    return TrainingImages(
      try SampleIndex(paths) { line in warnings.lines.withLock { $0.append(line) } },
      configuration, workers: workers, cached: cached
    ) { line in warnings.lines.withLock { $0.append(line) } }
  }

  /// Returns the numbers and positions of some consecutive batches.
  private func take(
    _ count: Int, _ images: TrainingImages, from start: DataPosition = DataPosition()
  ) throws -> [(pixels: [Float], position: DataPosition)] {
    var position = start
    return try (0..<count).map { _ in
      let batch = try images.batch(after: position)
      position = batch.position
      return (batch.images.array, position)
    }
  }

  /// Returns a PNG of one colour.
  private func colour(_ value: UInt8, side: Int) throws -> [UInt8] {
    try encodePNG(
      PixelImage(
        width: side, height: side, pixels: [UInt8](repeating: value, count: 3 * side * side)))
  }

  @Test func batchesAreAFunctionOfThePlace() throws {
    let expected = try take(5, images(Fixture.imageFiles))
    for (workers, cached) in [(3, false), (1, true), (2, true)] {
      let other = try images(Fixture.imageFiles, workers: workers, cached: cached)
      let found = try take(5, other)
      #expect(found.map(\.pixels) == expected.map(\.pixels))
      #expect(found.map(\.position) == expected.map(\.position))
    }
    let rest = try take(2, images(Fixture.imageFiles), from: expected[2].position)
    #expect(rest.map(\.pixels) == expected[3...].map(\.pixels))
    #expect(expected[0].pixels != expected[1].pixels)
  }

  @Test func everyPassHasEveryImageOnceInItsOwnOrder() throws {
    // Plain colours, so that a crop identifies its image.
    let count = 8
    for i in 0..<count {
      try write(colour(UInt8(30 * i), side: 40), to: folder("\(i).png"))
    }
    let passes = try take(6, images([folder.path], batchSize: count)).map { batch in
      stride(from: 0, to: batch.pixels.count, by: batch.pixels.count / count).map {
        batch.pixels[$0]
      }
    }
    for pass in passes {
      #expect(Set(pass).count == count)
      #expect(Set(pass) == Set(passes[0]))
    }
    #expect(Set(passes).count > 1)
    let last = try take(6, images([folder.path], batchSize: count)).last
    #expect(last?.position.epoch == 5 && last?.position.index == count)
  }

  @Test func badImagesArePassedOverAndCounted() throws {
    try write(Array("no image".utf8), to: folder("bad.png"))
    try write(colour(9, side: 20), to: folder("small.png"))
    let paths = Fixture.imageFiles + [folder.path]
    let batches = try take(10, images(paths))
    let last = batches[9].position
    // 20 images were needed; 3 of 5 are good.
    #expect(last.skipped == last.epoch * 5 + last.index - 20)
    #expect(last.skipped > 5)
    let lines = warnings.lines.withLock { $0 }
    #expect(lines.count == 2)
    #expect(
      lines.contains { $0.contains("bad.png") } && lines.contains { $0.contains("small.png") })
  }

  @Test func nothingUsableIsAnError() throws {
    try write(Array("no image".utf8), to: folder("bad.png"))
    let images = try images([folder.path])
    #expect(throws: (any Error).self) { try images.batch(after: DataPosition()) }
    let empty = folder("empty")
    try FileManager.default.createDirectory(atPath: empty, withIntermediateDirectories: true)
    #expect(throws: (any Error).self) { try SampleIndex([empty]) { _ in } }
  }

  @Test func otherImagesAreRefused() throws {
    let position = try take(1, images(Fixture.imageFiles))[0].position
    try images(Fixture.imageFiles).check(position)
    let beyond = DataPosition(epoch: 0, index: 4, skipped: 0, fingerprint: position.fingerprint)
    #expect(throws: DVAEError.self) { try images(Fixture.imageFiles).check(beyond) }
    try images(Fixture.imageFiles).check(DataPosition())
    let error = try #require(throws: DVAEError.self) {
      try images(Array(Fixture.imageFiles.dropLast())).check(position)
    }
    #expect("\(error)".contains("3 images then, 2 now"))
  }
}
