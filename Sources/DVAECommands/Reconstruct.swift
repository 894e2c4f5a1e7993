import DVAEFiles
import ArgumentParser
import DVAEImages
import DVAEKit
import DVAEReports

/// `dvae reconstruct`.
struct ReconstructCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reconstruct",
    abstract: "Encode and decode images, and measure the difference.",
    discussion: """
      Writes NAME.png for each image and prints PSNR (dB) and SSIM against the resized, cropped \
      input, and their means.

      Example:
        dvae reconstruct photo.jpg --output out --compare --weights openai
      """)

  @Argument(
    help: "Images, folders, WebDataset .tar archives, @lists of paths.", completion: .file())
  var inputs: [String]

  @Option(name: .shortAndLong, help: "The folder to write the images to.", completion: .directory)
  var output: String

  @Flag(
    help: "Put the input, the reconstruction and four times their difference side by side.")
  var compare = false

  @OptionGroup var model: ModelOptions
  @OptionGroup var image: ImageOptions
  @OptionGroup var overwrite: OverwriteOption
  @OptionGroup var json: JSONOption
  @OptionGroup var quiet: QuietOption

  func validate() throws { try check(outputFolder: output) }

  func run() async throws {
    let console = Console.current
    let inputs = try BulkInputs(self.inputs, for: .jsonLines)
    try inputs.refuse(outputFolder: output)
    if FileSystem.kind(output) != .missing {
      // An input that its own output would replace fails alone, in its turn.
      for item in inputs.items() where (try? inputs.refuse(output: picture(of: item.key))) != nil {
        try overwrite.check(picture(of: item.key))
      }
    }
    let total = inputs.fingerprint.count
    let folder = try NewFolder(output)
    defer { folder.removeIfEmpty() }
    let vae = try model.load(singlePass: total == 1)
    let progress = Progress("reconstructing", of: total, quiet: quiet.quiet, console: console)
    var report = ReconstructionReport()
    var failures = FailureNotes(console)
    var status = ExitStatus.badData
    let (preprocessing, limits) = (image.preprocessing, image.limits)
    let originals = inputs.loading { (item) throws(DVAEError) in
      try preprocessing.apply(item.decode(limits: limits), name: item.name)
    }
    for try await (key, original) in originals {
      let path = picture(of: key)
      do {
        try inputs.refuse(output: path)
        let result = try reconstruct(original.get(), key, vae, path, in: folder)
        report.images.append(result)
        if !json.json { console.print(result.line) }
      } catch let error as DVAEError where error.isOfItem {
        failures.add(error)
        report.failed += 1
      } catch let error as DVAEError where error.kind == .usage {
        failures.add(error)
        report.failed += 1
        status = ExitStatus.usage
      }
      progress.update(report.images.count + report.failed)
    }
    progress.finish()
    failures.finish()
    report.complete()
    if json.json {
      console.print(try reportText(report))
    } else if let line = report.meanLine {
      console.print(line)
    }
    if report.failed > 0 {
      throw FinishedWithFailures(failed: report.failed, total: total, status: status)
    }
  }

  private func picture(of key: String) -> String { (Path(output) / (key + ".png")).text }

  private func reconstruct(
    _ original: PixelImage, _ key: String, _ vae: DiscreteVAE, _ path: String,
    in folder: NewFolder
  ) throws -> ReconstructionReport.Image {
    guard let grid = try vae.tokens(of: [original]).first else {
      throw DVAEError(.internal, file: key, "no tokens were made")
    }
    let picture = try vae.decode(grid)
    let parts = [original, picture, picture.difference(from: original)]
    try folder.make()
    try FileSystem.withFolder(of: path, below: output) {
      try (compare ? PixelImage.tiled(parts, columns: 3) ?? picture : picture).write(to: path)
    }
    let measures = PictureMeasures(of: picture, comparedTo: original, isBrief: true)
    return .init(key: key, output: path, psnr: measures.psnr, ssim: measures.ssim)
  }
}

/// The results of `dvae reconstruct`.
struct ReconstructionReport: Encodable {
  /// One image.
  struct Image: Encodable {
    var key: String
    var output: String
    /// nil for a perfect reconstruction.
    var psnr: Double?
    /// nil for an image smaller than the window.
    var ssim: Double?

    var line: String { "\(output)  \(ReconstructionReport.text(psnr, ssim))" }
  }

  /// Means over the images that have the measure.
  struct Mean: Encodable {
    var psnr: Double?
    var ssim: Double?
  }

  var images: [Image] = []
  var mean = Mean()
  var failed = 0

  mutating func complete() {
    let average = { (values: [Double]) in
      values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
    }
    mean = Mean(psnr: average(images.compactMap(\.psnr)), ssim: average(images.compactMap(\.ssim)))
  }

  var meanLine: String? {
    images.count > 1 ? "mean  \(Self.text(mean.psnr, mean.ssim))" : nil
  }

  private static func text(_ psnr: Double?, _ ssim: Double?) -> String {
    "PSNR " + (psnr.map { Numbers.fixed($0, 2) + " dB" } ?? "∞") + "  SSIM "
      + Numbers.fixed(ssim, 4)
  }
}
