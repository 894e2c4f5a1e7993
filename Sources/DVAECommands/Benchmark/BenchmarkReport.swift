import DVAECPUEngine
import DVAEFiles
import DVAETensors
import DVAEReports

/// The results of `dvae benchmark`.
struct BenchmarkReport: Encodable {
  let what: String
  let engine: String
  let resolution: Int
  let batchSize: Int
  /// The seconds of each run per image, and of the fastest and the middle one; nil for training.
  let secondsPerImage: [Double]?
  let minSecondsPerImage: Double?
  let medianSecondsPerImage: Double?
  /// The same per step of training; nil for the other tasks.
  let secondsPerStep: [Double]?
  let minSecondsPerStep: Double?
  let medianSecondsPerStep: Double?
  /// The speed of the matrix kernel alone; nil on a device.
  let ceilingGflops: Double?
  /// The speed of a run on a device, counting the direct algorithm's operations.
  let achievedGflops: Double?
  let layers: [Layer]
  /// The comparison of int8 and float32 in turns.
  let comparison: PrecisionComparison?
  /// The logits that the search for tokens left; nil where it computes all of them in float32.
  let screening: Screening?

  struct Screening: Encodable {
    /// The mean number of logits of a position that are computed in float32.
    let codesLeft: Double
    let codes: Int
    /// The share of positions of which all logits are.
    let fallbackShare: Double

    init?(_ counts: ScreeningCounts) {
      guard counts.positions > 0 else { return nil }
      let positions = Double(counts.positions)
      codesLeft = Double(counts.codesLeft) / positions
      codes = counts.codes / counts.positions
      fallbackShare = Double(counts.fallbacks) / positions
    }

    var line: String {
      "screening: \(Numbers.fixed(codesLeft, 1)) of \(codes) logits per position in float32, "
        + "all at \(Numbers.percent(fallbackShare, 1))"
    }
  }

  struct Layer: Encodable {
    let operation: String
    let calls: Int
    let seconds: Double
    let share: Double
    let effectiveGflops: Double
    let ofCeiling: Double
  }

  init(
    _ command: BenchmarkCommand, engine: String, seconds: [Double], ceiling: Double? = nil,
    entries: [TimedEngine<CPUEngine>.Entry] = [], comparison: PrecisionComparison? = nil,
    screening: ScreeningCounts = ScreeningCounts(), multiplyAdds: Int? = nil
  ) {
    self.screening = Screening(screening)
    self.comparison = comparison
    achievedGflops = multiplyAdds.map { 2 * Double($0) / seconds[0] / 1e9 }
    what = command.what.rawValue
    self.engine = engine
    resolution = command.resolution
    batchSize = command.images
    let isTraining = command.what == .train
    secondsPerStep = isTraining ? seconds : nil
    minSecondsPerStep = secondsPerStep?.first
    medianSecondsPerStep = secondsPerStep.flatMap(Numbers.median)
    secondsPerImage = isTraining ? nil : seconds.map { $0 / Double(command.images) }
    minSecondsPerImage = secondsPerImage?.first
    medianSecondsPerImage = secondsPerImage.flatMap(Numbers.median)
    ceilingGflops = ceiling.map { 2 * $0 / 1e9 }
    let total = entries.reduce(0.0) { $0 + $1.time / .seconds(1) }
    layers = entries.map { entry in
      let time = entry.time / .seconds(1)
      let gflops = 2 * Double(entry.multiplyAdds) / time / 1e9
      return Layer(
        operation: entry.operation, calls: entry.calls, seconds: time / Double(seconds.count),
        share: time / total, effectiveGflops: gflops,
        ofCeiling: gflops * 1e9 / (2 * (ceiling ?? .nan)))
    }
  }

  var lines: [String] {
    let (unit, runs) = secondsPerStep.map { ("step", $0) } ?? ("image", secondsPerImage ?? [])
    var lines = [
      "\(engine), \(resolution)×\(resolution), batch \(batchSize)",
      "\(what): min \(Numbers.fixed(runs.first, 4)) s, "
        + "median \(Numbers.fixed(Numbers.median(runs), 4)) s per \(unit), "
        + "of \(counted(runs.count, "run"))",
    ]
    lines += comparison?.lines ?? []
    if let screening { lines.append(screening.line) }
    if let achievedGflops {
      lines.append("achieved: \(Numbers.fixed(achievedGflops, 0)) GFLOP/s of the direct algorithm")
    }
    guard let ceilingGflops else { return lines }
    lines += [
      "ceiling of the matrix kernel: \(Numbers.fixed(ceilingGflops, 0)) GFLOP/s", "",
      "     ms  share GFLOP/s ceiling  operation",
    ]
    for layer in layers {
      let speed =
        layer.effectiveGflops > 0
        ? Numbers.aligned(Numbers.fixed(layer.effectiveGflops, 0), 8)
          + Numbers.aligned(Numbers.percent(layer.ofCeiling), 8)
        : Numbers.aligned("", 16)
      lines.append(
        Numbers.aligned(Numbers.fixed(layer.seconds * 1e3, 1), 7)
          + Numbers.aligned(Numbers.percent(layer.share, 1), 7)
          + speed
          + "  \(layer.operation)\(layer.calls > runs.count ? " ×\(layer.calls / runs.count)" : "")"
      )
    }
    return lines
  }
}
