import DVAEModel
import DVAETestSupport
import DVAETensors
import Foundation
import Testing

/// Ranked tokens compared with the official package's logits.
@Suite("Ranked tokens")
struct RankedTokenTests {
  @Test("They are the largest logits, with their log-probabilities", arguments: TestEngine.all)
  func ranking(on engine: TestEngine) throws {
    try ranking(with: engine.engine)
  }

  private func ranking(with engine: some HostEngine) throws {
    let weights = try ModelWeights(Fixture.weights("tiny/encoder.pkl"))
    let encoder = ImageEncoder(
      weights.architecture, parameters: try #require(weights.encoder), engine: engine)
    let x = try Fixture.activation("tiny/kodim04.input.npy")
    let expected = try Fixture.activation("tiny/kodim04.logits.npy")
    let bound = 1e-5 * (expected.doubles.map(abs).max() ?? 0)
    let ranked = try encoder.rankedTokens(x, count: 5)
    let logits = try encoder.logits(x)
    let channels = logits.shape.channels
    #expect(ranked.tokens.count == 5 * logits.shape.positions)
    for position in 0..<logits.shape.positions {
      // The order equals that of the engine's own logits; of equal ones the lower token comes
      // first.
      let row = (0..<channels).map { logits.pointer[position * channels + $0] }
      let order = row.indices.sorted { (row[$1], $0) < (row[$0], $1) }.prefix(5)
      let places = position * 5..<position * 5 + 5
      #expect(ranked.tokens[places].map(Int.init) == Array(order))
      #expect(Array(ranked.distances[places]) == order.map { row[order[0]] - row[$0] })
      // The probabilities match those of the reference's logits.
      let reference = (0..<channels).map { Double(expected.pointer[position * channels + $0]) }
      let sum = log(reference.reduce(0) { $0 + exp($1) })
      for (k, token) in order.enumerated() {
        let found = Double(ranked.logProbabilities[places.lowerBound + k])
        #expect(abs(found - (reference[token] - sum)) < 2 * bound + 1e-5)
      }
    }
    #expect(try encoder.rankedTokens(x, count: 1).tokens == encoder.tokens(x))
  }

  @Test("Of equal logits the lower token is first, for few tokens and for many")
  func ties() throws {
    // Every weight is 0, so that the logits are the last layer's biases, of which there are 5.
    let architecture = try Architecture(hidden: 4, blocksPerGroup: 1, vocabulary: 600, initial: 4)
    let parameters = ParameterSet([architecture.encoder])
    for index in 0..<600 {
      parameters["encoder.blocks.output.conv.b"]?.values.pointer[index] = Float(index * 7 % 5)
    }
    let encoder = ImageEncoder(architecture, parameters: parameters, engine: ReferenceEngine())
    let x = Tensor(Shape(1, 8, 8, 3), repeating: 0.5)
    let order = (0..<600).sorted { ($1 * 7 % 5, $0) < ($0 * 7 % 5, $1) }.map(Int32.init)
    for count in [1, 256, 257, 600] {
      let ranked = try encoder.rankedTokens(x, count: count)
      #expect(ranked.tokens == Array(order.prefix(count)))
    }
  }

  @Test("All of the vocabulary can be asked for, and its probabilities add up to 1")
  func wholeVocabulary() throws {
    let weights = try ModelWeights(Fixture.weights("tiny/encoder.pkl"))
    let encoder = ImageEncoder(
      weights.architecture, parameters: try #require(weights.encoder), engine: ReferenceEngine())
    let x = Tensor(Shape(1, 8, 16, 3), repeating: 0.5)
    let count = weights.architecture.vocabulary
    let ranked = try encoder.rankedTokens(x, count: count)
    for position in 0..<2 {
      let places = position * count..<(position + 1) * count
      #expect(Set(ranked.tokens[places]).count == count)
      #expect(zip(ranked.distances[places], ranked.distances[places].dropFirst()).allSatisfy(<=))
      let sum = ranked.logProbabilities[places].reduce(0) { $0 + exp(Double($1)) }
      #expect(abs(sum - 1) < 1e-5)
    }
  }
}
