import DVAEFiles
import ArgumentParser
import DVAEKit
import Foundation

/// `dvae tokenize`.
struct TokenizeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokenize",
    abstract: "Turn images into tokens.",
    discussion: """
      Reads image files, folders, WebDataset .tar archives and @lists of paths. The name of the \
      output says its form:
        tokens.npy          one uint16 array [N, H/8, W/8]
        tokens.bin          the same as a flat memory map, without a header
        tokens.packed       as few bits as the vocabulary needs: 13 for 8192
        tokens.idx          Megatron: this index, and tokens.bin
        tokens.safetensors  one tensor per key
        tokens.jsonl        a line per image
        tokens.tar, tokens  WebDataset, as a tar or a folder: KEY.tokens.npy and
                            the .txt and .json of the image: those of its
                            sample, or those beside it
      Beside the first four stands NAME.json, with keys, captions and shape. The first three hold \
      images of one size. Every form records where the tokens come from. A job that was interrupted goes on with \
      --resume, and gives the same file. Without --shard, the variables of Slurm, torchrun, Open \
      MPI and Kubernetes jobs split the work.

      Example:
        dvae tokenize photos/ --output tokens.npy --weights openai
      """)

  @Argument(
    help: "Images, folders, WebDataset .tar archives, @lists of paths.", completion: .file())
  var inputs: [String]

  @Option(name: .shortAndLong, help: "The file or folder of tokens to write.", completion: .file())
  var output: String

  @OptionGroup var model: ModelOptions
  @OptionGroup var image: ImageOptions

  @Option(help: "Images that go through the network together (default: 1; 32 on a device).")
  var batchSize: Int?

  @Option(
    help: ArgumentHelp(
      "Keep also the K most likely tokens of each position and their log-probabilities (.tar, "
        + "folders, .safetensors).", valueName: "K"))
  var topK: Int?

  @Flag(help: "Keep also how far each position's second largest logit lies below the largest.")
  var margin = false

  @Option(
    help: ArgumentHelp(
      "Compute in float32, or in less than half the time in int8, where a few tokens differ; on a "
        + "device in float32, tf32, bfloat16 or float16.",
      valueName: "float32|int8|tf32|bfloat16|float16"))
  var precision = Precision.float32

  @Option(help: ArgumentHelp("Do only part I (from 0) of N.", valueName: "I/N"))
  var shard: String?

  @OptionGroup var interrupted: InterruptedJobOptions
  @OptionGroup var overwrite: OverwriteOption
  @OptionGroup var json: JSONOption
  @OptionGroup var quiet: QuietOption

  func validate() throws {
    if !output.isEmpty { try check(output: output) }
    if let batchSize { try check("batch-size", batchSize, atMost: 4096) }
    if let topK { try check("top-k", topK, atMost: 1 << 16) }
    if precision == .int8, topK != nil || margin {
      throw ValidationError("--top-k and --margin need another --precision than int8")
    }
  }

  /// The number of images in a batch.
  private var images: Int { batchSize ?? (model.device.device == "cpu" ? 1 : 32) }

  func run() async throws {
    let console = Console.current
    let format = try TokenFormat(path: output)
    let soft = SoftTokens.Settings(topK: topK, margin: margin)
    guard soft == nil || format.holdsSoftTokens else {
      throw DVAEError(
        .usage, file: output, "--top-k and --margin are kept in .tar, folders and .safetensors only"
      )
    }
    let shard = try chosenShard(console)
    let path = shard.path(Path(output).withoutTrailingSlashes.text)
    let inputs = try BulkInputs(self.inputs, shard: shard, for: format, soft: soft)
    try inputs.refuse(output: path, of: format)
    if !interrupted.resume { try overwrite.check(path) }
    let vae = try model.load(
      only: .encoder, precision: precision,
      singlePass: inputs.fingerprint.count <= images && soft == nil)
    // Before there is an unfinished output: more tokens than the vocabulary has are refused.
    if let soft { _ = try vae.softTokens(of: [], soft) }
    let provenance = try vae.provenance(
      preprocessing: image.preprocessing, inputs: inputs.fingerprint, shard: shard, soft: soft)
    if interrupted.resume, try isComplete(path, provenance) {
      console.note("\(path) is complete already")
      let failures = try TokenReader(contentsOf: path).failures()
      for failure in failures { console.note("dvae: \(failure)") }
      return try report(path, failed: failures.count, of: inputs.fingerprint.count, console)
    }
    try overwrite.check(path)
    Interruption.explain()
    let writer = try TokenWriter(
      path, format: format, provenance: provenance,
      start: interrupted.start, replacingFolder: overwrite.overwrite)
    try await tokenize(inputs, vae, writer, console)
    try report(path, failed: writer.failed, of: inputs.fingerprint.count, console)
  }

  /// Returns whether the job is already done; another job's output is replaced only on request.
  private func isComplete(_ path: String, _ provenance: Provenance) throws -> Bool {
    do {
      return try TokenWriter.isComplete(path, provenance)
    } catch let error as DVAEError where error.kind == .cannotCreate && overwrite.overwrite {
      return false
    }
  }

  private func report(_ path: String, failed: Int, of total: Int, _ console: Console) throws {
    let done = total - failed
    if json.json {
      console.print(try reportText(Report(output: path, images: done, failed: failed)))
    } else {
      console.print("\(path): \(done) image\(done == 1 ? "" : "s")")
    }
    if failed > 0 { throw FinishedWithFailures(failed: failed, total: total) }
  }

  private struct Report: Encodable {
    var output: String
    var images: Int
    var failed: Int
  }

  private func chosenShard(_ console: Console) throws -> Shard {
    if let shard { return try Shard(shard) }
    guard let (shard, variables) = try Shard.scheduled(ProcessInfo.processInfo.environment),
      shard.count > 1
    else { return .whole }
    console.note("doing part \(shard) of the job, by \(variables) (--shard 0/1 for the whole)")
    return shard
  }

  private func tokenize(
    _ inputs: BulkInputs, _ vae: DiscreteVAE, _ writer: TokenWriter, _ console: Console
  ) async throws {
    if let soft = SoftTokens.Settings(topK: topK, margin: margin) {
      try await run(BulkTokenizer(SoftTokenizer(vae, soft)), inputs, writer, console)
    } else {
      try await run(BulkTokenizer(vae), inputs, writer, console)
    }
  }

  private func run(
    _ tokenizer: BulkTokenizer<some ImageTokenizer>, _ inputs: BulkInputs, _ writer: TokenWriter,
    _ console: Console
  ) async throws {
    var tokenizer = tokenizer
    tokenizer.preprocessing = image.preprocessing
    tokenizer.limits = image.limits
    tokenizer.batchSize = images
    // Read enough images ahead to keep the device busy.
    tokenizer.readAhead = max(tokenizer.readAhead, images)
    let total = inputs.fingerprint.count
    if writer.resumed > 0 { console.note("resuming after \(writer.resumed) of \(total)") }
    let progress = Progress(
      "tokenizing", of: total, done: writer.resumed, quiet: quiet.quiet, console: console)
    var failures = FailureNotes(console)
    defer {
      progress.finish()
      failures.finish()
    }
    try await tokenizer.run(
      inputs, into: writer, progress: { progress.update($0.done) }, failed: { failures.add($0) })
  }
}
