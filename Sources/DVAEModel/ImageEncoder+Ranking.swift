package import DVAEFiles
package import DVAETensors

/// The most likely tokens of every position, in descending order, with their probabilities.
package struct RankedTokens: Hashable, Sendable {
  /// The number of tokens per position.
  package let count: Int
  /// Tokens in 0..<vocabulary, `count` for each position, row-major.
  package fileprivate(set) var tokens: [Int32]
  /// ln q of each token; q is the softmax over the whole vocabulary.
  package fileprivate(set) var logProbabilities: [Float]
  /// The position's largest logit minus the logit of each token: 0 for the first.
  package fileprivate(set) var distances: [Float]

  /// Takes lists of `count` tokens per position.
  package init(count: Int, tokens: [Int32], logProbabilities: [Float], distances: [Float]) {
    precondition(
      tokens.count == logProbabilities.count && tokens.count == distances.count,
      "RankedTokens: lists of several lengths")
    self.count = count
    self.tokens = tokens
    self.logProbabilities = logProbabilities
    self.distances = distances
  }
}

extension ImageEncoder where E: HostEngine {
  // Limits memory: the logits of one block of 8192-token positions take 8 MB, as does their
  // softmax.
  private static var rankingBlock: Int { 256 }

  /// Ranks the most likely tokens of every position; the first equal those of `tokens`.
  ///
  /// - Parameters:
  ///   - x: mapped pixels, [N, H, W, inputChannels]; H and W multiples of 8
  ///   - count: tokens per position, from 1 to the vocabulary; of equal logits the lower token wins
  /// - Returns: `count` tokens for each of N·(H/8)·(W/8) positions
  /// - Throws: `DVAEError` for another shape
  package func rankedTokens(_ x: Tensor, count: Int) throws(DVAEError) -> RankedTokens {
    precondition(
      (1...architecture.vocabulary).contains(count),
      "rankedTokens: \(count) of \(architecture.vocabulary)")
    try check(x)
    let (features, output) = (network.features(x), network.output)
    let (positions, channels) = (features.shape.positions, features.shape.channels)
    var ranked = RankedTokens(count: count, tokens: [], logProbabilities: [], distances: [])
    for start in stride(from: 0, to: positions, by: Self.rankingBlock) {
      let shape = Shape(1, 1, min(Self.rankingBlock, positions - start), channels)
      let part = Tensor(shape, adopting: features.pointer + start * channels) { _ in
        withExtendedLifetime(features) {}
      }
      let logits = output.forward(part, .bias)
      Self.rank(logits, engine.softmaxChannels(logits), into: &ranked)
    }
    return ranked
  }

  // An insertion moves half of the list. Beyond so many, sorting all tokens takes less time.
  private static var mostInserted: Int { 256 }

  /// Inserts the tokens of the largest logits, in descending order.
  private static func insert(
    _ row: UnsafeMutablePointer<Float>, _ channels: Int, _ count: Int,
    into best: inout [(token: Int, logit: Float)]
  ) {
    var least = -Float.infinity
    for token in 0..<channels where best.count < count || row[token] > least {
      var place = best.count
      while place > 0, best[place - 1].logit < row[token] { place -= 1 }
      best.insert((token, row[token]), at: place)
      if best.count > count { best.removeLast() }
      least = best[best.count - 1].logit
    }
  }

  private static func rank(_ logits: Tensor, _ q: Tensor, into ranked: inout RankedTokens) {
    let channels = logits.shape.channels
    var best: [(token: Int, logit: Float)] = []
    best.reserveCapacity(ranked.count + 1)
    var all = Array(0..<channels)
    for position in 0..<logits.shape.positions {
      let row = logits.pointer + position * channels
      best.removeAll(keepingCapacity: true)
      if ranked.count > mostInserted {
        all.sort { (row[$1], $0) < (row[$0], $1) }
        best += all.prefix(ranked.count).map { ($0, row[$0]) }
      } else {
        insert(row, channels, ranked.count, into: &best)
      }
      // Only the first needs the softmax: it is at least 1/vocabulary; small ones could round to 0.
      let first = naturalLogarithm(Double(q.pointer[position * channels + best[0].token]))
      for (token, logit) in best {
        let distance = best[0].logit - logit
        ranked.tokens.append(Int32(token))
        ranked.distances.append(distance)
        ranked.logProbabilities.append(Float(first - Double(distance)))
      }
    }
  }
}
