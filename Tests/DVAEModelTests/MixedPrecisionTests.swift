import DVAECPUEngine
import DVAEModel
import DVAETensors
import DVAETestSupport
import Testing

/// The network on an engine with bfloat16 factors.
@Suite struct MixedPrecisionTests {
  private let architecture: Architecture
  private let parameters: ParameterSet
  private let mixed: CPUEngine

  init() throws {
    architecture = try Architecture(hidden: 16, blocksPerGroup: 1, vocabulary: 40, initial: 24)
    parameters = ParameterSet([architecture.encoder, architecture.decoder])
    for (seed, parameter) in parameters.parameters.enumerated() {
      let values = Tensor.random(
        Shape(1, 1, 1, parameter.values.count), seed: UInt64(seed), in: -0.6...0.6)
      // Not representable in bfloat16.
      for (i, value) in values.elements.enumerated() { parameter.values.pointer[i] = value / 3 }
    }
    mixed = try CPUEngine(threads: 2, factors: .bfloat16Anywhere)
  }

  private func convolution(
    _ layer: String, _ x: Tensor, to outputs: Int, on engine: CPUEngine
  ) throws -> [Float] {
    let filter = engine.makeFilter(
      ConvolutionShape(kernel: 1, inputChannels: x.shape.channels, outputChannels: outputs),
      weights: try #require(parameters[layer + ".w"]).values,
      bias: try #require(parameters[layer + ".b"]).values, uses: .forward)
    return engine.convolution(x, filter, reluInput: false, epilogue: .bias).array
  }

  @Test("The logits are fine products of the features") func logits() throws {
    let encoder = ImageEncoder(architecture, parameters: parameters, engine: mixed)
    let x = Tensor.random(Shape(1, 16, 24, 3), seed: 1, in: 0...1)
    let (logits, features) = (try encoder.logits(x).array, try encoder.features(x))
    let layer = "encoder.blocks.output.conv"
    #expect(logits == (try convolution(layer, features, to: 40, on: mixed.fine)))
    #expect(logits != (try convolution(layer, features, to: 40, on: mixed)))
    // The features are not float32's.
    let plain = ImageEncoder(architecture, parameters: parameters, engine: mixed.exact)
    #expect(features.array != (try plain.features(x).array))
  }

  @Test("The decoder's first layer keeps 16 digits of the weights of one-hot tokens")
  func firstLayer() throws {
    let decoder = ImageDecoder(architecture, parameters: parameters, engine: mixed)
    let tokens: [Int32] = [0, 7, 39, 20, 13, 5]
    let soft = Tensor(Shape(1, 2, 3, 40), repeating: 0)
    for (position, token) in tokens.enumerated() { soft.pointer[position * 40 + Int(token)] = 1 }
    // Tokens are looked up in the table of float32 weights.
    let hard = try decoder.statistics(tokens: tokens, height: 2, width: 3).array
    let plain = ImageDecoder(architecture, parameters: parameters, engine: mixed.exact)
    func difference(_ decoder: ImageDecoder<CPUEngine>) throws -> Float {
      zip(try decoder.statistics(soft: soft).array, hard).reduce(0) { $0 + abs($1.0 - $1.1) }
    }
    #expect(try difference(decoder) < difference(plain) / 10)
  }
}
