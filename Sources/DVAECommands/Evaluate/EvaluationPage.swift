import DVAEKit
import DVAEModel
import Foundation
import DVAEImages

/// The pictures of the worst and the best images, as many as a page should hold.
struct ShownPictures {
  /// From the worst to the best PSNR.
  private(set) var pictures: [(figures: ImageEvaluation, pictures: EvaluatedPictures)] = []
  /// Where the best begin; nil while all images are there.
  private(set) var firstOfBest: Int?
  private static let most = 24
  // Larger ones are shown by their middle, or the page would be too large to open.
  private static let longestSide = 1024

  /// Takes an image; drops the middle one if there are too many.
  mutating func add(_ figures: ImageEvaluation, _ pair: EvaluatedPictures) {
    let ratio = { (figures: ImageEvaluation) in figures.model.psnr ?? .infinity }
    let place =
      pictures.firstIndex { ratio($0.figures) > ratio(figures) } ?? pictures.endIndex
    pictures.insert((figures, pair.middle(Self.longestSide)), at: place)
    guard pictures.count > Self.most else { return }
    pictures.remove(at: Self.most / 2)
    firstOfBest = Self.most / 2
  }
}

extension EvaluatedPictures {
  fileprivate func middle(_ side: Int) -> EvaluatedPictures {
    let cut = { (image: PixelImage) in
      let (width, height) = (min(side, image.width), min(side, image.height))
      return image.cropped(
        x: (image.width - width) / 2, y: (image.height - height) / 2, width: width, height: height)
    }
    return EvaluatedPictures(original: cut(original), reconstruction: cut(reconstruction))
  }
}

/// The page of `dvae evaluate --html`: it needs nothing beside itself, and no script to be read.
struct EvaluationPage {
  private let report: EvaluationReport
  private let summary: EvaluationSummary
  private let codebook: CodebookUse
  private let shown: ShownPictures

  init(
    _ report: EvaluationReport, _ summary: EvaluationSummary, _ codebook: CodebookUse,
    _ shown: ShownPictures
  ) {
    self.report = report
    self.summary = summary
    self.codebook = codebook
    self.shown = shown
  }

  /// The page.
  var html: String {
    get throws {
      let pictures = try pictureRules
      let weights = report.weights.map { "\(escaped($0.file)) (SHA-256 \($0.sha256))" }
      let sentences = EvaluationReport.sentences(summary).map {
        "<li>\(escaped($0))</li>"
      }
      return """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>\(escaped(report.modelName)) under \(report.protocol.name)</title>
        <style>
        \(Self.style)
        \(pictures)
        </style>
        </head>
        <body>
        <h1>\(EvaluationReport.images(summary.images)) under \(report.protocol.name)</h1>
        <p>Original: \(escaped(report.protocol.preprocessing)). Reconstruction: \
        \(escaped(report.protocol.reconstruction)). Values: \(report.protocol.values). Every \
        image counts the same; FID is not measured.</p>
        \(table)
        <ul>\(sentences.joined())</ul>
        <h2>How often each code is used</h2>
        \(histogram)
        \(gallery)
        <h2>Provenance</h2>
        <p>swift-dvae \(report.version), \(escaped(report.engine)). Weights: \
        \(weights.joined(separator: ", ")). Inputs: \(report.inputs.count), SHA-256 of their names and \
        sizes \(report.inputs.sha256).</p>
        </body>
        </html>

        """
    }
  }

  // MARK: Numbers

  private var table: String {
    let rows = ([summary.model] + summary.codecs).filter { $0.images > 0 }.map { row in
      let columns: [(value: Double?, decimals: Int)] = [
        (row.psnr?.mean, 2), (row.psnr?.standardDeviation, 2), (row.ssim?.mean, 4),
        (row.ssimUniform?.mean, 4), (row.msSsim?.mean, 4), (row.l1?.mean, 4), (row.bytes, 0),
      ]
      let cells = columns.map { "<td>\(EvaluationReport.number($0.value, $0.decimals))</td>" }
      return "<tr><th>\(row.name)</th>\(cells.joined())</tr>"
    }
    let notes = summary.codecs.compactMap(EvaluationReport.note).map {
      "<p>\(escaped($0)).</p>"
    }
    return """
      <div class="wide"><table>
      <tr><th></th><th>PSNR dB</th><th>±</th><th>SSIM</th><th>SSIM 7×7</th><th>MS-SSIM</th>\
      <th>L1</th><th>bytes</th></tr>
      \(rows.joined(separator: "\n"))
      </table></div>
      \(notes.joined(separator: "\n"))
      """
  }

  /// Codes by how often they were used, in classes that double.
  private var histogram: String {
    var classes: [(label: String, codes: Int)] = [("never", codebook.dead)]
    var low = 1
    let most = codebook.counts.max() ?? 0
    while low <= most {
      let high = 2 * low - 1
      let label = low == high ? "once" : "\(low)–\(high)×"
      classes.append((label, codebook.counts.count { (low...high).contains($0) }))
      low *= 2
    }
    let largest = max(1, classes.map(\.codes).max() ?? 1)
    let bars = classes.map { label, codes in
      "<tr><th>\(label)</th><td><i style=\"width:\(100 * codes / largest)%\"></i></td>"
        + "<td>\(codes)</td></tr>"
    }
    return "<table class=\"bars\">\(bars.joined(separator: "\n"))</table>"
  }

  // MARK: Pictures

  private var gallery: String {
    let figures = shown.pictures.indices.map(figure)
    guard let first = shown.firstOfBest else {
      return section("All images, from the worst to the best", figures[...])
    }
    return section("The worst images", figures[..<first])
      + section("The best images", figures[first...])
  }

  private func section(_ title: String, _ figures: ArraySlice<String>) -> String {
    """
    <h2>\(title)</h2>
    <p>Each: the original, the reconstruction, four times their difference, and both in one: move \
    the slider.</p>
    \(figures.joined(separator: "\n"))

    """
  }

  // Each picture is in the file once; whatever shows it refers to these rules.
  private var pictureRules: String {
    get throws {
      var rules: [String] = []
      for (index, shown) in shown.pictures.enumerated() {
        let original = try Self.url(shown.pictures.original)
        let reconstruction = try Self.url(shown.pictures.reconstruction)
        rules.append("#f\(index) .o{background-image:url(\(original))}")
        rules.append("#f\(index) .r{background-image:url(\(reconstruction))}")
      }
      return rules.joined(separator: "\n")
    }
  }

  // The error map is the difference of the two as the browser blends them.
  private func figure(_ index: Int) -> String {
    let (figures, pair) = shown.pictures[index]
    let key = escaped(figures.key)
    let psnr = EvaluationReport.number(figures.model.psnr, 2, none: "∞")
    return """
      <figure id="f\(index)" style="--s:\(pair.original.width)/\(pair.original.height);--p:50%">
      <figcaption><b>\(key)</b> PSNR \(psnr) dB, SSIM \
      \(EvaluationReport.number(figures.model.ssim, 4)), \(figures.bytes) bytes</figcaption>
      <div class="row">
      <div class="o" role="img" aria-label="\(key): original"></div>
      <div class="r" role="img" aria-label="\(key): reconstruction"></div>
      <div class="e" role="img" aria-label="\(key): error"><div class="o"></div>\
      <div class="r"></div></div>
      <div class="c"><div class="o"></div><div class="r"></div>\
      <input type="range" value="50" aria-label="\(key): from original to reconstruction" \
      oninput="this.closest('figure').style.setProperty('--p',this.value+'%')"></div>
      </div>
      </figure>
      """
  }

  private static func url(_ image: PixelImage) throws -> String {
    "data:image/png;base64," + Data(try encodePNG(image)).base64EncodedString()
  }

  private static let style = """
    :root { color-scheme: light dark; }
    body { font: 16px/1.5 system-ui, sans-serif; max-width: 75rem; margin: auto; padding: 1rem; }
    h1, h2 { line-height: 1.2; }
    p, li { overflow-wrap: anywhere; }
    .wide { overflow-x: auto; }
    table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
    th, td { padding: .2rem .7rem; text-align: right; white-space: nowrap; }
    tr:first-child th { border-bottom: 1px solid; }
    .bars { width: 100%; max-width: 40rem; }
    .bars th { font-weight: normal; border: 0 !important; }
    .bars td:nth-child(2) { width: 100%; padding: 0; }
    .bars i { display: block; height: 1rem; background: #3b82c4; }
    figure { margin: 1.5rem 0; }
    .row { display: grid; gap: .5rem; margin-top: .3rem;
      grid-template-columns: repeat(auto-fit, minmax(min(100%, 15rem), 1fr)); }
    .row > div { position: relative; aspect-ratio: var(--s); }
    .o, .r { background-size: 100% 100%; }
    .e, .c { overflow: hidden; }
    .e { isolation: isolate; background: #000; filter: brightness(4); }
    .e > div, .c > div { position: absolute; inset: 0; }
    .e .r { mix-blend-mode: difference; }
    .c .r { clip-path: inset(0 0 0 var(--p)); }
    .c input { position: absolute; left: 0; right: 0; bottom: .5rem; width: 100%; margin: 0;
      height: 2rem; touch-action: pan-y; }
    @media (max-width: 34rem) { .row { grid-template-columns: 1fr 1fr; } }
    """
}
