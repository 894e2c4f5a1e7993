import DVAECPUEngine
package import DVAETensors

/// The keys and values of all positions so far, so that a new token costs only one position.
package struct Cache {
  /// For each layer [N·T, 2C], filled from the first position on.
  let layers: [Tensor]
  private let pictures: Int

  /// Allocates the cache for a number of images.
  package init(_ shape: TransformerShape, pictures: Int) {
    self.pictures = pictures
    layers = (0..<shape.layers).map { _ in
      Tensor(Shape(1, 1, pictures * shape.positions, 2 * shape.width), repeating: 0)
    }
  }

  /// Copies rows [N·L, 2C] to the positions from `first` on.
  func copy(_ rows: Tensor, to memory: Tensor, first: Int) {
    let size = rows.shape.channels
    let (length, capacity) = (rows.shape.positions / pictures, memory.shape.positions / pictures)
    for n in 0..<pictures {
      (memory.pointer + (n * capacity + first) * size)
        .update(from: rows.pointer + n * length * size, count: length * size)
    }
  }
}

/// Draws the tokens of new images, or the rest of given ones.
package struct Sampler: Sendable {
  /// The divisor of the logits: below 1, likely tokens become even more likely.
  package var temperature: Double
  /// The number of most likely codes that a token is drawn from.
  package var topK: Int
  /// The seed, which determines the images.
  package var seed: UInt64

  /// Makes a sampler.
  package init(temperature: Double, topK: Int, seed: UInt64) {
    self.temperature = temperature
    self.topK = topK
    self.seed = seed
  }

  /// Draws images; each depends only on its own number and given tokens.
  ///
  /// - Parameters:
  ///   - given: the first tokens of each image, the same number for all; none for a new one
  ///   - first: the number of the first image
  ///   - transformer: the model
  ///   - pass: its parameters
  /// - Returns: T tokens for each image
  package func draw(
    given: [[Int32]], first: Int = 0, _ transformer: Transformer, _ pass: Pass
  ) -> [[Int32]] {
    guard let length = given.first?.count else { return [] }
    let shape = transformer.shape
    let cache = Cache(shape, pictures: given.count)
    var noise = given.indices.map { SeededGenerator(seed: seed, stream: UInt64(first + $0)) }
    var pictures = given
    var (seen, start) = (given.map { [Transformer.nothing] + $0 }, 0)
    for position in length..<max(length, shape.positions) {
      let logits = transformer.logits(
        seen: Array(seen.joined()), pictures: given.count, first: start, pass, cache)
      let rows = position + 1 - start
      for n in pictures.indices {
        let row = (n + 1) * rows - 1
        let token = choose(
          UnsafeBufferPointer(start: logits.pointer + row * shape.codes, count: shape.codes),
          &noise[n])
        pictures[n].append(token)
        seen[n] = [token]
      }
      start = position + 1
    }
    return pictures
  }

  /// Draws from the most likely codes; of equal ones the lower is kept.
  package func choose(_ logits: UnsafeBufferPointer<Float>, _ noise: inout SeededGenerator) -> Int32
  {
    let best = logits.indices.sorted { (logits[$1], $0) < (logits[$0], $1) }.prefix(max(1, topK))
    let most = Double(logits[best[0]])
    let chances = best.map { exponential((Double(logits[$0]) - most) / temperature) }
    var rest = Double(noise.next() >> 11) * 0x1p-53 * chances.reduce(0, +)
    for (code, chance) in zip(best, chances) {
      rest -= chance
      if rest < 0 { return Int32(code) }
    }
    return Int32(best[0])
  }
}
