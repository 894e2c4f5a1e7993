import DVAEFiles
import DVAEModel
import DVAETestSupport
import DVAETensors
import Testing

/// Encoder and decoder compared with the official package's results on real photos.
@Suite("The networks")
struct NetworkTests {
  static let images = ["kodim04", "kodim23", "odd_401x333"]

  @Test("Logits and tokens are the reference's", arguments: TestEngine.all, images)
  func encode(on engine: TestEngine, image: String) throws {
    let weights = try ModelWeights(Fixture.weights("tiny/encoder.pkl"))
    try encode(image, weights, with: engine.engine)
  }

  private func encode(
    _ image: String, _ weights: ModelWeights, with engine: some HostEngine
  ) throws {
    let encoder = ImageEncoder(
      weights.architecture, parameters: try #require(weights.encoder), engine: engine)
    let x = try Fixture.activation("tiny/\(image).input.npy")
    let expected = try Fixture.activation("tiny/\(image).logits.npy")
    let bound = 1e-4 * standardDeviation(expected.doubles)
    let logits = try encoder.logits(x)
    expectClose(logits, expected, bound: bound, "logits")

    let reference = try Fixture.integers("tiny/\(image).tokens.npy")
    let margins = topTwoMargins(expected)
    for tokens in [try encoder.tokens(x), engine.argmaxChannels(logits)] {
      #expect(tokens.count == reference.count)
      for (position, token) in tokens.enumerated()
      where token != reference[position] && margins[position] > bound {
        Issue.record("position \(position): token \(token), expected \(reference[position])")
      }
    }
  }

  @Test("Filters that are packed as they are used give the same bits", arguments: TestEngine.all)
  func singlePass(on engine: TestEngine) throws { try singlePass(with: engine.engine) }

  private func singlePass(with engine: some HostEngine) throws {
    let x = try Fixture.activation("tiny/kodim04.input.npy")
    let files = try ["encoder", "decoder"].map {
      try ModelWeights(Fixture.weights("tiny/\($0).pkl"))
    }
    let (encoder, decoder) = (try #require(files[0].encoder), try #require(files[1].decoder))
    let architecture = files[1].architecture
    let results = try [NetworkPurpose.inference, .singlePass].map { purpose in
      let tokens = try ImageEncoder(
        files[0].architecture, parameters: encoder, engine: engine, for: purpose
      ).tokens(x)
      // Twice, because nothing is kept from the first time.
      let half = ImageDecoder(architecture, parameters: decoder, engine: engine, for: purpose)
      return try (0..<2).map { _ in
        try half.statistics(tokens: tokens, height: 32, width: 32).array
      }
    }
    // Compared outside the expectation, which would search long arrays for their difference.
    let isSame = results[0] == results[1]
    #expect(isSame)
    #expect(results[0][0].contains { $0 != results[0][0][0] })
  }

  @Test("Statistics of tokens are the reference's", arguments: TestEngine.all, images)
  func decode(on engine: TestEngine, image: String) throws {
    let weights = try ModelWeights(Fixture.weights("tiny/decoder.pkl"))
    try decode(image, weights, with: engine.engine)
  }

  private func decode(
    _ image: String, _ weights: ModelWeights, with engine: some HostEngine
  ) throws {
    let decoder = ImageDecoder(
      weights.architecture, parameters: try #require(weights.decoder), engine: engine)
    let tokens = try Fixture.integers("tiny/\(image).tokens.npy").map(Int32.init)
    let expected = try Fixture.activation("tiny/\(image).stats.npy")
    let hard = try decoder.statistics(tokens: tokens, height: 32, width: 32)
    expectClose(hard, expected, bound: 1e-4, "statistics of tokens")

    // The same tokens as one-hot vectors, through the dense product.
    let oneHot = Tensor(Shape(1, 32, 32, 128), repeating: 0)
    for (position, token) in tokens.enumerated() {
      oneHot.pointer[position * 128 + Int(token)] = 1
    }
    let soft = try decoder.statistics(soft: oneHot)
    expectClose(soft, expected, bound: 1e-4, "statistics of one-hot vectors")
  }

  @Test("Oblong images and batches: each image by itself", arguments: TestEngine.all)
  func shapes(on engine: TestEngine) throws { try shapes(with: engine.engine) }

  private func shapes(with engine: some HostEngine) throws {
    let architecture = try Architecture(hidden: 16, blocksPerGroup: 2, vocabulary: 50, initial: 9)
    let parameters = ParameterSet(
      [architecture.encoder, architecture.decoder], initialisedBy: 3)
    let encoder = ImageEncoder(architecture, parameters: parameters, engine: engine)
    let decoder = ImageDecoder(architecture, parameters: parameters, engine: engine)
    let images = (0..<3).map {
      Tensor.random(Shape(1, 16, 40, 3), seed: UInt64($0), in: 0.1...0.9)
    }
    let batch = Tensor(Shape(3, 16, 40, 3), images.flatMap(\.array))
    let logits = try encoder.logits(batch)
    #expect(logits.shape == Shape(3, 2, 5, 50))
    let tokens = try encoder.tokens(batch)
    let statistics = try decoder.statistics(tokens: tokens, batch: 3, height: 2, width: 5)
    #expect(statistics.shape == Shape(3, 16, 40, 6))
    for (n, image) in images.enumerated() {
      expectClose(
        try encoder.logits(image),
        Tensor(Shape(1, 2, 5, 50), logits.array[n * 500..<(n + 1) * 500]),
        bound: 1e-5, "logits of image \(n)")
      expectClose(
        try decoder.statistics(
          tokens: Array(tokens[n * 10..<(n + 1) * 10]), height: 2, width: 5),
        Tensor(Shape(1, 16, 40, 6), statistics.array[n * 3840..<(n + 1) * 3840]), bound: 1e-5,
        "statistics of image \(n)")
    }
  }

  @Test("Inputs that do not fit are refused in words")
  func refusals() throws {
    let architecture = try Architecture(hidden: 4, blocksPerGroup: 1, vocabulary: 10)
    let parameters = ParameterSet([architecture.encoder, architecture.decoder])
    let encoder = ImageEncoder(architecture, parameters: parameters, engine: ReferenceEngine())
    let decoder = ImageDecoder(architecture, parameters: parameters, engine: ReferenceEngine())
    for shape in [Shape(1, 8, 12, 3), Shape(1, 8, 8, 4), Shape(1, 0, 8, 3), Shape(0, 8, 8, 3)] {
      #expect(throws: DVAEError.imageShape(shape, channels: 3)) {
        try encoder.tokens(Tensor(shape))
      }
    }
    #expect(throws: DVAEError.token(10, position: 1, vocabulary: 10)) {
      try decoder.statistics(tokens: [9, 10], height: 1, width: 2)
    }
    #expect(throws: DVAEError.token(-1, position: 0, vocabulary: 10)) {
      try decoder.statistics(tokens: [-1], height: 1, width: 1)
    }
    #expect(throws: DVAEError.tokenCount(3, grid: Shape(1, 2, 2, 128))) {
      try decoder.statistics(tokens: [1, 2, 3], height: 2, width: 2)
    }
    #expect(throws: DVAEError.softTokens(Shape(1, 1, 1, 9), vocabulary: 10)) {
      try decoder.statistics(soft: Tensor(Shape(1, 1, 1, 9)))
    }
  }

  private func standardDeviation(_ values: [Double]) -> Double {
    let mean = values.reduce(0, +) / Double(values.count)
    let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
    return variance.squareRoot()
  }

  /// Returns the difference between the two largest logits of every position.
  private func topTwoMargins(_ logits: Tensor) -> [Double] {
    let values = logits.doubles
    return stride(from: 0, to: values.count, by: logits.shape.channels).map { first in
      let row = values[first..<first + logits.shape.channels].sorted()
      return row[row.count - 1] - row[row.count - 2]
    }
  }
}
