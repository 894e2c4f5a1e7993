import DVAEKit
import DVAEReports

/// The pictures of the images with the lowest and highest PSNR, limited to what a page can hold.
struct ShownPictures {
  /// In ascending order of PSNR.
  private(set) var pictures: [(figures: ImageEvaluation, pictures: EvaluatedPictures)] = []
  /// The position of the first of the best; nil while all images are there.
  private(set) var firstOfBest: Int?
  private static let most = 24
  // Larger images are cropped to their middle, to limit the size of the page.
  private static let longestSide = 1024

  /// Adds an image; drops the middle one if there are too many.
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

extension Page {
  /// The page of `dvae evaluate --html`.
  ///
  /// - Parameters:
  ///   - report: all figures
  ///   - summary: the figures over all images
  ///   - codebook: the use of the codes
  ///   - shown: the pictures of some images
  /// - Throws: if a picture cannot be encoded
  init(
    _ report: EvaluationReport, _ summary: EvaluationSummary, _ codebook: CodebookUse,
    _ shown: ShownPictures
  ) throws {
    let rules = report.protocol
    self.init(
      title: "\(counted(summary.images, "image")) under \(rules.name), \(report.modelName)",
      [
        .paragraph(
          "Original: \(rules.preprocessing). Reconstruction: \(rules.reconstruction). Values: "
            + "\(rules.values). Every image counts the same; FID is not measured."),
        Self.table(summary),
      ])
    parts += summary.codecs.compactMap(EvaluationReport.note).map { .paragraph($0 + ".") }
    parts += [
      .list(EvaluationReport.sentences(summary)), .heading("How often each code is used"),
      .bars(Self.classes(codebook)),
    ]
    let pictures = try shown.pictures.map(Self.comparison)
    if let first = shown.firstOfBest {
      parts += Self.section("The worst images", pictures[..<first])
      parts += Self.section("The best images", pictures[first...])
    } else {
      parts += Self.section(
        pictures.count == 1 ? "The image" : "All images, from the worst to the best", pictures[...])
    }
    let weights = report.weights.map { "\($0.file) (SHA-256 \($0.sha256))" }
    parts += [
      .heading("Provenance"),
      .paragraph(
        "swift-dvae \(report.version), \(report.engine). Weights: "
          + "\(weights.joined(separator: ", ")). Inputs: \(report.inputs.count), SHA-256 of their "
          + "names and sizes \(report.inputs.sha256)."),
    ]
  }

  private static func table(_ summary: EvaluationSummary) -> Part {
    let numbers = ["PSNR dB", "±", "SSIM", "SSIM 7×7", "MS-SSIM", "L1", "bytes"]
    let rows = ([summary.model] + summary.codecs).filter { $0.images > 0 }.map { row -> Row in
      let cells: [(value: Double?, decimals: Int)] = [
        (row.psnr?.mean, 2), (row.images > 1 ? row.psnr?.standardDeviation : nil, 2),
        (row.ssim?.mean, 4),
        (row.ssimUniform?.mean, 4), (row.msSsim?.mean, 4), (row.l1?.mean, 4), (row.bytes, 0),
      ]
      return ([row.name] + cells.map { Numbers.fixed($0.value, $0.decimals) }, [])
    }
    return .table([""] + numbers, numbersFrom: 1, rows)
  }

  /// Groups codes by their number of uses, in classes that double.
  private static func classes(_ codebook: CodebookUse) -> [(label: String, value: Int)] {
    var classes = [(label: "never", value: codebook.dead)]
    var low = 1
    let most = codebook.counts.max() ?? 0
    while low <= most {
      let high = 2 * low - 1
      let label = low == high ? "once" : "\(low)–\(high)×"
      classes.append((label, codebook.counts.count { (low...high).contains($0) }))
      low *= 2
    }
    return classes
  }

  private static func section(_ title: String, _ pictures: ArraySlice<Part>) -> [Part] {
    [
      .heading(title),
      .paragraph(
        "Each: the original, the reconstruction, four times the difference of the two as they are shown "
          + "here, and both in one: move the slider."),
    ] + pictures
  }

  private static func comparison(
    _ figures: ImageEvaluation, _ pictures: EvaluatedPictures
  ) throws -> Part {
    .comparison(
      name: figures.key,
      caption: "PSNR \(Numbers.fixed(figures.model.psnr, 2, none: "∞")) dB, SSIM "
        + "\(Numbers.fixed(figures.model.ssim, 4)), \(figures.bytes) bytes",
      width: pictures.original.width, height: pictures.original.height,
      original: try encodePNG(pictures.original),
      reconstruction: try encodePNG(pictures.reconstruction))
  }
}
