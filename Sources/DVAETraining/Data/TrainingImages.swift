import DVAEFiles
import DVAEImages
import DVAETensors
import Dispatch
import Synchronization

/// The batches of a run as a pure function of the position: reshuffled for every epoch, each image
/// cropped with random numbers of its own.
///
/// The number of worker threads never affects the bits.
package struct TrainingImages: Sendable {
  private let index: SampleIndex
  private let batchSize: Int
  private let augmentation: TrainingAugmentation
  private let orderSeed: UInt64
  private let augmentationSeed: UInt64
  /// The number of decoding threads.
  private let workers: Int
  /// The most unusable images that are named in warnings.
  private static let named = 100
  /// Called once for each unusable image.
  private let warn: @Sendable (String) -> Void
  private let memory: Memory

  /// Lists the images of a run and makes the sequence from which its state goes on.
  ///
  /// - Parameters:
  ///   - state: the state, with the run's settings
  ///   - workers: the number of decoding threads
  ///   - cached: whether decoded images stay in memory, as 8-bit pixels
  ///   - warn: called once for each unusable image
  /// - Throws: `DVAEError.dataChanged` for other images than the state's, and errors of the paths
  package init(
    of state: TrainingState, workers: Int, cached: Bool = false,
    warn: @escaping @Sendable (String) -> Void
  ) throws {
    let configuration = state.configuration
    let index = try SampleIndex(configuration.data.map(configuration.located), warn: warn)
    self.init(index, configuration, workers: workers, cached: cached, warn: warn)
    try check(state.position)
  }

  /// Makes the sequence.
  ///
  /// - Parameters:
  ///   - index: the images
  ///   - configuration: the run's settings
  ///   - workers: the number of decoding threads
  ///   - cached: whether decoded images stay in memory, as 8-bit pixels
  ///   - warn: called once for each unusable image; only the first hundred are named, and the first that is
  ///     too small
  package init(
    _ index: SampleIndex, _ configuration: TrainingConfiguration, workers: Int, cached: Bool,
    warn: @escaping @Sendable (String) -> Void
  ) {
    self.index = index
    batchSize = configuration.batchSize
    augmentation = TrainingAugmentation(resolution: configuration.resolution)
    orderSeed = configuration.seed(for: .order)
    augmentationSeed = configuration.seed(for: .augmentation)
    self.workers = max(1, workers)
    self.warn = warn
    memory = Memory(cached: cached)
  }

  /// The number of images.
  package var count: Int { index.count }

  /// Checks that a position belongs to these images.
  ///
  /// - Throws: `DVAEError.dataChanged`
  package func check(_ position: DataPosition) throws {
    guard position.fingerprint.isEmpty || position.fingerprint == index.fingerprint else {
      let old = position.fingerprint.prefix { $0 != "-" }
      throw DVAEError.dataChanged(
        problem: "\(old) images then, \(index.count) now"
          + (old == "\(index.count)" ? ", with other names or sizes" : ""))
    }
    guard position.index <= index.count else {
      throw DVAEError.dataChanged(
        problem: "the next one is image \(position.index) of \(index.count)")
    }
  }

  /// Returns the batch after a position; unusable images are skipped and counted.
  ///
  /// - Throws: if a whole epoch has no usable image
  package func batch(after position: DataPosition) throws -> TrainingBatch {
    var position = position
    position.fingerprint = index.fingerprint
    var pictures: [PixelImage] = []
    var failures = 0
    while pictures.count < batchSize {
      let made = crops(draw(batchSize - pictures.count, from: &position))
      let good = made.compactMap(\.self)
      position.skipped += made.count - good.count
      failures = good.isEmpty ? failures + made.count : 0
      guard failures < index.count + batchSize else {
        throw DVAEError(
          .badData, "none of the \(index.count) training images can be used; see the messages above"
        )
      }
      pictures += good
    }
    return (mappedTensor(pictures), position)
  }

  /// An image to crop, and the stream of its random numbers.
  private typealias Draw = (sample: Int, stream: UInt64)

  private func draw(_ count: Int, from position: inout DataPosition) -> [Draw] {
    (0..<count).map { _ in
      if position.index >= index.count {
        position.epoch += 1
        position.index = 0
      }
      defer { position.index += 1 }
      let order = memory.order(position.epoch, count: index.count, seed: orderSeed)
      return (
        Int(order[position.index]),
        UInt64(position.epoch) &* UInt64(index.count) &+ UInt64(position.index)
      )
    }
  }

  /// Returns one crop per draw; nil for unusable images.
  private func crops(_ draws: [Draw]) -> [PixelImage?] {
    let results = Mutex([PixelImage?](repeating: nil, count: draws.count))
    let next = Atomic(0)
    DispatchQueue.concurrentPerform(iterations: min(workers, draws.count)) { _ in
      while true {
        let i = next.wrappingAdd(1, ordering: .relaxed).oldValue
        if i >= draws.count { return }
        let crop = crop(draws[i])
        results.withLock { $0[i] = crop }
      }
    }
    return results.withLock { $0 }
  }

  private func crop(_ draw: Draw) -> PixelImage? {
    do {
      let item = try index.item(draw.sample)
      let image = try memory.image(draw.sample) { try item.decode() }
      var generator = SeededGenerator(seed: augmentationSeed, stream: draw.stream)
      return try augmentation.apply(image, name: item.name, using: &generator)
    } catch {
      // A wrong setting affects many images in the same way.
      let isTooSmall = (error as? DVAEError)?.code == .tooSmall
      let named = isTooSmall ? 1 : Self.named
      if let failures = memory.failures(including: draw.sample, tooSmall: isTooSmall) {
        if failures <= named {
          warn("passing over an image: \(error)")
        } else if failures == named + 1 {
          let cause = isTooSmall ? " that are too small" : ""
          warn("passing over more images\(cause); the metrics count them as skipped")
        }
      }
      return nil
    }
  }
}

/// State shared between batches: the order of the current epoch, decoded images, and the images
/// already reported as unusable.
private final class Memory: Sendable {
  private struct State {
    var epoch = -1
    var order: [UInt32] = []
    var images: [Int: PixelImage] = [:]
    var failed: Set<Int> = []
    var tooSmall: Set<Int> = []
  }

  private let cached: Bool
  private let state = Mutex(State())

  init(cached: Bool) { self.cached = cached }

  /// Returns the shuffled order of an epoch (Fisher and Yates).
  func order(_ epoch: Int, count: Int, seed: UInt64) -> [UInt32] {
    state.withLock { state in
      guard state.epoch != epoch else { return state.order }
      var generator = SeededGenerator(seed: seed, stream: UInt64(epoch))
      state.order = Array(0..<UInt32(count))
      for i in stride(from: count - 1, to: 0, by: -1) {
        state.order.swapAt(i, Int(bounded(UInt64(i + 1), using: &generator)))
      }
      state.epoch = epoch
      return state.order
    }
  }

  func image(_ sample: Int, decode: () throws -> PixelImage) throws -> PixelImage {
    if cached, let image = state.withLock({ $0.images[sample] }) { return image }
    let image = try decode()
    if cached { state.withLock { $0.images[sample] = image } }
    return image
  }

  /// Returns the number of images that failed alike, including this one; nil if it was counted before.
  func failures(including sample: Int, tooSmall: Bool) -> Int? {
    state.withLock { state in
      let kind = tooSmall ? \State.tooSmall : \State.failed
      return state[keyPath: kind].insert(sample).inserted ? state[keyPath: kind].count : nil
    }
  }
}
