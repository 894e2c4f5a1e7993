public import DVAEModel
import DVAEFiles
import DVAETensors

/// The page that shows how a run goes: curves, pictures, the use of codes, the settings.
///
/// It needs nothing beside itself.
public struct RunReport: Sendable {
  /// A picture on the page.
  public struct Picture: Sendable {
    /// What is written above it.
    public var title: String
    /// The file's contents in base 64.
    public var base64: String
    /// `image/jpeg` or the like.
    public var type: String

    /// Makes a picture.
    public init(title: String, base64: String, type: String) {
      self.title = title
      self.base64 = base64
      self.type = type
    }
  }

  /// The heading.
  public var title: String
  /// A line on where the run stands.
  public var status: String
  /// Columns of the metrics by their names.
  public var training: [String: Curve]
  /// Columns of the validation by their names.
  public var validation: [String: Curve]
  /// Pictures of the validation images.
  public var pictures: [Picture]
  /// The codes that the validation images use; nil before the first validation.
  public var codebook: CodebookUse?
  /// The settings as JSON.
  public var configuration: String

  /// Makes a report.
  public init(
    title: String, status: String, training: [String: Curve], validation: [String: Curve],
    pictures: [Picture], codebook: CodebookUse?, configuration: String
  ) {
    self.title = title
    self.status = status
    self.training = training
    self.validation = validation
    self.pictures = pictures
    self.codebook = codebook
    self.configuration = configuration
  }

  /// The page.
  public var html: String {
    """
    <!doctype html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>\(escaped(title))</title>
    <style>\(Self.style)</style>
    </head>
    <body>
    <h1>\(escaped(title))</h1>
    <p>\(escaped(status))</p>
    <div class="charts">
    \(charts.map(\.svg).joined(separator: "\n"))
    </div>
    \(codebookSection)\(pictureSection)<h2>Settings</h2>
    <pre>\(escaped(configuration))</pre>
    </body>
    </html>

    """
  }

  private var charts: [LineChart] {
    func chart(
      _ title: String, _ train: String?, _ validated: String? = nil, logarithmic: Bool = false
    ) -> LineChart {
      LineChart(
        title: title, isLogarithmic: logarithmic,
        lines: [
          ("training", train.flatMap { training[$0] }),
          ("validation, hard tokens", validated.flatMap { validation[$0] }),
        ].compactMap { name, curve in curve.map { (name, $0.points) } })
    }
    return [
      chart("Loss (nats per value)", "loss", "loss"),
      chart("Reconstruction, −ln f (nats per value)", "reconstruction", "reconstruction"),
      chart("KL (nats per token)", "kl", "kl"),
      chart("PSNR (dB)", nil, "psnr"),
      chart("Codes in use", nil, "used_codes"),
      chart("Perplexity of the codes", nil, "perplexity"),
      chart("Temperature τ", "temperature"),
      chart("KL weight β", "kl_weight"),
      chart("Step size", "learning_rate"),
      chart("Gradient norm", "gradient_norm", logarithmic: true),
      chart("Images per second", "images_per_second"),
    ]
  }

  private var codebookSection: String {
    guard let codebook, codebook.total > 0 else { return "" }
    let sorted = codebook.counts.sorted(by: >)
    let bars = 256
    let per = max(1, (sorted.count + bars - 1) / bars)
    let heights = stride(from: 0, to: sorted.count, by: per).map { start in
      sorted[start..<min(start + per, sorted.count)].reduce(0, +)
    }
    let most = max(1, heights.max() ?? 1)
    let rectangles = heights.enumerated().map { i, count in
      let height = 120 * (Double(count) / Double(most)).squareRoot()
      return "<rect x=\"\(3 * i)\" y=\"\(rounded(120 - height))\" width=\"2\" "
        + "height=\"\(rounded(height))\"/>"
    }
    return """
      <h2>Codes</h2>
      <p>\(codebook.used) of \(codebook.counts.count) codes in use on the validation images, \
      \(codebook.dead) never; entropy \(rounded(codebook.entropy)) nats, perplexity \
      \(rounded(codebook.perplexity)). From the most to the least frequent, \
      \(per == 1 ? "one bar a code" : "\(per) codes a bar"), heights by square root:</p>
      <svg class="codes" viewBox="0 0 \(3 * heights.count) 120" preserveAspectRatio="none">\
      \(rectangles.joined())</svg>

      """
  }

  private var pictureSection: String {
    guard !pictures.isEmpty else { return "" }
    let figures = pictures.map { picture in
      """
      <figure><figcaption>\(escaped(picture.title))</figcaption>\
      <img alt="\(escaped(picture.title))" src="data:\(picture.type);base64,\(picture.base64)">\
      </figure>
      """
    }
    return """
      <h2>Validation images</h2>
      <p>Columns: the image; decoded from a relaxed sample, as in training; decoded from its hard \
      tokens, as in use; the error of these, four times as bright.</p>
      <div class="pictures">
      \(figures.joined(separator: "\n"))
      </div>

      """
  }

  private static let style = """
    body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem;
      padding: 0 1rem; color: #222; background: #fff; }
    h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
    .charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(21rem, 1fr));
      gap: 1rem; }
    .charts svg { width: 100%; height: auto; }
    svg text { font: 11px system-ui, sans-serif; fill: #555; }
    svg .title { font-size: 13px; fill: #222; }
    svg .grid { stroke: #ddd; stroke-width: 1; }
    svg polyline { fill: none; stroke-width: 1.5; }
    .codes { width: 100%; height: 120px; fill: #2a6f97; }
    .pictures { display: flex; flex-wrap: wrap; gap: 1rem; }
    figure { margin: 0; } img { max-width: 100%; }
    pre { background: #f5f5f5; padding: 1rem; overflow-x: auto; }
    """
}

/// A number with a few digits, for people and for coordinates.
func rounded(_ x: Double) -> String {
  guard x.isFinite else { return "–" }
  if x == 0 { return "0" }
  if abs(x) >= 1_000_000 || abs(x) < 0.001 {
    // Two digits and a power of ten.
    var (mantissa, exponent) = (x, 0)
    while abs(mantissa) >= 10 { (mantissa, exponent) = (mantissa / 10, exponent + 1) }
    while abs(mantissa) < 1 { (mantissa, exponent) = (mantissa * 10, exponent - 1) }
    return "\((mantissa * 10).rounded() / 10)e\(exponent)"
  }
  let digits = abs(x) >= 100 ? 1.0 : abs(x) >= 1 ? 100.0 : 10_000.0
  let value = (x * digits).rounded() / digits
  return value == value.rounded() ? "\(Int(value))" : "\(value)"
}
