import DVAEFiles
internal import CDVAEKernels
import Synchronization

/// The fixed-point weights of one axis: the source samples of each output sample.
///
/// The rules are Pillow's: double-precision weights over a window that is truncated at the borders
/// and normalised to sum 1, then rounded half away from zero to 22 fractional bits.
final class ResamplingAxis: Sendable {
  /// The source samples that the outputs need.
  let source: Range<Int>
  /// The number of outputs.
  let count: Int
  // The first source sample of each window, relative to `source`.
  private let starts: [Int32]
  private let taps: [Int32]
  private let pairs: Int
  // Weights in pairs, in the layout of the kernels.
  private let words: [Int32]

  private init(_ key: Key) {
    let scale = Double(key.input) / Double(key.output)
    let stretch = max(scale, 1)
    let support = key.filter.radius * stretch
    let windows = key.outputs.map { index in
      let center = (Double(index) + 0.5) * scale
      let start = max(0, Int(center - support + 0.5))
      let end = min(key.input, Int(center + support + 0.5))
      return (center, start..<end)
    }
    source = (windows.first?.1.lowerBound ?? 0)..<(windows.last?.1.upperBound ?? 0)
    count = windows.count
    let first = source.lowerBound
    starts = windows.map { Int32($0.1.lowerBound - first) }
    taps = windows.map { Int32($0.1.count) }
    pairs = windows.reduce(0) { max($0, ($1.1.count + 1) / 2) }
    var words: [Int32] = []
    words.reserveCapacity(2 * pairs * count)
    for (center, window) in windows {
      let exact = window.map { key.filter.weight((Double($0) - center + 0.5) * (1 / stretch)) }
      let sum = exact.reduce(0, +)
      let fixed = exact.map { Self.fixedPoint(sum == 0 ? $0 : $0 / sum) }
      for pair in 0..<pairs {
        let left = 2 * pair < fixed.count ? fixed[2 * pair] : 0
        let right = 2 * pair + 1 < fixed.count ? fixed[2 * pair + 1] : 0
        words.append(Self.word(left >> DVAE_WEIGHT_LOW_BITS, right >> DVAE_WEIGHT_LOW_BITS))
        let lower: Int32 = 1 << DVAE_WEIGHT_LOW_BITS - 1
        words.append(Self.word(left & lower, right & lower))
      }
    }
    self.words = words
  }

  private static func fixedPoint(_ weight: Double) -> Int32 {
    let fixed = weight * Double(1 << DVAE_WEIGHT_BITS)
    return Int32(fixed < 0 ? fixed - 0.5 : fixed + 0.5)
  }

  private static func word(_ low: Int32, _ high: Int32) -> Int32 { low & 0xFFFF | high << 16 }

  /// Calls `body` with the weights in the kernels' form.
  func withTable(_ body: (UnsafePointer<dvae_resampling>) -> Void) {
    func call(
      _ starts: UnsafePointer<Int32>, _ taps: UnsafePointer<Int32>, _ words: UnsafePointer<Int32>
    ) {
      var table = dvae_resampling(
        outputs: Int32(count), pairs: Int32(pairs), starts: starts, counts: taps, weights: words)
      body(&table)
    }
    call(starts, taps, words)
  }

  // MARK: - The last ones

  private struct Key: Equatable {
    var input: Int
    var output: Int
    var outputs: Range<Int>
    var filter: ResamplingFilter
  }

  // Computing the sines takes as long as the resizing, and images of one source often share sizes.
  private static let recent = Mutex(RecentlyUsed<Key, ResamplingAxis>(capacity: 64))
  private static let largest = 1 << 16

  /// Returns the weights of a range of outputs of an axis, cached.
  static func from(
    _ input: Int, to output: Int, _ outputs: Range<Int>, filter: ResamplingFilter
  ) -> ResamplingAxis {
    let key = Key(input: input, output: output, outputs: outputs, filter: filter)
    if let found = recent.withLock({ $0.value(of: key) }) { return found }
    let made = ResamplingAxis(key)
    guard made.words.count <= largest else { return made }
    recent.withLock { $0.add(made, key) }
    return made
  }
}
