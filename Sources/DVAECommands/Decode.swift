import DVAEFiles
public import ArgumentParser
package import DVAEKit
import DVAEModel
import DVAEImages
import DVAEWeights

/// `dvae decode`.
struct DecodeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "decode",
    abstract: "Turn tokens back into images.",
    usage: "dvae decode <tokens> --output <output> [<options>]",
    discussion: """
      Reads tokens in any form that 'dvae tokenize' writes, and .npy arrays of integers from \
      elsewhere: [N, height, width], [height, width] of a ratio up to 4, or [N, height·width], of which \
      each row is taken as a square grid if --grid names no other. Writes KEY.png for each image.

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
  @OptionGroup var model: ModelOptions
  @OptionGroup var overwrite: OverwriteOption
  @OptionGroup var json: JSONOption
  @OptionGroup var quiet: QuietOption

  func validate() throws { try check(outputFolder: output) }

  func run() async throws {
    let console = Console.current
    let files = try NumberedTokens.expanded([tokens])
    let facts = try look(at: files, console)
    try checkPictures(files)
    let folder = try NewFolder(output)
    defer { folder.removeIfEmpty() }
    let vae = try model.load(only: .decoder, singlePass: facts.count == 1)
    for (path, provenance) in facts.models {
      try warnOfOtherWeights(path, provenance, vae, console)
    }
    var items = NumberedTokens(files, grid: grid.grid)
    let progress = Progress(
      "decoding", of: facts.count, quiet: quiet.quiet, console: console)
    var names = UniqueKeys()
    var report = Report()
    var failures = FailureNotes(console)
    // While the network works on the next pictures, the last ones are compressed and written.
    let pictures = OrderedMap(
      window: 4,
      inputs: {
        items.next().map { file, item in
          Result {
            let item = try item.get()
            let picture = Picture(
              key: item.key, path: path(of: item.key, &names), folder: output,
              image: try vae.decode(item, of: file))
            try folder.make()
            return picture
          }
        }
      },
      work: { picture in picture.flatMap { picture in Result { try picture.write() } } })
    for try await picture in pictures {
      do {
        let written = try picture.get()
        report.done += 1
        if json.json {
          report.images.append(written)
        } else {
          console.print(written.output)
        }
      } catch let error as DVAEError where error.isOfItem {
        failures.add(error)
        report.failed += 1
      }
      progress.update(report.total)
    }
    progress.finish()
    failures.finish()
    if report.total == 0 { throw DVAEError(.badData, file: tokens, "no tokens in there") }
    if json.json { console.print(try reportText(report)) }
    if report.failed > 0 { throw FinishedWithFailures(failed: report.failed, total: report.total) }
  }

  /// Opens each file before the first image is decoded, and tells which arrays were taken as grids.
  ///
  /// - Returns: the number of images, if all files state it, and the first file of each model that made
  ///   tokens
  private func look(
    at files: [String], _ console: Console
  ) throws -> (count: Int?, models: [(path: String, provenance: Provenance)]) {
    var count: Int? = 0
    var models: [String: (path: String, provenance: Provenance)] = [:]
    for path in files {
      let reader = try TokenReader(contentsOf: path, grid: grid.grid)
      if grid.grid == nil, let guess = reader.guessedGrid, let shape = reader.extent?.grid {
        GridOption.tell(path, guess, shape, console)
      }
      let images = reader.extent?.count ?? reader.provenance?.inputs.count
      count = count.flatMap { sum in images.map { sum &+ $0 } }
      if let provenance = reader.provenance, models[provenance.weights.sha256] == nil {
        models[provenance.weights.sha256] = (path, provenance)
      }
    }
    return (count, models.values.sorted { $0.path < $1.path })
  }

  /// The result that `--json` prints.
  private struct Report: Encodable {
    struct Image: Encodable {
      var key: String
      var output: String
    }

    /// Kept only to be printed: a file may hold millions.
    var images: [Image] = []
    var done = 0
    var failed = 0

    var total: Int { done + failed }

    private enum CodingKeys: String, CodingKey { case images, failed }
  }

  /// A decoded picture on its way to its file.
  private struct Picture: Sendable {
    var key: String
    var path: String
    /// The folder of all pictures.
    var folder: String
    var image: PixelImage

    func write() throws -> Report.Image {
      try FileSystem.withFolder(of: path, below: folder) { try image.write(to: path) }
      return Report.Image(key: key, output: path)
    }
  }

  private func path(of key: String, _ names: inout UniqueKeys) -> String {
    (Path(output) / (names.path(for: key) + ".png")).text
  }

  /// Refuses before the first image is decoded, so that no job fails midway because an image
  /// exists.
  private func checkPictures(_ files: [String]) throws {
    guard !overwrite.overwrite, FileSystem.kind(output) != .missing else { return }
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
    } catch let error as DVAEError where error.kind == .badData {
      throw DVAEError(.badData, code: error.code, file: tokens, "\(item.key): \(error)")
    }
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
