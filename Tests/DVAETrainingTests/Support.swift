import DVAETestSupport
import DVAEModel
import DVAETraining
import Foundation
import DVAETensors

/// Images that are a function of their index: colour gradients of random slopes.
struct SyntheticImages: BatchSource {
  var position: DataPosition
  let batchSize: Int
  let resolution: Int
  /// The index of an image of NaNs, if any.
  var spoiled: Int?

  init(_ configuration: TrainingConfiguration, position: DataPosition = DataPosition()) {
    self.position = position
    batchSize = configuration.batchSize
    resolution = configuration.resolution
  }

  mutating func next() throws -> TrainingBatch {
    let x = Tensor(Shape(batchSize, resolution, resolution, 3))
    let pixels = resolution * resolution
    for n in 0..<batchSize {
      let index = position.index + n
      var generator = SeededGenerator(seed: 17, stream: UInt64(index))
      let slopes = (0..<6).map { _ in (generator.uniform() - 0.5) / Float(2 * resolution) }
      for i in 0..<pixels * 3 {
        let (row, column, c) = (Float(i / 3 / resolution), Float(i / 3 % resolution), i % 3)
        let value = 0.5 + 0.8 * (slopes[2 * c] * row + slopes[2 * c + 1] * column)
        x.elements[n * pixels * 3 + i] = index == spoiled ? .nan : value
      }
    }
    position.index += batchSize
    return (x, position)
  }
}

/// Records events, and stops or throws after a number of updates.
struct Watcher: TrainingObserver {
  struct Killed: Error {}
  var stopAfter: Int?
  var killAfter: Int?
  var updates: [UpdateRecord] = []
  var validations: [ValidationRecord] = []
  var pictures: [ValidationPictures] = []
  var saved: [Int] = []
  var warnings: [String] = []
  /// Updates after which requested pictures were made.
  var drawn: [Int] = []
  var wantsPictures = false

  init(stopAfter: Int? = nil, killAfter: Int? = nil) {
    self.stopAfter = stopAfter
    self.killAfter = killAfter
  }

  var shouldStop: Bool { stopAfter.map { updates.count >= $0 } ?? false }

  mutating func didUpdate(_ record: UpdateRecord) throws {
    updates.append(record)
    if updates.count == killAfter { throw Killed() }
  }
  mutating func didValidate(_ record: ValidationRecord, _ pictures: ValidationPictures) {
    validations.append(record)
    self.pictures.append(pictures)
  }
  mutating func didDraw(_ pictures: ValidationPictures, update: Int) { drawn.append(update) }
  mutating func didSave(_ path: String, update: Int) { saved.append(update) }
  mutating func didNotice(_ warning: String) { warnings.append(warning) }
}

extension TrainingConfiguration {
  /// Returns a run that takes milliseconds.
  static func testing(updates: Int = 6) throws -> TrainingConfiguration {
    var configuration = TrainingConfiguration.tiny.scaled(toUpdates: updates)
    configuration.architecture = try Architecture(
      hidden: 8, blocksPerGroup: 1, vocabulary: 32, initial: 8)
    (configuration.batchSize, configuration.microBatch) = (2, 2)
    configuration.resolution = 16
    configuration.warmUp = 2
    configuration.codebookInitialisation = 0
    configuration.validateEvery = 4
    configuration.checkpointEvery = 2
    return configuration
  }
}

extension TrainingState {
  /// The bits of all trained values.
  var bits: [[UInt32]] {
    [parameters, firstMoment, secondMoment, average].map { set in
      set.parameters.flatMap { $0.values.elements.map(\.bitPattern) }
    }
  }
}
