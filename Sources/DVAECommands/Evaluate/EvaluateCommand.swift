public import ArgumentParser
package import DVAEKit
import DVAEReports

/// `dvae evaluate`.
struct EvaluateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate",
    abstract: "Measure a model's quality on a set of images.",
    usage: "dvae evaluate <inputs> ... [<options>]",
    discussion: """
      PSNR, SSIM (Gaussian window 11×11 with σ 1.5, and uniform 7×7), MS-SSIM (weights of Wang et \
      al. 2003) and L1 of the reconstructions; the evidence lower bound and its parts; how the \
      codes are used; and what JPEG (4:2:0) and WebP make of the same images at the same number \
      of bytes, or at the fewest that they can. Every image counts the same. FID is not offered: \
      it needs the weights of another network.

      Figures can only be compared under one protocol:
        lanczos-256   short side to 256 by Pillow's LANCZOS, long side rounded
                      half to even, middle 256×256; smaller images are
                      refused
        bilinear-256  torchvision's Resize and CenterCrop: short side to 256
                      by Pillow's BILINEAR, long side rounded down, middle
                      256×256; smaller images are enlarged
        native        both sides cut around the middle to multiples of 8
      All measure 8-bit RGB, peak 255. A reconstruction is sigmoid(μ) of the most likely tokens, \
      unmapped and truncated to bytes as the released code does; under bilinear-256 it is rounded \
      to the nearest.

      Example:
        dvae evaluate photos/ --html report.html --weights openai
      """)

  @Argument(
    help: "Images, folders, WebDataset .tar archives, @lists of paths.", completion: .file())
  var inputs: [String]

  @Option(
    name: .customLong("protocol"),
    help: ArgumentHelp(
      "The protocol: preprocessing and rounding.", valueName: "lanczos-256|bilinear-256|native"))
  var evaluationProtocol = EvaluationProtocol.lanczos256

  @Option(
    help: ArgumentHelp(
      "Also write a page with everything in it: the pictures and their errors, the worst and the "
        + "best, the use of the codes.", valueName: "file"), completion: .file())
  var html: String?

  @Option(help: "Refuse images that claim more pixels than this.")
  var maxPixels = DecodingLimits.default.maximumPixels

  @OptionGroup var model: BatchedModelOptions
  @OptionGroup var overwrite: OverwriteOption
  @OptionGroup var json: JSONOption
  @OptionGroup var quiet: QuietOption

  func validate() throws {
    try check(maxPixels: maxPixels)
    if html == nil {
      try CommandWords.refuse(
        "--overwrite", reason: "is for the page of --html, which is not given")
    }
    // Requiring .html keeps the page from replacing an image, an archive or a weights file.
    if let html, !html.lowercased().hasSuffix(".html") {
      throw ValidationError("--html must end in .html: \(html)")
    }
  }

  func run() async throws {
    if let html { try overwrite.check(html) }
    let inputs = try BulkInputs(self.inputs, for: .jsonLines)
    if let html { try AtomicFile.check(html) }
    let vae = try model.load()
    var report = EvaluationReport(
      evaluationProtocol, vae, weights: try vae.weightsProvenance(), inputs.fingerprint)
    var codebook = CodebookUse(vocabulary: vae.architecture.vocabulary)
    var shown = ShownPictures()
    var failures = FailureNotes(toEnlarge: "--protocol bilinear-256")
    let total = inputs.fingerprint.count
    let progress = Progress("evaluating", of: total, quiet: quiet.quiet)
    let limits = DecodingLimits(maximumPixels: maxPixels)
    let rules = evaluationProtocol
    let batches = inputs.batches(of: model.images) { (item, _) throws(DVAEError) in
      try rules.apply(item.decode(limits: limits), name: item.name)
    }
    for try await batch in batches {
      for try await result in try evaluated(batch, vae) {
        switch result {
        case .success(let (figures, found)):
          report.images.append(figures)
          codebook.count(found.tokens.tokens.map(Int32.init))
          if html != nil { shown.add(figures, found.pictures) }
        case .failure(let error):
          guard error.isOfItem else { throw error }
          failures.add(error)
          report.failed += 1
        }
        progress.update(report.images.count + report.failed)
      }
    }
    progress.finish()
    failures.finish()
    if !report.images.isEmpty {
      report.summary = EvaluationSummary(report.images, codebook, vae.architecture)
    }
    // The results are printed before the page is written, which may not fit on the disk.
    try json.print(report, or: report.lines)
    if let html, let summary = report.summary {
      // Another program may have written it in the meantime.
      try overwrite.check(html)
      let page = Array(try Page(report, summary, codebook, shown).html.utf8)
      try FileSystem.withFolder(of: html) { try AtomicFile.write(page, to: html) }
    }
    if report.failed > 0 { throw FinishedWithFailures(failed: report.failed, total: total) }
  }

  /// Computes a batch, then compares its images, which uses all cores.
  private func evaluated(
    _ batch: Batch<BulkInputs.Item, PixelImage>, _ vae: DiscreteVAE
  ) throws -> OrderedMap<
    (tag: BulkInputs.Item, result: Result<MeasuredImage, DVAEError>),
    Result<(ImageEvaluation, MeasuredImage), DVAEError>
  > {
    let results = try batch.results(describe: { $0.about($1.name) }) { originals in
      try vae.measured(originals, by: evaluationProtocol)
    }
    return OrderedMap(results, window: results.count) { item, result in
      result.map { ($0.figures(item.key), $0) }
    }
  }
}

extension EvaluationProtocol: ExpressibleByArgument {}
