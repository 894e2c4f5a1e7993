import DVAECPUEngine
import DVAETensors
import DVAETransformer
import Testing

/// Drawing token by token, with a cache of earlier keys and values.
@Suite struct DrawingTests {
  let engine: CPUEngine
  let transformer: Transformer
  let pass: Pass
  let shape = TransformerShape(codes: 37, rows: 3, columns: 4, width: 32, heads: 2, layers: 2)

  init() throws {
    engine = try CPUEngine(threads: 2)
    transformer = try Transformer(shape)
    let parameters = transformer.initialParameters(
      frequencies: Array(repeating: 1, count: 37), seed: 1)
    var noise = SeededGenerator(seed: 2)
    for i in parameters.elements.indices { parameters.elements[i] += 0.2 * noise.normal() }
    pass = Pass(engine, parameters: parameters)
  }

  private func randomPictures(_ count: Int, seed: UInt64) -> [[Int32]] {
    var noise = SeededGenerator(seed: seed)
    return (0..<count).map { _ in
      (0..<shape.positions).map { _ in Int32.random(in: 0..<37, using: &noise) }
    }
  }

  /// Returns [N, T, K], all positions in one pass.
  private func logits(_ pictures: [[Int32]]) -> [[[Float]]] {
    let tokens = Array(pictures.joined())
    let logits = transformer.logits(
      seen: Transformer.seen(before: tokens, length: shape.positions), pictures: pictures.count,
      first: 0, pass, Cache(shape, pictures: pictures.count)
    ).array
    return pictures.indices.map { n in
      (0..<shape.positions).map { t in
        let start = (n * shape.positions + t) * shape.codes
        return Array(logits[start..<start + shape.codes])
      }
    }
  }

  @Test func logitsOfPositionsOneByOneAreThoseOfTheWholePictureToTheBit() {
    let pictures = randomPictures(3, seed: 3)
    let whole = logits(pictures)
    let cache = Cache(shape, pictures: 3)
    // First five positions at once, as for a given beginning, then one at a time.
    for range in [0..<5] + (5..<shape.positions).map({ $0..<$0 + 1 }) {
      let seen = pictures.flatMap { picture in
        range.map { $0 == 0 ? Transformer.nothing : picture[$0 - 1] }
      }
      let part = transformer.logits(
        seen: seen, pictures: 3, first: range.lowerBound, pass, cache
      ).array
      let expected = (0..<3).flatMap { n in range.flatMap { whole[n][$0] } }
      #expect(part == expected, "positions \(range)")
    }
  }

  @Test func aTokenChangesOnlyWhatComesAfterIt() {
    var pictures = randomPictures(2, seed: 4)
    let before = logits(pictures)
    pictures[1][6] = (pictures[1][6] + 1) % 37
    let after = logits(pictures)
    #expect(after[0] == before[0])
    #expect(after[1][...6] == before[1][...6])
    for t in 7..<shape.positions { #expect(after[1][t] != before[1][t]) }
  }

  @Test func drawnTokensAreChosenByTheLogitsOfTheWholePicture() {
    let sampler = Sampler(temperature: 0.8, topK: 9, seed: 5)
    let given = randomPictures(2, seed: 6).map { Array($0.prefix(4)) }
    let drawn = sampler.draw(given: given, first: 10, transformer, pass)
    let whole = logits(drawn)
    for n in drawn.indices {
      #expect(Array(drawn[n].prefix(4)) == given[n])
      var noise = SeededGenerator(seed: 5, stream: UInt64(10 + n))
      let chosen = (4..<shape.positions).map { t in
        whole[n][t].withUnsafeBufferPointer { sampler.choose($0, &noise) }
      }
      #expect(Array(drawn[n].dropFirst(4)) == chosen)
    }
  }

  @Test func aPictureDoesNotDependOnThoseDrawnBesideItOrOnThreads() throws {
    let sampler = Sampler(temperature: 1, topK: 37, seed: 7)
    let three = sampler.draw(given: [[], [], []], transformer, pass)
    #expect(Set(three).count == 3)
    let single = Pass(try CPUEngine(threads: 1), parameters: pass.parameters)
    #expect(sampler.draw(given: [[]], first: 2, transformer, single) == [three[2]])
  }

  @Test func choicesFollowTemperatureAndTopK() {
    // The probabilities are 0.4, 0.3, 0.2 and 0.1 at temperature 1.
    let logits = [0.1, 0.4, 0.2, 0.3].map { Float(naturalLogarithm($0)) }
    func shares(_ temperature: Double, _ topK: Int) -> [Double] {
      let sampler = Sampler(temperature: temperature, topK: topK, seed: 0)
      var noise = SeededGenerator(seed: 11)
      var counts = [0, 0, 0, 0]
      for _ in 0..<4000 {
        counts[Int(logits.withUnsafeBufferPointer { sampler.choose($0, &noise) })] += 1
      }
      return counts.map { Double($0) / 4000 }
    }
    func expect(_ found: [Double], _ expected: [Double]) {
      // Four standard deviations.
      for (f, e) in zip(found, expected) { #expect(abs(f - e) < 0.032, "\(found)") }
    }
    expect(shares(1, 4), [0.1, 0.4, 0.2, 0.3])
    expect(shares(1, 2), [0, 4.0 / 7, 0, 3.0 / 7])
    // Squared probabilities, normalised to sum 1.
    expect(shares(0.5, 4), [1.0 / 30, 16.0 / 30, 4.0 / 30, 9.0 / 30])
    #expect(shares(1, 1) == [0, 1, 0, 0])
  }
}
