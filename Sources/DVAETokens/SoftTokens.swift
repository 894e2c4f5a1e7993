import DVAEFiles
package import DVAEModel

/// The encoder's probabilities for every position of an image, beside its most likely token.
public struct SoftTokens: Hashable, Sendable {
  /// The values to keep; part of the provenance.
  public struct Settings: Codable, Hashable, Sendable {
    /// The number of most likely tokens to keep per position, with their log-probabilities.
    public var topK: Int?
    /// Whether to keep the difference between the two largest logits of each position.
    public var margin: Bool

    /// Chooses the values to keep; nil for none.
    public init?(topK: Int?, margin: Bool) {
      guard topK != nil || margin else { return nil }
      self.topK = topK
      self.margin = margin
    }

    /// The number of tokens that have to be ranked.
    package var ranks: Int { max(topK ?? 1, margin ? 2 : 1) }
  }

  /// The most likely tokens: `count` per position, row-major, in descending order.
  public struct Top: Hashable, Sendable {
    /// The number of tokens per position.
    public let count: Int
    /// The tokens.
    public let ids: [UInt16]
    /// ln q of each token, at most 0.
    public let logProbabilities: [Float]

    /// Joins the lists, which must have the same length.
    public init(count: Int, ids: [UInt16], logProbabilities: [Float]) {
      precondition(ids.count == logProbabilities.count, "SoftTokens: lists of two lengths")
      self.count = count
      self.ids = ids
      self.logProbabilities = logProbabilities
    }
  }

  /// The most likely tokens, if they are kept.
  public let top: Top?
  /// The difference between each position's two largest logits, if it is kept.
  public let margins: [Float]?

  /// Joins the values.
  public init(top: Top?, margins: [Float]?) {
    self.top = top
    self.margins = margins
  }
}

extension SoftTokens {
  /// An array beside the tokens: its name after the key, and its dimensions after rows and columns.
  typealias Field = (name: String, type: ElementType, last: [Int])

  // The most values of one image, which are held in memory.
  private static let most = 1 << 28

  /// Names of the arrays.
  static let names = ["topk", "logprobs", "margin"]

  /// Splits the result of a batch into images.
  package static func split(
    _ ranked: RankedTokens, _ positions: Range<Int>, height: Int, _ settings: Settings
  ) -> (grid: TokenGrid, soft: SoftTokens) {
    let count = ranked.count
    let grid = TokenGrid(
      height: height, width: positions.count / height,
      tokens: positions.map { UInt16(truncatingIfNeeded: ranked.tokens[$0 * count]) })
    let top = settings.topK.map { kept in
      let places = positions.flatMap { $0 * count..<$0 * count + kept }
      return Top(
        count: kept, ids: places.map { UInt16(truncatingIfNeeded: ranked.tokens[$0]) },
        logProbabilities: places.map { ranked.logProbabilities[$0] })
    }
    let margins = settings.margin ? positions.map { ranked.distances[$0 * count + 1] } : nil
    return (grid, SoftTokens(top: top, margins: margins))
  }

  /// The number of values in each array of an image, by the settings.
  static func sizes(_ settings: Settings?, positions: Int) -> [Int] {
    guard let settings else { return [] }
    let top = settings.topK.map { positions.multipliedReportingOverflow(by: $0) }
    // No array has so many values that their number overflows.
    let ranked = top.map { $0.overflow ? -1 : $0.partialValue } ?? 0
    return [ranked, ranked, settings.margin ? positions : 0]
  }

  /// The number of values in each array of an image.
  static func sizes(_ soft: SoftTokens?) -> [Int] {
    guard let soft else { return [] }
    let ranked = soft.top.map(\.ids.count) ?? 0
    return [ranked, soft.top.map(\.logProbabilities.count) ?? 0, soft.margins?.count ?? 0]
  }

  /// The arrays of an image, as bytes and as `.npy`.
  func fields(_ grid: TokenGrid) -> [(name: String, bytes: [UInt8], npy: [UInt8])] {
    let shape = [grid.height, grid.width]
    let settings = Settings(topK: top?.count, margin: margins != nil)
    return (settings?.fields ?? []).map { field in
      let (bytes, npy): ([UInt8], [UInt8]) =
        switch field.name {
        case "topk": Self.encoded(top?.ids ?? [], shape + field.last)
        case "logprobs": Self.encoded(top?.logProbabilities ?? [], shape + field.last)
        default: Self.encoded(margins ?? [], shape)
        }
      return (field.name, bytes, npy)
    }
  }

  private static func encoded<T: NpyElement>(_ values: [T], _ shape: [Int]) -> ([UInt8], [UInt8]) {
    let npy = NpyArray.encoded(values, shape: shape)
    return (npy.suffix(values.count * MemoryLayout<T>.stride), npy)
  }

  /// Reads the arrays beside an image's tokens; nil if there are none, or none can be by the provenance.
  ///
  /// - Parameters:
  ///   - name: the image's name in messages
  ///   - grid: its tokens, which must equal the first of the most likely
  ///   - provenance: the provenance of the file
  ///   - array: returns the array of a name; nil if there is none
  /// - Throws: if an array has the wrong shape or contradicts the tokens.
  init?(
    reading name: String, _ grid: TokenGrid, _ provenance: Provenance?,
    _ array: (String) throws -> StoredTensor?
  ) throws {
    if let provenance, provenance.soft == nil { return nil }
    let shape = [grid.height, grid.width]
    func expect(_ isSound: Bool, _ problem: String) throws {
      if !isSound { throw DVAEError(.badData, file: name, "\(problem)") }
    }
    top = try array("topk").map { ids in
      guard ids.shape.count == 3, let count = ids.shape.last, count > 0,
        let values = try array("logprobs"), values.shape == ids.shape,
        ids.shape.prefix(2).elementsEqual(shape), ids.count <= Self.most
      else {
        throw DVAEError(
          .badData, file: name,
          "its topk and logprobs are not of shape \(shape + [ids.shape.last ?? 0])")
      }
      let tokens = try ids.int64s().map { UInt16(exactly: $0) }
      let known = tokens.compactMap(\.self)
      try expect(known.count == tokens.count, "a number in its topk that is not a token")
      try expect(
        grid.tokens.indices.allSatisfy { known[$0 * count] == grid.tokens[$0] },
        "its most likely tokens are not its tokens")
      // The position of which each token was last.
      var positions = [Int](repeating: -1, count: 1 << 16)
      for (place, token) in known.enumerated() {
        try expect(positions[Int(token)] != place / count, "a token is twice in its topk")
        positions[Int(token)] = place / count
      }
      let logProbabilities = try values.floats()
      try expect(
        logProbabilities.indices.allSatisfy {
          logProbabilities[$0] <= 0
            && ($0 % count == 0 || logProbabilities[$0] <= logProbabilities[$0 - 1])
        }, "its log-probabilities are not at most 0 and falling")
      return Top(count: count, ids: known, logProbabilities: logProbabilities)
    }
    margins = try array("margin").map { values in
      try expect(values.shape == shape, "its margins are of shape \(values.shape), not \(shape)")
      let margins = try values.floats()
      try expect(margins.allSatisfy { $0 >= 0 }, "a margin below 0")
      return margins
    }
    if top == nil, margins == nil { return nil }
  }
}

extension SoftTokens.Settings {
  /// The arrays that are kept.
  var fields: [SoftTokens.Field] {
    var fields: [SoftTokens.Field] = []
    if let topK {
      fields.append(("topk", .uint16, [topK]))
      fields.append(("logprobs", .float32, [topK]))
    }
    if margin { fields.append(("margin", .float32, [])) }
    return fields
  }
}
