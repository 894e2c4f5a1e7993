import DVAETestSupport
import DVAETensors
import Testing

@Suite("The reference engine's values")
struct ReferenceEngineTests {
  let engine = ReferenceEngine()

  @Test("A 3×3 convolution correlates, does not flip, and pads with zeros")
  func convolutionByHand() {
    let x = Tensor(Shape(1, 2, 3, 1), [1, 2, 3, 4, 5, 6])
    let weights = Tensor(Shape(1, 1, 1, 9), [1, 2, 3, 4, 5, 6, 7, 8, 9])
    let bias = Tensor(Shape(1, 1, 1, 1), [100])
    let filter = engine.makeFilter(
      ConvolutionShape(kernel: 3, inputChannels: 1, outputChannels: 1), weights: weights.all,
      bias: bias.all, uses: .forward)
    let y = engine.convolution(x, filter, reluInput: false, epilogue: .bias)
    // Centre (0, 1): row of zeros; 1·4 + 2·5 + 3·6; 4·7 + 5·8 + 6·9.
    #expect(y.array[1] == 100 + 32 + 122)
    // Corner (1, 2): 2·1 + 3·2 and 5·4 + 6·5 from the left column and the centre.
    #expect(y.array[5] == 100 + 8 + 50)
  }

  @Test("Weights are output, input, row, column; the epilogue is relu, mask, gain, skip")
  func weightLayoutAndEpilogue() {
    let x = Tensor(Shape(1, 1, 2, 2), [1, 10, 2, -20])
    let weights = Tensor(Shape(1, 1, 1, 6), [1, 2, 3, 4, -5, -6])
    let bias = Tensor(Shape(1, 1, 1, 3), [0.5, 0.25, 0])
    let filter = engine.makeFilter(
      ConvolutionShape(kernel: 1, inputChannels: 2, outputChannels: 3), weights: weights.all,
      bias: bias.all, uses: .forward)
    let plain = engine.convolution(x, filter, reluInput: false, epilogue: .bias)
    #expect(plain.array == [21.5, 43.25, -65, -37.5, -73.75, 110])
    let rectified = engine.convolution(x, filter, reluInput: true, epilogue: .relu)
    #expect(rectified.array == [21.5, 43.25, 0, 2.5, 6.25, 0])
    let finished = engine.convolution(
      x, filter, reluInput: false,
      epilogue: Epilogue(
        relu: true, mask: Tensor(Shape(1, 1, 2, 3), [1, 0, 1, 1, 1, -1]),
        skip: Tensor(Shape(1, 1, 2, 3), [1, 2, 3, 4, 5, 6]), gain: 2))
    #expect(finished.array == [44, 2, 3, 4, 5, 6])
    #expect(engine.argmaxConvolution(x, filter, reluInput: false) == [1, 2])
  }

  @Test("Argmax and pooling take the first of equals")
  func ties() {
    let filter = engine.makeFilter(
      ConvolutionShape(kernel: 1, inputChannels: 1, outputChannels: 4),
      weights: Tensor(Shape(1, 1, 1, 4), [1, 3, 3, 2]).all,
      bias: Tensor(Shape(1, 1, 1, 4), repeating: 0).all, uses: .forward)
    let x = Tensor(Shape(1, 1, 2, 1), [1, 0])
    #expect(engine.argmaxConvolution(x, filter, reluInput: false) == [1, 0])
    let cell = Tensor(Shape(1, 3, 3, 1), [1, 7, 9, 7, 2, 9, 9, 9, 9])
    let dy = Tensor(Shape(1, 1, 1, 1), [5])
    #expect(engine.maxPool2x2(cell).array == [7])
    #expect(engine.maxPool2x2Backward(dy, cell).array == [0, 5, 0, 0, 0, 0, 0, 0, 0])
  }

  @Test("Upsampling repeats each pixel, its backward half sums the cell")
  func upsampling() {
    let x = Tensor(Shape(1, 1, 2, 2), [1, 2, 3, 4])
    let y = engine.upsampleNearest2x(x)
    #expect(y.shape == Shape(1, 2, 4, 2))
    #expect(y.array == [1, 2, 1, 2, 3, 4, 3, 4, 1, 2, 1, 2, 3, 4, 3, 4])
    #expect(engine.upsampleNearest2xBackward(y).array == [4, 8, 12, 16])
  }

  @Test(
    "Logit-Laplace density",
    arguments: [
      (0.5, 0, 0, -0.693147181), (0.1, 0, 0, 0.482426149), (0.9, 2, -1, -2.178686443),
      (0.3, -0.5, -2, -0.301297194), (0.7, 0, 0.5, 0.146411563),
    ] as [(Float, Float, Float, Double)])
  func likelihood(x: Float, mean: Float, logScale: Float, expected: Double) {
    let loss = engine.logitLaplaceLoss(
      Tensor(Shape(1, 1, 1, 2), [mean, logScale]), target: Tensor(Shape(1, 1, 1, 1), [x]))
    // x is rounded to float, by at most x·2⁻²⁴; the loss falls by that times (1 + e^−s)/(x(1−x)).
    let rounding = 0x1p-24 * (1 + exponential(-Double(logScale))) / (1 - Double(x))
    #expect(abs(loss - expected) < 1e-9 + rounding)
  }

  @Test("KL to the uniform prior and its gradient")
  func kl() {
    let logits = Tensor(Shape(1, 1, 1, 4), [1, 0, -1, 2])
    #expect(abs(engine.klToUniform(logits) - 0.438757397) < 1e-9)
    let dy = Tensor(logits.shape, repeating: 0)
    _ = engine.gumbelSoftmaxBackward(
      dy, y: engine.softmaxChannels(logits), logits: logits, temperature: 1, klScale: 1)
    expectClose(
      dy.doubles, [-0.116700968, -0.130076206, -0.079910965, 0.326688139],
      bound: { _ in 2e-8 }, "dKL")
  }

  @Test(
    "Gumbel-softmax",
    arguments: [
      (1, [0.096353799, 0.117750996, 0.284982165, 0.500913040]),
      (0.0625, [0, 0, 0.000120457, 0.999879543]),
    ] as [(Double, [Double])])
  func gumbel(temperature: Double, expected: [Double]) {
    let logits = Tensor(Shape(1, 1, 1, 4), [1, 0, -1, 2])
    let u = Tensor(logits.shape, [0.1, 0.5, 0.9, 0.3])
    let y = engine.gumbelSoftmax(logits, noise: .uniform(u), temperature: temperature)
    // The uniform numbers are rounded to float first; 1/τ magnifies that.
    expectClose(
      y.doubles, expected, bound: { _ in 1e-7 / Double(temperature) }, "relaxed sample")
  }

  @Test("Seeded noise is the Philox stream, element by element")
  func seededNoise() {
    let shape = Shape(2, 1, 3, 5)
    let logits = Tensor.random(shape, seed: 1)
    let words = (UInt64(0)..<8).flatMap { block -> [UInt32] in
      let words = SeededGenerator.block(seed: 9, stream: 7, counter: block)
      return [words.0, words.1, words.2, words.3]
    }
    let u = Tensor(shape, words.prefix(shape.count).map(SeededGenerator.uniform))
    let given = engine.gumbelSoftmax(logits, noise: .uniform(u), temperature: 0.5)
    let seeded = engine.gumbelSoftmax(
      logits, noise: .seeded(seed: 9, stream: 7), temperature: 0.5)
    #expect(seeded.array == given.array)
    let second = engine.gumbelSoftmax(
      Tensor(Shape(1, 1, 3, 5), logits.array[15...]),
      noise: .seeded(seed: 9, stream: 7, first: 15), temperature: 0.5)
    #expect(second.array == Array(given.array[15...]))
  }

  @Test("AdamW by hand, with decoupled decay, gradient scale and average")
  func adamW() {
    func arena(_ value: Float) -> TensorSlice { Tensor(Shape(1, 1, 1, 1), [value]).all }
    let (p, g, m, v, a) = (arena(2), arena(6), arena(0), arena(0), arena(1))
    let step = AdamWStep(
      learningRate: 0.5, beta1: 0.75, beta2: 0.9375, epsilon: 1, weightDecay: 0.25,
      averageDecay: 0.5, gradientScale: 0.5, count: 1)
    engine.adamWStep(
      parameters: p, gradients: g, firstMoment: m, secondMoment: v, average: a, step)
    // g = 3: m̂ = 3, v̂ = 9, direction 3/(3 + 1); p = 2 − ½(¼·2 + ¾); a = ½·1 + ½·p.
    #expect(m.elements[0] == 0.75)
    #expect(v.elements[0] == 0.5625)
    #expect(p.elements[0] == 1.375)
    #expect(a.elements[0] == 1.1875)
  }
}
