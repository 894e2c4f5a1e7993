import DVAETensors

/// How evenly a model uses its vocabulary.
public struct CodebookUse: Hashable, Sendable {
  /// How often each token was seen.
  public private(set) var counts: [Int]

  /// Starts counting.
  public init(vocabulary: Int) { counts = [Int](repeating: 0, count: vocabulary) }

  /// Counts tokens in 0..<vocabulary.
  public mutating func count(_ tokens: [Int32]) {
    for token in tokens { counts[Int(token)] += 1 }
  }

  /// Tokens counted.
  public var total: Int { counts.reduce(0, +) }
  /// Codes seen at least once.
  public var used: Int { counts.count { $0 > 0 } }
  /// Codes never seen.
  public var dead: Int { counts.count - used }

  /// −Σ p ln p of the frequencies, in nats: 0 to ln vocabulary.
  public var entropy: Double {
    let total = Double(max(1, self.total))
    return counts.reduce(0) { sum, count in
      guard count > 0 else { return sum }
      let p = Double(count) / total
      return sum - p * naturalLogarithm(p)
    }
  }

  /// e to the entropy: how many evenly used codes would be as varied.
  public var perplexity: Double { exponential(entropy) }
}
