public import ArgumentParser
package import DVAEKit

/// `dvae decode`.
struct DecodeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "decode",
    abstract: "Turn tokens back into images.",
    usage: "dvae decode <tokens> --output <output> [<options>]",
    discussion: """
      Reads tokens in any form that 'dvae tokenize' writes, and .npy arrays of integers from \
      elsewhere: [N, height, width], [height, width] of a ratio up to 4, or [N, height·width], of which \
      each row is taken as a square grid of at least 14 rows if --grid names no other. Writes KEY.png for each image. \
      --resume continues an interrupted job.

      Example:
        dvae decode tokens.npy --output pictures --weights openai
        dvae decode 'tokens-{000000..000009}.tar' --output pictures
      """)

  @Argument(
    help: "A file of tokens (.npy, .bin, .packed, .idx, .safetensors, .jsonl, .tar) or a folder.",
    completion: .file())
  var tokens: String

  @Option(name: .shortAndLong, help: "The folder to write the images to.", completion: .directory)
  var output: String

  @OptionGroup var grid: GridOption
  @OptionGroup var model: BatchedModelOptions

  @Flag(help: "Keep the pictures that are there, and decode the others.")
  var resume = false

  @OptionGroup var overwrite: OverwriteOption
  @OptionGroup var json: JSONOption
  @OptionGroup var quiet: QuietOption

  func validate() throws {
    try check(outputFolder: output)
    if resume && overwrite.overwrite {
      throw ValidationError("--resume and --overwrite exclude each other")
    }
  }

  func run() async throws {
    let console = Console.current
    let files = try NumberedTokens.expanded([tokens])
    let facts = try look(at: files, console)
    try checkPictures(files)
    let folder = try NewFolder(output)
    defer { folder.removeIfEmpty() }
    let vae = try model.load(
      only: .decoder, singlePass: facts.count.map { $0 <= model.images } == true)
    for (path, provenance) in facts.models {
      try warnOfOtherWeights(path, provenance, vae, console)
    }
    Signals.explainInterruption()
    let progress = Progress("decoding", of: facts.count, quiet: quiet.quiet)
    var (report, total) = (Report(), 0)
    var failures = FailureNotes()
    let decoded = decoded(files, vae)
    // While the network works on the next pictures, the last ones are compressed and written.
    let pictures = OrderedMap(
      window: max(4, 2 * model.images),
      inputs: {
        let picture = decoded()
        if case .success? = picture { try folder.make() }
        return picture
      },
      work: { [output] picture in
        picture.flatMap { picture in Result { try picture.write(below: output) } }
      })
    for try await picture in pictures {
      total += 1
      do {
        let written = try picture.get()
        if json.json {
          report.images.append(written)
        } else {
          console.print(written.output)
        }
      } catch let error as DVAEError where error.isOfItem {
        failures.add(error)
        report.failed += 1
      }
      progress.update(total)
    }
    progress.finish()
    failures.finish()
    if total == 0 { throw DVAEError(.badData, file: tokens, "no tokens in there") }
    try json.print(report)
    if report.failed > 0 { throw FinishedWithFailures(failed: report.failed, total: total) }
    if facts.damaged > 0 {
      throw FinishedWithFailures(
        failed: facts.damaged, total: files.count,
        what: facts.damaged == 1
          ? "is damaged: its pictures may be wrong" : "are damaged: their pictures may be wrong")
    }
  }

  /// Returns a function that decodes the next picture, a batch at a time; nil at the end.
  private func decoded(
    _ files: [String], _ vae: DiscreteVAE
  ) -> () -> Result<Picture, any Error>? {
    var items = NumberedTokens(files, grid: grid.grid)
    var names = UniqueKeys()
    var collector = BatchCollector<Picture, TokenGrid>(limit: model.images) {
      [$0.height, $0.width]
    }
    var done: [Result<Picture, any Error>] = []
    return { [self] in
      if done.isEmpty {
        do {
          var batch: Batch<Picture, TokenGrid>?
          while batch == nil, let (file, item) = items.next() {
            batch = try collector.add(picture(item, of: file, vae, &names))
          }
          let results = try (batch ?? collector.rest())?.results(
            describe: { $1.describe($0) }, vae.decode)
          done = (results ?? []).reversed().map { picture, image in
            picture.isKept
              ? .success(picture) : Result { try picture.of(image.get()) }
          }
        } catch {
          done = [.failure(error)]
        }
      }
      return done.popLast()
    }
  }

  /// Returns the picture of an item, with its tokens or the error that keeps it from being decoded.
  private func picture(
    _ item: Result<TokenReader.Item, any Error>, of file: String, _ vae: DiscreteVAE,
    _ names: inout UniqueKeys
  ) throws -> Batch<Picture, TokenGrid>.Element {
    let found: TokenReader.Item
    do {
      found = try item.get()
    } catch let error as DVAEError {
      return (Picture(file: file, key: "", path: ""), .failure(error))
    }
    var picture = Picture(file: file, key: found.key, path: path(of: found.key, &names))
    if resume, FileSystem.exists(picture.path) {
      // A pipe or a link to nothing has the name, but is no picture.
      guard (try? InputFile(path: picture.path)) != nil else {
        throw DVAEError.exists(path: picture.path)
      }
      picture.isKept = true
      return (picture, .failure(.exists(path: picture.path)))
    }
    do throws(DVAEError) {
      // A wrong token is the fault of its own grid, not of the batch.
      try vae.check(found.grid)
      return (picture, .success(found.grid))
    } catch {
      return (picture, .failure(picture.describe(error)))
    }
  }

  /// Opens each file before the first image is decoded, and tells which arrays were taken as grids and
  /// which files are damaged; as much as can be read of these is decoded too.
  ///
  /// - Returns: the number of images, if all files state it, the first file of each model that made
  ///   tokens, and the number of damaged files
  private func look(
    at files: [String], _ console: Console
  ) throws -> (count: Int?, models: [(path: String, provenance: Provenance)], damaged: Int) {
    var (count, damaged): (Int?, Int) = (0, 0)
    var models: [String: (path: String, provenance: Provenance)] = [:]
    for path in files {
      let reader = try TokenReader(contentsOf: path, grid: grid.grid)
      if grid.grid == nil, let guess = reader.guessedGrid, let shape = reader.extent?.grid {
        GridOption.tell(path, guess, shape, console)
      }
      do {
        try reader.checkIntact()
      } catch let error as DVAEError where error.kind == .badData {
        console.note("dvae: \(error.line)")
        damaged += 1
      }
      let images = reader.extent?.count ?? reader.provenance?.inputs.count
      count = count.flatMap { sum in images.map { sum &+ $0 } }
      if let provenance = reader.provenance, models[provenance.weights.sha256] == nil {
        models[provenance.weights.sha256] = (path, provenance)
      }
    }
    return (count, models.values.sorted { $0.path < $1.path }, damaged)
  }

  /// The result that `--json` prints.
  private struct Report: Encodable {
    struct Image: Encodable {
      var key: String
      var output: String
    }

    /// Kept only to be printed: a file may hold millions.
    var images: [Image] = []
    var failed = 0
  }

  /// The picture of an item of a file of tokens, on its way to its own file.
  private struct Picture: Sendable {
    var file: String
    var key: String
    var path: String
    /// Whether the picture is there already.
    var isKept = false
    /// The decoded image; nil before, and if the picture is kept.
    var image: PixelImage?

    /// Adds the file and the key to an error of the model.
    func describe(_ error: DVAEError) -> DVAEError { error.ofItem(key, of: file) }

    /// Adds the decoded image.
    func of(_ image: PixelImage) -> Picture {
      var picture = self
      picture.image = image
      return picture
    }

    func write(below folder: String) throws -> Report.Image {
      if let image {
        try FileSystem.withFolder(of: path, below: folder) { try image.write(to: path) }
      }
      return Report.Image(key: key, output: path)
    }
  }

  private func path(of key: String, _ names: inout UniqueKeys) -> String {
    (Path(output) / (names.path(for: key) + ".png")).text
  }

  /// Refuses before the first image is decoded, so that no job fails midway because an image
  /// exists.
  private func checkPictures(_ files: [String]) throws {
    guard !resume, !overwrite.overwrite, FileSystem.exists(output) else { return }
    var names = UniqueKeys()
    for (_, item) in NumberedTokens(files, grid: grid.grid) {
      do {
        try overwrite.check(path(of: item.get().key, &names))
      } catch let error as DVAEError where error.isOfItem {
        // It is reported later, in its turn.
        continue
      }
    }
  }
}

extension DiscreteVAE {
  /// Decodes an item of a token file; errors name the file and the key.
  func decode(_ item: TokenReader.Item, of tokens: String) throws -> PixelImage {
    do {
      return try decode(item.grid)
    } catch let error as DVAEError {
      throw error.ofItem(item.key, of: tokens)
    }
  }
}

extension DVAEError {
  /// Returns an error of bad data with the file and the key of the item; others stay as they are.
  fileprivate func ofItem(_ key: String, of file: String) -> DVAEError {
    kind == .badData ? DVAEError(.badData, code: code, file: file, "\(key): \(self)") : self
  }
}

/// Warns of tokens that another encoder made than the model's.
func warnOfOtherWeights(
  _ tokens: String, _ provenance: Provenance?, _ vae: DiscreteVAE, _ console: Console
) throws {
  guard let provenance, let weights = vae.weights else { return }
  // Weights of the decoder alone do not name the encoder that they belong to.
  guard weights.parameters(.encoder) != nil else { return }
  let here = try weights.provenance(of: .encoder)
  guard !provenance.weights.agrees(with: here) else { return }
  console.note(
    "dvae: warning: \(tokens) was made with other weights (\(provenance.weights.file), SHA-256 "
      + "\(provenance.weights.sha256.prefix(12))…) than these (\(here.file), "
      + "\(here.sha256.prefix(12))…); the images may be meaningless")
}

extension TokenExtent.Grid: ExpressibleByArgument {
  /// Reads `32x32`.
  package init?(argument: String) {
    let sides = argument.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
    guard sides.count == 2, let rows = sides[0], let columns = sides[1],
      (1...1 << 16).contains(rows), (1...1 << 16).contains(columns)
    else { return nil }
    self.init(rows: rows, columns: columns)
  }
}
