import DVAECPUEngine
import DVAEKit
import DVAETensors
import DVAEReports

/// The result of `dvae benchmark --precision int8`: float32 and int8 in turns on the same input.
struct PrecisionComparison: Encodable {
  /// Seconds per image of each float32 run, in chronological order.
  let float32: [Double]
  /// Seconds per image of the int8 run after each float32 run.
  let int8: [Double]
  /// int8 ÷ float32 of each pair, in ascending order.
  let ratios: [Double]
  /// The number of tokens compared on photos.
  let tokens: Int
  /// The number of equal tokens.
  let equalTokens: Int

  /// Compares the tokens of photos, then the times on x; leaves the entries of these runs in
  /// `int8.engine`.
  init(
    _ float: ImageEncoder<CPUEngine>, _ int8: QuantizedEncoder<TimedEngine<CPUEngine>>, _ x: Tensor,
    runs: Int, photos: [String]
  ) throws {
    var (tokens, equal) = (0, 0)
    if !photos.isEmpty {
      for item in try BulkInputs(photos, for: .jsonLines).items() {
        let image = try item.image.get()
        let picture = try Preprocessing(resolution: x.shape.height)
          .apply(image.decode(), name: image.name)
        let photo = mappedTensor([picture])
        let (a, b) = (try float.tokens(photo), try int8.tokens(photo))
        tokens += a.count
        equal += zip(a, b).count { $0 == $1 }
      }
    }
    _ = try (float.tokens(x), int8.tokens(x))
    int8.engine.reset()
    let clock = ContinuousClock()
    let images = Double(x.shape.batch)
    var times: (float: [Double], int8: [Double]) = ([], [])
    for _ in 0..<runs {
      times.float.append(try clock.measure { _ = try float.tokens(x) } / .seconds(images))
      times.int8.append(try clock.measure { _ = try int8.tokens(x) } / .seconds(images))
    }
    float32 = times.float
    self.int8 = times.int8
    ratios = zip(times.float, times.int8).map { $1 / $0 }.sorted()
    self.tokens = tokens
    equalTokens = equal
  }

  /// The comparison as text.
  var lines: [String] {
    let ratio = [Numbers.median(ratios), ratios.first, ratios.last].map { Numbers.fixed($0, 3) }
    var lines = [
      "float32 in turns with it: median "
        + "\(Numbers.fixed(Numbers.median(float32), 4)) s",
      "int8 ÷ float32: \(ratio[0]), from \(ratio[1]) to \(ratio[2])",
    ]
    if tokens > 0 {
      let share = Numbers.percent(Double(equalTokens) / Double(tokens), 2)
      lines.append("tokens of the photos: \(equalTokens) of \(tokens) are float32's, \(share)")
    }
    return lines
  }
}
