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
  let runs: [Double]
  let minSeconds: Double
  let medianSeconds: Double
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
    let fallbacks: Double

    init?(_ counts: ScreeningCounts) {
      guard counts.positions > 0 else { return nil }
      let positions = Double(counts.positions)
      codesLeft = Double(counts.codesLeft) / positions
      codes = counts.codes / counts.positions
      fallbacks = Double(counts.fallbacks) / positions
    }

    enum CodingKeys: String, CodingKey {
      case codesLeft = "codes_left"
      case codes
      case fallbacks = "fallback_share"
    }

    var line: String {
      "screening: \(Numbers.fixed(codesLeft, 1)) of \(codes) logits per position in float32, "
        + "all at \(Numbers.percent(fallbacks, 1))"
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
    // Per image, or per training step.
    let parts = command.what == .train ? 1 : Double(command.images)
    runs = seconds.map { $0 / parts }
    minSeconds = runs[0]
    medianSeconds = Numbers.median(runs) ?? .nan
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

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    let unit = what == "train" ? "step" : "image"
    try container.encode(what, forKey: "what")
    try container.encode(engine, forKey: "engine")
    try container.encode(resolution, forKey: "resolution")
    try container.encode(batchSize, forKey: "batch_size")
    try container.encode(minSeconds, forKey: Key("min_seconds_per_\(unit)"))
    try container.encode(medianSeconds, forKey: Key("median_seconds_per_\(unit)"))
    try container.encode(runs, forKey: Key("seconds_per_\(unit)"))
    try container.encodeIfPresent(ceilingGflops, forKey: "ceiling_gflops")
    try container.encodeIfPresent(achievedGflops, forKey: "achieved_gflops")
    try container.encode(layers, forKey: "layers")
    try container.encodeIfPresent(comparison, forKey: "comparison")
    try container.encodeIfPresent(screening, forKey: "screening")
  }

  private struct Key: CodingKey, ExpressibleByStringLiteral {
    let stringValue: String
    var intValue: Int? { nil }

    init(_ name: String) { stringValue = name }
    init(stringLiteral value: String) { self.init(value) }
    init(stringValue: String) { self.init(stringValue) }
    init?(intValue: Int) { nil }
  }

  var text: String {
    let unit = what == "train" ? "step" : "image"
    var lines = [
      "\(engine), \(resolution)×\(resolution), batch \(batchSize)",
      "\(what): min \(Numbers.fixed(minSeconds, 4)) s, median \(Numbers.fixed(medianSeconds, 4)) s per \(unit), "
        + "of \(counted(runs.count, "run"))",
    ]
    lines += comparison?.lines ?? []
    if let screening { lines.append(screening.line) }
    if let achievedGflops {
      lines.append("achieved: \(Numbers.fixed(achievedGflops, 0)) GFLOP/s of the direct algorithm")
    }
    guard let ceilingGflops else { return lines.joined(separator: "\n") }
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
    return lines.joined(separator: "\n")
  }
}
