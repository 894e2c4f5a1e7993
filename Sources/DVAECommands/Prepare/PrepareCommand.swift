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
      .jsonl), the metadata of YFCC100M (also as SQLite), all of them also as .bz2, folders of \
      images with captions beside them (NAME.txt, \
      NAME.caption, NAME.json) and WebDataset .tar archives. Writes a folder:
        shard-000000.tar …  WebDataset: KEY.jpg, KEY.txt, KEY.json
        index.json          the shards with their SHA-256, and the settings
        samples.jsonl       a line per sample with the hashes of its image
        funnel.json, .html  how many pairs entered and left each stage; why
      Every filter is listed there with what it dropped. --resume continues an interrupted job and \
      gives the same files.

      Many machines can each do a part, 0/4 to 3/4, called data-0-of-4 and so on. --merge joins the finished parts and leaves out \
      duplicates over all of them, which gives the files of one run. Without --shard, the variables of \
      Slurm, torchrun, Open MPI and Kubernetes jobs split the work.

      Example:
        dvae prepare captions.tsv --output data --preset dalle --max-side 512
        dvae prepare captions.tsv --output data --shard 0/4
        dvae prepare --merge data-?-of-4 --output data
      """)

  @Argument(
    help: "Tables, folders of images, WebDataset .tar archives; with --merge, the parts.",
    completion: .file())
  var sources: [String]

  @Option(name: .shortAndLong, help: "The folder to write.", completion: .directory)
  var output: String

  @OptionGroup var shard: ShardOption

  @Flag(help: "Join the parts of a job that --shard has split; all other settings are theirs.")
  var merge = false

  @OptionGroup(title: "Filters") var filters: FilterOptions
  @OptionGroup(title: "Sources") var source: SourceOptions
  @OptionGroup(title: "Images") var image: PrepareImageOptions

  @OptionGroup(title: "Fetching") var fetch: FetchOptions

  @Option(
    help: ArgumentHelp(
      "Exclude these images and their near duplicates: another run's folder or samples.jsonl, a "
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
    try check(outputFolder: output)
    try check("samples-per-shard", samplesPerShard, atMost: 10_000_000)
    if let threads { try check("threads", threads, atMost: 1024) }
    if let limit { try check("limit", limit, atMost: .max) }
    try check(maxPixels: image.maxPixels)
    guard merge else { return }
    if shard.shard != nil { throw ValidationError("--merge and --shard exclude each other") }
    // Also a value that is the default may differ from that of the parts.
    let foreign = CommandWords.given.first { !Self.optionsOfMerge.contains($0) }
    if let foreign {
      throw ValidationError(
        "--merge takes filters, sources, images and shards from the parts: leave out \(foreign)")
    }
  }

  private static let optionsOfMerge = [
    "--merge", "--output", "-o", "--threads", "--resume", "--restart", "--overwrite", "--json",
    "--quiet", "-q",
  ]

  private func settings() throws -> PreparationSettings {
    var settings = PreparationSettings(sources: sources, filters: try filters.settings())
    settings.source = source.settings
    settings.image = image.settings
    settings.excluded = exclude
    settings.samplesPerShard = samplesPerShard
    settings.limit = limit
    return settings
  }

  func run() async throws {
    let console = Console.current
    let shard = merge ? .whole : try self.shard.chosen(console)
    let path = shard.path(Path(output).withoutTrailingSlashes.text)
    if !interrupted.resume {
      try Preparation.check(output: path, replacing: overwrite.overwrite)
    }
    if merge {
      let job = try PreparationMerge(sources)
      let progress = Progress("merging", of: job.count, quiet: quiet.quiet)
      try await finish(path, progress, job.finished) {
        try job.run(
          path, start: interrupted.start, replacing: overwrite.overwrite,
          progress: { progress.update($0) }, page: { Page($0).html })
      }
    } else {
      for table in sources.flatMap(Self.tables(in:)) {
        console.note(
          "\(Path(table).folder.text): prepared by the files beside each image; if \(table) describes them, name it instead"
        )
      }
      let job = try Preparation(
        settings(), shard: shard, fetch: fetch.settings, threads: mostThreads)
      let progress = Progress("reading", of: nil, unit: "rows", quiet: quiet.quiet)
      try await finish(path, progress, job.finished) {
        try await job.run(
          path, start: interrupted.start, replacing: overwrite.overwrite,
          progress: { progress.update($0) }, page: { Page($0).html })
      }
    }
  }

  /// Returns the tables of a folder by which Hugging Face's `datasets` describes its images.
  private static func tables(in source: String) -> [String] {
    ["metadata.jsonl", "metadata.csv"].map { (Path(source) / $0).text }
      .filter { FileSystem.kind(source) == .folder && FileSystem.kind($0) == .file }
  }

  private var mostThreads: Int { threads ?? ProcessInfo.processInfo.activeProcessorCount }

  /// Does a job unless it is done, and tells how it went.
  private func finish(
    _ path: String, _ progress: Progress, _ finished: (String, Bool) throws -> Funnel?,
    _ run: () async throws -> Preparation.Summary
  ) async throws {
    let console = Console.current
    func isReported() throws -> Bool {
      guard interrupted.resume, let funnel = try finished(path, overwrite.overwrite) else {
        return false
      }
      console.note("\(path) is complete already")
      try report(path, .init(funnel: funnel), console)
      return true
    }
    if try isReported() { return }
    Signals.explainInterruption()
    defer { progress.finish() }
    let summary: Preparation.Summary
    do {
      summary = try await run()
    } catch let error as DVAEError where error.code == .exists {
      // Another process has finished it in this moment.
      if try isReported() { return }
      throw error
    }
    progress.finish()
    if summary.resumed > 0 {
      console.note("resumed after \(counted(summary.resumed, merge ? "sample" : "row"))")
    }
    try report(path, summary, console)
  }

  private func report(
    _ path: String, _ summary: Preparation.Summary, _ console: Console
  ) throws {
    let report = PreparationReport(path, summary, mostThreads)
    try json.print(report, or: report.lines(summary.funnel))
    let unreachable = summary.funnel.unreachable
    if summary.funnel.left == 0, unreachable == nil {
      console.note("no pair is left: each filter has an option, and --preset none turns off all")
    }
    let unreadable = summary.funnel.unreadable
    for example in unreadable?.examples ?? [] { console.note("dvae: \(example.detail)") }
    if let unreachable {
      throw DVAEError(
        unreachable.kind, file: path, unreachable.problem,
        advice: merge
          ? "the rest is merged; connect to the network and make the parts again"
          : "the rest is finished; connect to the network and resume it to try again")
    }
    guard let count = unreadable?.count else { return }
    throw DVAEError(
      .badData,
      "\(counted(count, "source")) could not be read to the end; the rest is done")
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
    var lines = ["\(output): \(samples) of \(counted(rows, "pair"))"]
    for stage in funnel.stages {
      for reason in stage.drops where reason.count > 0 {
        let options = DVAEError.Code(rawValue: reason.reason).options
        lines.append("  \(reason.count) \(reason.reason)\(options)")
      }
    }
    return lines
  }
}
