import DVAEFiles
import ArgumentParser
import DVAEKit
import DVAEModel
import DVAEImages
import DVAEWeights

/// `dvae decode`.
struct DecodeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "decode",
    abstract: "Turn tokens back into images.",
    discussion: """
      Reads tokens in any form that 'dvae tokenize' writes, and .npy arrays of integers from \
      elsewhere: [N, height, width] or [height, width]. Writes KEY.png for each image.

      Example:
        dvae decode tokens.npy --output pictures --weights openai
      """)

  @Argument(
    help: "A file of tokens (.npy, .bin, .packed, .idx, .safetensors, .jsonl, .tar) or a folder.")
  var tokens: String

  @Option(name: .shortAndLong, help: "The folder to write the images to.")
  var output: String

  @OptionGroup var model: ModelOptions
  @OptionGroup var quiet: QuietOption

  func validate() throws { try check(output: output) }

  func run() async throws {
    let console = Console.current
    let reader = try TokenReader(contentsOf: tokens)
    let count = reader.extent?.count ?? reader.provenance?.inputs.count
    let vae = try model.load(only: .decoder, singlePass: count == 1)
    try warnOfOtherWeights(reader.provenance, vae, console)
    try FileSystem.makeFolder(output)
    let progress = Progress(
      "decoding", of: count, quiet: quiet.quiet, console: console)
    defer { progress.finish() }
    var names = UniqueKeys()
    var (done, failed) = (0, 0)
    for result in reader {
      do {
        let item = try result.get()
        let path = output + "/" + names.path(for: item.key) + ".png"
        try write(item, to: path, vae)
        console.print(path)
        done += 1
      } catch  where ExitStatus.of(error) == ExitStatus.badData {
        console.note("dvae: \(error)")
        failed += 1
      }
      progress.update(done + failed)
    }
    if failed > 0 { throw FinishedWithFailures(failed: failed, total: done + failed) }
    if done == 0 { throw DVAEError(.badData, file: tokens, "no tokens in there") }
  }

  private func write(_ item: TokenReader.Item, to path: String, _ vae: DiscreteVAE) throws {
    let image: PixelImage
    do {
      image = try vae.decode(item.grid)
    } catch let error as DVAEError where error.kind == .badData {
      throw DVAEError(.badData, file: tokens, "\(item.key): \(error)")
    }
    try FileSystem.makeFolder(Path(path).folder.text)
    try image.write(to: path)
  }

  private func warnOfOtherWeights(
    _ provenance: Provenance?, _ vae: DiscreteVAE, _ console: Console
  ) throws {
    guard let provenance, let weights = vae.weights else { return }
    // Weights of the decoder alone do not tell which encoder they belong to.
    guard weights.parameters(.encoder) != nil else { return }
    let here = try weights.provenance(of: .encoder)
    guard !provenance.weights.agrees(with: here) else { return }
    console.note(
      "dvae: warning: \(tokens) was made with other weights (\(provenance.weights.file), SHA-256 "
        + "\(provenance.weights.sha256.prefix(12))…) than these (\(here.file), "
        + "\(here.sha256.prefix(12))…); the images may be meaningless")
  }
}
