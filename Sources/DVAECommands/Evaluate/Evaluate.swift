import DVAEFiles
public import ArgumentParser
package import DVAEKit
import DVAEModel
import DVAEReports
import DVAEImages
import DVAEWeights

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

  @OptionGroup var model: ModelOptions
  @OptionGroup var overwrite: OverwriteOption
  @OptionGroup var json: JSONOption
  @OptionGroup var quiet: QuietOption

  func validate() throws {
    if maxPixels < 1 { throw ValidationError("--max-pixels must be at least 1, not \(maxPixels)") }
    // Requiring .html keeps the page from replacing an image, an archive or a weights file.
    if let html, !html.lowercased().hasSuffix(".html") {
      throw ValidationError("--html must end in .html: \(html)")
    }
  }

  func run() async throws {
    let console = Console.current
    if let html { try overwrite.check(html) }
    let inputs = try BulkInputs(self.inputs, for: .jsonLines)
    if let html { try AtomicFile.check(html) }
    let vae = try model.load()
    var report = EvaluationReport(
      evaluationProtocol, vae, weights: try vae.weightsProvenance(), inputs.fingerprint)
    var codebook = CodebookUse(vocabulary: vae.architecture.vocabulary)
    var shown = ShownPictures()
    var failures = FailureNotes(console, toEnlarge: "--protocol bilinear-256")
    let total = inputs.fingerprint.count
    let progress = Progress("evaluating", of: total, quiet: quiet.quiet, console: console)
    let limits = DecodingLimits(maximumPixels: maxPixels)
    let photos = inputs.loading { (item) throws(DVAEError) in
      (photo: try item.decode(limits: limits), name: item.name)
    }
    for try await (key, loaded) in photos {
      do {
        let (photo, name) = try loaded.get()
        let found = try evaluate(photo, key, name, vae)
        report.images.append(found.figures)
        codebook.count(found.tokens.tokens.map(Int32.init))
        if html != nil { shown.add(found.figures, found.pictures) }
      } catch let error as DVAEError where error.isOfItem {
        failures.add(error)
        report.failed += 1
      }
      progress.update(report.images.count + report.failed)
    }
    progress.finish()
    failures.finish()
    if !report.images.isEmpty {
      report.summary = EvaluationSummary(report.images, codebook, vae.architecture)
    }
    // Before the page, which may not fit on the disk.
    if json.json {
      console.print(try reportText(report))
    } else if let lines = report.lines {
      console.print(lines: lines)
    }
    if let html, let summary = report.summary {
      // Another program may have written it in the meantime.
      try overwrite.check(html)
      let page = Array(try Page(report, summary, codebook, shown).html.utf8)
      try FileSystem.withFolder(of: html) { try AtomicFile.write(page, to: html) }
    }
    if report.failed > 0 { throw FinishedWithFailures(failed: report.failed, total: total) }
  }

  private func evaluate(
    _ photo: PixelImage, _ key: String, _ name: String, _ vae: DiscreteVAE
  ) throws -> (figures: ImageEvaluation, tokens: TokenGrid, pictures: EvaluatedPictures) {
    do {
      return try vae.evaluate(photo, by: evaluationProtocol, key: key, name: name)
    } catch let error as DVAEError where error.kind == .badData {
      throw error.about(name)
    }
  }
}

extension EvaluationProtocol: ExpressibleByArgument {}
