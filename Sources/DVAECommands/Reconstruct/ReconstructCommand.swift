import ArgumentParser
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

  @OptionGroup var model: BatchedModelOptions
  @OptionGroup var image: ImageOptions
  @OptionGroup var overwrite: OverwriteOption
  @OptionGroup var json: JSONOption
  @OptionGroup var quiet: QuietOption

  func validate() throws { try check(outputFolder: output) }

  func run() async throws {
    let console = Console.current
    let inputs = try BulkInputs(self.inputs, for: .jsonLines)
    try inputs.refuse(outputFolder: output)
    if FileSystem.exists(output) {
      // An input that its own output would replace fails alone, in its turn.
      for item in inputs.items() where (try? inputs.refuse(output: picture(of: item.key))) != nil {
        try overwrite.check(picture(of: item.key))
      }
    }
    let total = inputs.fingerprint.count
    let folder = try NewFolder(output)
    defer { folder.removeIfEmpty() }
    let vae = try model.load(singlePass: total <= model.images)
    let progress = Progress("reconstructing", of: total, quiet: quiet.quiet)
    var report = ReconstructionReport()
    var failures = FailureNotes(toEnlarge: image.toEnlarge)
    var status = ExitStatus.badData
    let (preprocessing, limits) = (image.preprocessing, image.limits)
    let folderPath = Path(output)
    let batches = inputs.batches(of: model.images) { (item, key) throws(DVAEError) in
      try inputs.refuse(output: Self.picture(of: key, in: folderPath))
      return try preprocessing.apply(item.decode(limits: limits), name: item.name)
    }
    for try await batch in batches {
      for try await result in try reconstructed(batch, vae, in: folder) {
        do {
          let image = try result.get()
          report.images.append(image)
          if !json.json { console.print(image.line) }
        } catch let error as DVAEError where error.isOfItem || error.kind == .usage {
          failures.add(error)
          report.failed += 1
          if !error.isOfItem { status = ExitStatus.usage }
        }
        progress.update(report.images.count + report.failed)
      }
    }
    progress.finish()
    failures.finish()
    report.complete()
    try json.print(report, or: report.images.count > 1 ? [report.meanLine] : [])
    if report.failed > 0 {
      throw FinishedWithFailures(failed: report.failed, total: total, status: status)
    }
  }

  private func picture(of key: String) -> String { Self.picture(of: key, in: Path(output)) }

  private static func picture(of key: String, in folder: Path) -> String {
    (folder / (key + ".png")).text
  }

  /// Computes a batch, then measures and writes its images, which uses all cores.
  private func reconstructed(
    _ batch: Batch<BulkInputs.Item, PixelImage>, _ vae: DiscreteVAE, in folder: NewFolder
  ) throws -> OrderedMap<
    (tag: BulkInputs.Item, result: Result<(PixelImage, PixelImage), DVAEError>),
    Result<ReconstructionReport.Image, any Error>
  > {
    let results = try batch.results(describe: { $0.about($1.key) }) { originals in
      Array(zip(originals, try vae.decode(vae.tokens(of: originals))))
    }
    if results.contains(where: { (try? $0.result.get()) != nil }) { try folder.make() }
    return OrderedMap(results, window: results.count) { [output, compare] item, result in
      Result {
        let (original, picture) = try result.get()
        let path = Self.picture(of: item.key, in: Path(output))
        let shown =
          compare
          ? PixelImage.tiled([original, picture, picture.difference(from: original)], columns: 3)
          : nil
        try FileSystem.withFolder(of: path, below: output) {
          try (shown ?? picture).write(to: path)
        }
        let measures = PictureMeasures(of: picture, comparedTo: original, isBrief: true)
        return .init(key: item.key, output: path, psnr: measures.psnr, ssim: measures.ssim)
      }
    }
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

  var images: [Image] = []
  /// Means over the images that have the measure: `psnr`, `ssim`.
  var mean: [String: Double] = [:]
  var failed = 0

  mutating func complete() {
    let average = { (values: [Double]) in
      values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
    }
    mean["psnr"] = average(images.compactMap(\.psnr))
    mean["ssim"] = average(images.compactMap(\.ssim))
  }

  var meanLine: String { "mean  \(Self.text(mean["psnr"], mean["ssim"]))" }

  private static func text(_ psnr: Double?, _ ssim: Double?) -> String {
    "PSNR " + (psnr.map { Numbers.fixed($0, 2) + " dB" } ?? "∞") + "  SSIM "
      + Numbers.fixed(ssim, 4)
  }
}
