import ArgumentParser
import DVAECPUEngine
import DVAEKit
import DVAEModel
import Foundation
import DVAETensors

/// Learns a small next-token model on the tokens that `dvae tokenize` has written, and compares its
/// loss on held-out images with the unigram entropy of their tokens: what is below it has been
/// learned from the neighbours.
@main struct NextToken: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "NextToken",
    abstract: "Learn a small next-token model on token files.",
    discussion: """
      Every tenth image is held out. Example:
        dvae tokenize photos/ --output tokens.bin
        swift run -c release DVAENextToken tokens.bin
      Exit status: 0 if the held-out loss is below the unigram entropy, 1 if not.
      """)

  @Argument(help: "Token files of any form, of one model.")
  var tokens: [String]

  @Option(help: "How often the training images are gone through.")
  var passes = 3

  @Option(help: "Positions of one update.")
  var batchSize = 512

  @Option(help: "Numbers of an embedding.")
  var width = 24

  @Option(help: "Channels of the hidden layer.")
  var hidden = 64

  @Option(help: "Largest step of the optimizer; it falls to 0 on a cosine.")
  var learningRate = 0.003

  @Option(help: "Of all random numbers.")
  var seed: UInt64 = 0

  func validate() throws {
    for value in [passes, batchSize, width, hidden] where !(1...1 << 20).contains(value) {
      throw ValidationError("every number must be at least 1")
    }
  }

  func run() throws {
    var (grids, vocabulary): ([TokenGrid], Int) = ([], 1)
    for path in tokens {
      let reader = try TokenReader(contentsOf: path)
      vocabulary = max(vocabulary, reader.provenance?.architecture.vocabulary ?? 1)
      for item in reader {
        let item = try item.get()
        grids.append(item.grid)
      }
    }
    vocabulary = max(vocabulary, grids.flatMap(\.tokens).reduce(0) { max($0, Int($1) + 1) })
    let isHeldOut = { (index: Int) in index % 10 == 9 }
    let training = Contexts(
      grids.indices.filter { !isHeldOut($0) }.map { grids[$0] }, vocabulary: vocabulary)
    let heldOut = Contexts(
      grids.indices.filter(isHeldOut).map { grids[$0] }, vocabulary: vocabulary)
    guard heldOut.count > 0 else { throw ValidationError("ten images are needed at least") }

    var use = CodebookUse(vocabulary: vocabulary)
    use.count(training.targets)
    var heldOutUse = CodebookUse(vocabulary: vocabulary)
    heldOutUse.count(heldOut.targets)
    let entropy = heldOutUse.entropy
    say("images \(grids.count), tokens \(training.count), held out \(heldOut.count)")
    say("unigram entropy of the held-out tokens: \(Self.nats(entropy)) nats per token")

    var model = NextTokenModel(
      try CPUEngine(), vocabulary: vocabulary, frequencies: use.counts, width: width,
      hidden: hidden, seed: seed)
    say("before training: \(Self.nats(model.loss(heldOut, batchSize: batchSize)))")
    var loss = Double.infinity
    for pass in 0..<passes {
      learn(&model, training, pass)
      loss = model.loss(heldOut, batchSize: batchSize)
      say("pass \(pass + 1): held-out loss \(Self.nats(loss)) nats per token")
    }
    let isBelow = loss < entropy
    say("\(Self.nats(abs(entropy - loss))) \(isBelow ? "below" : "above") the unigram entropy")
    if !isBelow { throw ExitCode.failure }
  }

  private func learn(_ model: inout NextTokenModel, _ contexts: Contexts, _ pass: Int) {
    var generator = SeededGenerator(seed: seed, stream: UInt64(pass + 1))
    let order = Array(0..<contexts.count).shuffled(using: &generator)
    for start in stride(from: 0, to: order.count, by: batchSize) {
      let done = (Double(pass) + Double(start) / Double(order.count)) / Double(passes)
      model.learn(
        Array(order[start..<min(start + batchSize, order.count)]), from: contexts,
        learningRate: Float(learningRate * (1 + cosine(done * .pi)) / 2))
    }
  }

  // At once, also into a file: a pass may take minutes.
  private func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
  }

  private static func nats(_ value: Double) -> String { String(format: "%.3f", value) }
}
