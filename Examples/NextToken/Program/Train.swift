import ArgumentParser
import DVAECPUEngine
import DVAEFiles
import DVAETransformer
import Foundation

struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Learn a transformer on token files.",
    discussion: """
      Give the same pictures in several sizes: each update sees random parts of them. Pictures of every
      twentieth name are held out. The same command resumes a run, to the same bits.

      Example:
        dvae tokenize photos/ --output tokens.npy --resolution 128
        swift run -c release DVAENextToken train tokens.npy --output model.safetensors
      """)

  @Argument(help: "Token files of any form, of one model.")
  var tokens: [String]

  @Option(name: .shortAndLong, help: "The model to write, or to resume.")
  var output: String

  @Option(help: "Updates in all.")
  var updates = 1200

  @Option(help: "Pictures of one update.")
  var batchSize = 8

  @Option(
    help: "Rows and columns that the model draws; those of the smallest picture unless given.")
  var side: Int?

  @Option(help: "Numbers at each position, a multiple of 8 times the heads.")
  var width = 192

  @Option(help: "Heads of attention.")
  var heads = 6

  @Option(help: "Blocks of attention and perceptron.")
  var layers = 4

  @Option(help: "Largest step of the optimizer; it falls to 0 on a cosine.")
  var learningRate = 0.0015

  @Option(help: "AdamW's weight decay.")
  var weightDecay = 0.05

  @Option(help: "Share of tokens hidden from the model in training.")
  var hidden = 0.1

  @Option(help: "Updates between two lines of progress, each of which writes the model.")
  var reportEvery = 100

  @Option(help: "Threads (default: one per core); the result does not depend on them.")
  var threads: Int?

  @Option(help: "The random seed.")
  var seed: UInt64 = 0

  func validate() throws {
    for value in [updates, batchSize, side ?? 1, width, heads, layers, reportEvery]
    where !(1...1 << 20).contains(value) {
      throw ValidationError("every number must be at least 1")
    }
    guard (0..<1).contains(hidden), (0...1).contains(learningRate), (0...1).contains(weightDecay)
    else { throw ValidationError("shares and rates lie between 0 and 1") }
  }

  func run() throws {
    let pictures = try TokenPictures(tokens)
    let (rows, columns) = (side ?? pictures.smallest.rows, side ?? pictures.smallest.columns)
    guard rows <= pictures.smallest.rows, columns <= pictures.smallest.columns else {
      throw ValidationError(
        "the smallest picture has \(pictures.smallest.rows)×\(pictures.smallest.columns) tokens")
    }
    let transformer = try Transformer(
      TransformerShape(
        codes: pictures.tokens.count, rows: rows, columns: columns, width: width, heads: heads,
        layers: layers))
    var learner = Learner(
      try start(transformer, pictures), transformer, pictures, try CPUEngine(threads: threads))
    say(
      "\(pictures.training.count) pictures of \(pictures.tokens.count) codes to learn from, "
        + "\(pictures.heldOut.count) held out; \(transformer.layout.count) parameters, "
        + "\(rows)×\(columns) tokens")
    say(
      "nats per token: uniform \(nats(log(Double(pictures.tokens.count)))), "
        + "by frequency \(nats(pictures.unigramLoss(transformer.shape)))")
    for (positions, things) in [
      (rows * columns, "tokens"), (rows * columns * 8 * 8 * 3, "pixel values in their place"),
    ] {
      say(
        "memory for \(positions) \(things): "
          + megabytes(TransformerShape.attentionBytes(positions: positions))
          + " for each attention matrix, "
          + megabytes(transformer.shape.cacheBytes(positions: positions))
          + " for keys and values of a picture")
    }
    let begin = (time: Date(), update: learner.state.update)
    var (sum, count) = (0.0, 0)
    while learner.state.update < updates {
      sum += learner.update()
      count += 1
      let update = learner.state.update
      guard update % reportEvery == 0 || update == updates else { continue }
      try ModelFile(
        transformer, learner.state, tokens: pictures.tokens, provenance: pictures.provenance
      ).write(to: output)
      let seconds = Date().timeIntervalSince(begin.time)
      say(
        "update \(update): training \(nats(sum / Double(count))), "
          + "held out \(nats(learner.heldOutLoss())), "
          + String(format: "%.2f s per update", seconds / Double(update - begin.update)))
      (sum, count) = (0, 0)
    }
  }

  private func megabytes(_ bytes: Int) -> String { String(format: "%.2f MB", Double(bytes) / 1e6) }

  /// Returns the state of an existing output, or a new one.
  private func start(
    _ transformer: Transformer, _ pictures: TokenPictures
  ) throws -> LearningState {
    let settings = LearningSettings(
      updates: updates, batchSize: batchSize, learningRate: learningRate, weightDecay: weightDecay,
      hidden: hidden, seed: seed)
    guard FileSystem.kind(output) != .missing else {
      return LearningState(
        settings,
        parameters: transformer.initialParameters(frequencies: pictures.frequencies, seed: seed))
    }
    let found = try ModelFile(contentsOf: output)
    guard found.state.settings == settings, found.transformer.shape == transformer.shape,
      found.tokens == pictures.tokens, found.provenance == pictures.provenance
    else {
      throw DVAEError(
        .cannotCreate, file: output, "it was learned from other tokens or with other settings",
        advice: "choose another name, or remove it")
    }
    return found.state
  }
}
