import DVAETensors

/// Statistics of how evenly a model uses its codebook.
public struct CodebookUse: Hashable, Sendable {
  /// The number of times each token was counted.
  public private(set) var counts: [Int]

  /// Starts counting.
  public init(vocabulary: Int) { counts = [Int](repeating: 0, count: vocabulary) }

  /// Counts tokens in 0..<vocabulary.
  public mutating func count(_ tokens: [Int32]) {
    for token in tokens { counts[Int(token)] += 1 }
  }

  /// The number of tokens counted.
  public var total: Int { counts.reduce(0, +) }
  /// The number of codes seen at least once.
  public var used: Int { counts.count { $0 > 0 } }
  /// The number of codes never seen.
  public var dead: Int { counts.count - used }

  /// The entropy of the frequencies, −Σ p ln p, in nats: 0 to ln vocabulary.
  public var entropy: Double {
    let total = Double(max(1, self.total))
    return counts.reduce(0) { sum, count in
      guard count > 0 else { return sum }
      let p = Double(count) / total
      return sum - p * naturalLogarithm(p)
    }
  }

  /// e to the entropy: the number of evenly used codes with the same entropy.
  public var perplexity: Double { exponential(entropy) }
}
