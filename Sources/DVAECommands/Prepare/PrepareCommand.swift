import DVAEFiles
import ArgumentParser
import DVAEKit
import DVAEPreparation
import DVAEReports
import Foundation

/// `dvae prepare`.
struct PrepareCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prepare",
    abstract: "Make training data of text-image pairs: filter, deduplicate, write shards.",
    discussion: """
      Reads tables with a caption and an image per row (.tsv as Conceptual Captions and CC12M, .csv, \
      .jsonl), the metadata of YFCC100M (also as SQLite), all of them also as .bz2, folders of images with captions beside them (NAME.txt, \
      NAME.caption, NAME.json) and WebDataset .tar archives. Writes a folder:
        shard-000000.tar …  WebDataset: KEY.jpg, KEY.txt, KEY.json
        index.json          the shards with their SHA-256, and the settings
        samples.jsonl       a line per sample with the hashes of its image
        funnel.json, .html  how many pairs entered and left each stage, and why
      Every filter is listed there with what it dropped. A job that was interrupted goes on with \
      --resume, and gives the same files.

      Example:
        dvae prepare captions.tsv --output data --preset dalle --max-side 512
      """)

  @Argument(help: "Tables, folders of images, WebDataset .tar archives.", completion: .file())
  var sources: [String]

  @Option(name: .shortAndLong, help: "The folder to write.", completion: .directory)
  var output: String

  @OptionGroup(title: "Filters") var filters: FilterOptions
  @OptionGroup(title: "Sources") var source: SourceOptions
  @OptionGroup(title: "Images") var image: PrepareImageOptions

  @OptionGroup(title: "Fetching") var fetch: FetchOptions

  @Option(
    help: ArgumentHelp(
      "Keep out these images and what looks like them: another run's folder or samples.jsonl, a "
        + ".txt of SHA-256, images, folders, .tar archives. Repeatable.", valueName: "path"),
    completion: .file())
  var exclude: [String] = []

  @Option(help: "Samples in each shard.")
  var samplesPerShard = 10000

  @Option(help: "Read this many rows at most.")
  var limit: Int?

  @Option(help: "Images to work on at a time (default: one per core).")
  var threads: Int?

  @OptionGroup var interrupted: InterruptedJobOptions
  @OptionGroup var overwrite: OverwriteOption
  @OptionGroup var json: JSONOption
  @OptionGroup var quiet: QuietOption

  func validate() throws {
    try check(output: output)
    try check("samples-per-shard", samplesPerShard, atMost: 10_000_000)
    if let threads { try check("threads", threads, atMost: 1024) }
    if let limit { try check("limit", limit, atMost: .max) }
  }

  func run() async throws {
    let console = Console.current
    let path = Path(output).withoutTrailingSlashes.text
    if !interrupted.resume { try overwrite.check(path) }
    var settings = PreparationSettings(sources: sources, filters: try filters.settings())
    settings.source = source.settings
    settings.image = image.settings
    settings.excluded = exclude
    settings.samplesPerShard = samplesPerShard
    settings.limit = limit
    let threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
    let job = try Preparation(settings, fetch: fetch.settings, threads: threads)
    if interrupted.resume, let funnel = try job.finished(path, replaceable: overwrite.overwrite) {
      console.note("\(path) is complete already")
      return try report(path, .init(funnel: funnel), threads, console)
    }
    Interruption.explain()
    let progress = Progress("reading", of: nil, unit: .rows, quiet: quiet.quiet, console: console)
    defer { progress.finish() }
    let summary = try await job.run(
      path, start: interrupted.start, replacing: overwrite.overwrite,
      progress: { rows, _ in progress.update(rows) },
      pages: { ["funnel.html": Page($0).html] })
    progress.finish()
    if summary.resumed > 0 { console.note("resumed after \(summary.resumed) rows") }
    try report(path, summary, threads, console)
  }

  private func report(
    _ path: String, _ summary: Preparation.Summary, _ threads: Int, _ console: Console
  ) throws {
    let report = PreparationReport(path, summary, threads)
    if json.json {
      console.print(try reportText(report))
    } else {
      for line in report.lines(summary.funnel) { console.print(line) }
    }
    guard let unreadable = summary.funnel.unreadable else { return }
    for example in unreadable.examples { console.note("dvae: \(example.detail)") }
    let count = unreadable.count
    throw DVAEError(
      .badData,
      "\(count) source\(count == 1 ? "" : "s") could not be read to the end; the rest is done")
  }
}

/// The results of `dvae prepare`.
struct PreparationReport: Encodable {
  var output: String
  var rows: Int
  var samples: Int
  var dropped: [String: Int]
  var decoded: Int
  var seconds: Double
  var imagesPerSecondPerCore: Double?
  /// Time in the image decoders as a share of the time of all threads.
  var decoderShare: Double?
  /// The same for the encoder, which runs when images are changed.
  var encoderShare: Double?

  init(_ path: String, _ summary: Preparation.Summary, _ threads: Int) {
    let cores = Double(min(threads, ProcessInfo.processInfo.activeProcessorCount))
    output = path
    rows = summary.funnel.entered
    samples = summary.funnel.left
    dropped = [:]
    for stage in summary.funnel.stages {
      for reason in stage.drops where reason.count > 0 {
        dropped[reason.reason, default: 0] += reason.count
      }
    }
    decoded = summary.decoded
    seconds = summary.elapsed / .seconds(1)
    guard decoded > 0, seconds > 0 else { return }
    imagesPerSecondPerCore = Double(decoded) / seconds / cores
    decoderShare = summary.decoding / summary.elapsed / cores
    encoderShare = summary.encoding / summary.elapsed / cores
  }

  func lines(_ funnel: Funnel) -> [String] {
    var lines = ["\(output): \(samples) of \(rows) pairs"]
    for stage in funnel.stages {
      for reason in stage.drops where reason.count > 0 {
        lines.append("  \(reason.count) \(reason.reason)")
      }
    }
    return lines
  }
}
