import ArgumentParser
import DVAEKit

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
        tokens.tar, tokens  WebDataset, as a tar or a folder: KEY.tokens.npy
                            and the .txt and .json of the image: those of its
                            sample, or those beside it
      Beside the first four stands NAME.json, with keys, captions and shape. The first three hold \
      images of one size. Every form records where the tokens come from. --resume continues an \
      interrupted job and gives the same file. Without --shard, the variables of Slurm, torchrun, \
      Open \
      MPI and Kubernetes jobs split the work.

      An output in quotes with a range in braces is so many files, each a part of the job with its own \
      provenance; machines that share the work by --shard share these files.

      Example:
        dvae tokenize photos/ --output tokens.npy --weights openai
        dvae tokenize photos/ --output 'tokens-{000000..000009}.tar'
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
      "Compute in float32, or in int8, which is faster on processors with VNNI and changes a few "
        + "tokens; on a device in float32, tf32, bfloat16 or float16.",
      valueName: "float32|int8|tf32|bfloat16|float16"))
  var precision = Precision.float32

  @OptionGroup var shard: ShardOption

  @Option(
    help: ArgumentHelp(
      "Put at most N images into each file of an output with a range in braces, and use only as many "
        + "of its names (default: all of them).", valueName: "N"))
  var samplesPerShard: Int?

  @OptionGroup var interrupted: InterruptedJobOptions
  @OptionGroup var overwrite: OverwriteOption
  @OptionGroup var json: JSONOption
  @OptionGroup var quiet: QuietOption

  func validate() throws {
    if !output.isEmpty { try check(output: output) }
    if let batchSize { try check("batch-size", batchSize, atMost: 4096) }
    if let topK { try check("top-k", topK, atMost: 1 << 16) }
    if let samplesPerShard { try check("samples-per-shard", samplesPerShard, atMost: .max) }
    if precision == .int8, topK != nil || margin {
      throw ValidationError("--top-k and --margin need another --precision than int8")
    }
  }

  /// The number of images in a batch.
  private var images: Int { batchSize ?? model.device.usualBatch }

  func run() async throws {
    let console = Console.current
    let format = try TokenFormat(path: output)
    let soft = SoftTokens.Settings(topK: topK, margin: margin)
    guard soft == nil || format.holdsSoftTokens else {
      throw DVAEError(
        .usage, file: output, "--top-k and --margin are kept in .tar, folders and .safetensors only"
      )
    }
    let outputs = try TokenizeOutputs(
      output, of: inputs, format: format, soft: soft, worker: shard.chosen(console),
      samplesPerShard: samplesPerShard)
    for part in outputs.parts {
      try part.inputs.refuse(output: part.path, of: format)
      if !interrupted.resume { try refuseTaken(part.path, format) }
    }
    let vae = try model.load(
      only: .encoder, precision: precision,
      singlePass: outputs.count <= images && soft == nil)
    let tokenizer: any ImageTokenizer = if let soft { SoftTokenizer(vae, soft) } else { vae }
    // Refuses more soft tokens than the vocabulary has, before there is an unfinished output.
    _ = try tokenizer.tokenize(batch: [])
    var (rest, failed) = ([PlannedPart](), 0)
    // Other workers may have tokens.
    var hasTokens = !outputs.isWhole
    for part in outputs.parts {
      let provenance = try vae.provenance(
        preprocessing: image.preprocessing, inputs: part.inputs.fingerprint, shard: part.shard,
        soft: soft)
      if interrupted.resume, try overwrite.isComplete(part.path, provenance) {
        let missing = try noteComplete(part.path, console)
        failed += missing
        if missing < part.count { hasTokens = true }
        continue
      }
      try refuseTaken(part.path, format, provenance)
      rest.append((part, provenance))
    }
    if !rest.isEmpty {
      Signals.explainInterruption()
      failed += try await tokenize(
        rest, of: outputs.count, format, tokenizer, hasTokens: hasTokens, console)
    }
    try report(outputs, failed: failed, console)
  }

  /// Refuses a name that is taken.
  private func refuseTaken(
    _ path: String, _ format: TokenFormat, _ provenance: Provenance? = nil
  ) throws {
    try TokenWriter.check(
      path, format: format, provenance, start: interrupted.start, replacing: overwrite.overwrite)
  }

  /// Tells of a finished output and its failures; returns their number.
  private func noteComplete(_ path: String, _ console: Console) throws -> Int {
    console.note("\(path) is complete already")
    let failures = try TokenReader(contentsOf: path).failures()
    for failure in failures { console.note("dvae: \(failure.error)") }
    return failures.count
  }

  private func report(_ outputs: TokenizeOutputs, failed: Int, _ console: Console) throws {
    let (total, done) = (outputs.count, outputs.count - failed)
    let path = done > 0 || !outputs.isWhole ? outputs.path : nil
    try json.print(
      Report(output: path, images: done, failed: failed),
      or: path.map { ["\($0): \(counted(done, "image"))"] } ?? [])
    guard failed > 0 else { return }
    throw FinishedWithFailures(
      failed: failed, total: total,
      what: "could not be done" + (path == nil ? "; nothing is written" : ""))
  }

  private struct Report: Encodable {
    /// nil if nothing is written.
    var output: String?
    var images: Int
    var failed: Int
  }

  /// A file that is not there yet.
  private typealias PlannedPart = (part: TokenizeOutputs.Part, provenance: Provenance)

  /// Writes the files that are not there yet; returns the number of images that failed.
  ///
  /// Files without tokens stay unfinished until another file of the job has some. If none has, all are
  /// removed, so that the corrected command finds their names free.
  private func tokenize(
    _ rest: [PlannedPart], of total: Int, _ format: TokenFormat, _ model: any ImageTokenizer,
    hasTokens: Bool, _ console: Console
  ) async throws -> Int {
    var hasTokens = hasTokens
    var empty: [(planned: PlannedPart, folder: NewFolder)] = []
    var progress: Progress?
    var failures = FailureNotes(toEnlarge: image.toEnlarge)
    var captions = CaptionNotes(path: output, format: format)
    defer {
      progress?.finish()
      failures.finish()
      captions.finish()
    }
    var (done, failed) = (total - rest.reduce(0) { $0 + $1.part.count }, 0)
    for planned in rest {
      let part = planned.part
      let folder = try NewFolder(Path(part.path).folder.text)
      try folder.make()
      let opened: TokenWriter?
      do {
        opened = try overwrite.writer(
          part.path, format, planned.provenance, interrupted.start)
      } catch {
        folder.removeIfEmpty()
        throw error
      }
      guard let writer = opened else {
        let missing = try noteComplete(part.path, console)
        done += part.count
        failed += missing
        if missing < part.count { hasTokens = true }
        continue
      }
      if writer.damaged > 0 {
        console.note(
          "making \(counted(writer.damaged, "image")) again, because the bytes of the unfinished output "
            + "have changed since they were written")
      }
      if writer.resumed > 0 { console.note("resuming after \(done + writer.resumed) of \(total)") }
      let shown =
        progress
        ?? Progress("tokenizing", of: total, done: done + writer.resumed, quiet: quiet.quiet)
      progress = shown
      try await run(
        part.inputs, by: model, into: writer, leavesEmptyShards: !hasTokens,
        progress: { [done] in
          shown.update(done + $0.done)
          captions.look(at: writer.captions)
        },
        failed: { failures.add($0) })
      captions.add(writer.captions)
      done += part.count
      failed += writer.failed
      if writer.failed < part.count {
        hasTokens = true
      } else if !hasTokens {
        empty.append((planned, folder))
      }
    }
    // The tokenizer has removed a whole job.
    for (planned, _) in empty where planned.part.shard != .whole {
      let writer = try overwrite.writer(
        planned.part.path, format, planned.provenance, .resuming)
      if hasTokens { try writer?.finish() } else { try writer?.discard() }
    }
    for (_, folder) in empty.reversed() { folder.removeIfEmpty() }
    return failed
  }

  private func run(
    _ inputs: BulkInputs, by model: some ImageTokenizer, into writer: TokenWriter,
    leavesEmptyShards: Bool, progress: (BulkProgress) -> Void, failed: (DVAEError) -> Void
  ) async throws {
    var tokenizer = BulkTokenizer(model)
    tokenizer.leavesEmptyShards = leavesEmptyShards
    tokenizer.preprocessing = image.preprocessing
    tokenizer.limits = image.limits
    tokenizer.batchSize = images
    // Read enough images ahead to keep the device busy.
    tokenizer.readAhead = max(tokenizer.readAhead, images)
    try await tokenizer.run(inputs, into: writer, progress: progress, failed: failed)
  }
}
