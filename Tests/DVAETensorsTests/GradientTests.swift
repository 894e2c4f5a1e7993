import DVAETestSupport
import DVAETensors
import Testing

/// Every backward pass of the reference engine against finite differences of its forward pass.
@Suite("The reference engine's gradients")
struct GradientTests {
  let engine = ReferenceEngine()

  /// Returns Σ weight·y and Σ |weight·y|: a loss whose derivative by y is `weight`.
  private func weighted(_ y: Tensor, by weight: Tensor) -> Double {
    zip(y.doubles, weight.doubles).reduce(0) { $0 + $1.0 * $1.1 }
  }

  private func magnitude(_ y: Tensor, _ weight: Tensor) -> Double {
    zip(y.doubles, weight.doubles).reduce(0) { $0 + abs($1.0 * $1.1) }
  }

  /// Checks dx of the loss Σ dy·forward(x); `truncation` bounds the fifth-order remainder.
  private func check(
    _ what: String, at x: Tensor, dx: Tensor, dy: Tensor, step: Float = 0.125,
    truncation: Double = 0, sourceLocation: SourceLocation = #_sourceLocation,
    forward: () -> Tensor
  ) {
    let check = GradientCheck(at: x, step: step, magnitude: magnitude(forward(), dy)) {
      weighted(forward(), by: dy)
    }
    expectClose(
      dx.doubles, check.derivatives,
      bound: { check.bound + truncation + roundoff(dx.doubles[$0]) }, what,
      sourceLocation: sourceLocation)
  }

  private func roundoff(_ value: Double) -> Double { abs(value) * 0x1p-23 }

  @Test("Convolution", arguments: [1, 3, 7], [false, true])
  func convolution(kernel: Int, reluInput: Bool) {
    let shape = ConvolutionShape(kernel: kernel, inputChannels: 3, outputChannels: 4)
    let x = Tensor.random(Shape(2, 4, 5, 3), seed: 1).awayFromZero(by: 0.5)
    let weights = Tensor.random(Shape(1, 1, 1, shape.weightCount), seed: 2).awayFromZero(by: 0)
    let bias = Tensor.random(Shape(1, 1, 1, 4), seed: 3).awayFromZero(by: 0)
    let skip = Tensor.random(Shape(2, 4, 5, 4), seed: 4)
    let dy = Tensor.random(skip.shape, seed: 5)
    let gain: Float = 0.25
    func filter() -> ReferenceEngine.Filter {
      engine.makeFilter(
        shape, weights: weights.all, bias: bias.all, uses: [.forward, .backwardInput])
    }
    func forward() -> Tensor {
      engine.convolution(
        x, filter(), reluInput: reluInput, epilogue: Epilogue(skip: skip, gain: gain))
    }
    let dx = engine.convolutionBackwardInput(
      dy, filter(), epilogue: Epilogue(mask: reluInput ? x : nil, gain: gain))
    let dWeights = Tensor(weights.shape, repeating: 0)
    let dBias = Tensor(bias.shape, repeating: 0)
    engine.convolutionBackwardWeights(
      x, dy, shape, reluInput: reluInput, scale: gain, dWeights: dWeights.all, dBias: dBias.all)
    check("dx", at: x, dx: dx, dy: dy, forward: forward)
    check("dw", at: weights, dx: dWeights, dy: dy, forward: forward)
    check("db", at: bias, dx: dBias, dy: dy, forward: forward)
  }

  @Test("Weight gradients add to what is there")
  func accumulation() {
    let shape = ConvolutionShape(kernel: 1, inputChannels: 1, outputChannels: 1)
    let x = Tensor(Shape(1, 1, 2, 1), [2, 3])
    let dWeights = Tensor(Shape(1, 1, 1, 1), [100])
    let dBias = Tensor(Shape(1, 1, 1, 1), [200])
    engine.convolutionBackwardWeights(
      x, x, shape, reluInput: false, scale: 2, dWeights: dWeights.all, dBias: dBias.all)
    #expect(dWeights.array == [126])
    #expect(dBias.array == [210])
  }

  @Test("Pooling, upsampling, ReLU")
  func plain() {
    // Distinct integers of both signs: no ties and no kink within a step.
    let values: [Float] = (0..<90).map { i in
      let size = Float(i * 37 % 91 + 1)
      return i.isMultiple(of: 2) ? size : -size
    }
    let x = Tensor(Shape(1, 5, 6, 3), values)
    let dPooled = Tensor.random(x.shape.halved, seed: 1)
    check("maxPool2x2", at: x, dx: engine.maxPool2x2Backward(dPooled, x), dy: dPooled) {
      engine.maxPool2x2(x)
    }
    let dUpsampled = Tensor.random(x.shape.doubled, seed: 2)
    check(
      "upsampleNearest2x", at: x, dx: engine.upsampleNearest2xBackward(dUpsampled),
      dy: dUpsampled
    ) { engine.upsampleNearest2x(x) }
    let dRelu = Tensor.random(x.shape, seed: 3)
    check("relu", at: x, dx: engine.reluBackward(dRelu, x), dy: dRelu) { engine.relu(x) }
  }

  @Test("Gumbel-softmax with the KL term", arguments: [1, 0.5] as [Double])
  func bottleneck(temperature: Double) {
    let logits = Tensor.random(Shape(1, 2, 2, 5), seed: 1, in: -2...2).awayFromZero(by: 0)
    let u = Tensor.random(logits.shape, seed: 2, in: 0...1)
    let dRelaxed = Tensor.random(logits.shape, seed: 3)
    let klScale: Double = 0.75
    func relaxed() -> Tensor {
      engine.gumbelSoftmax(logits, noise: .uniform(u), temperature: temperature)
    }
    let dLogits = Tensor(logits.shape, dRelaxed.array)
    _ = engine.gumbelSoftmaxBackward(
      dLogits, y: relaxed(), logits: logits, temperature: temperature, klScale: klScale)
    let step: Float = 0x1p-6
    let check = GradientCheck(
      at: logits, step: step, magnitude: magnitude(relaxed(), dRelaxed)
    ) { weighted(relaxed(), by: dRelaxed) + Double(klScale) * engine.klToUniform(logits) }
    // Softmax's fifth derivative is below 10/τ⁵; the remainder is h⁴/30 of it.
    let remainder = power(Double(step), 4) / 3 / power(Double(temperature), 5)
    expectClose(
      dLogits.doubles, check.derivatives, bound: { _ in check.bound + remainder }, "dℓ")
  }

  @Test("Logit-Laplace likelihood")
  func likelihood() {
    let target = Tensor.random(Shape(1, 3, 2, 3), seed: 1, in: 0.1...0.9)
    // Means beyond ±ln 9 keep |logit x − μ| away from its kink.
    let random = Tensor.random(target.shape.with(channels: 6), seed: 2).awayFromZero(by: 0)
    let statistics = Tensor(
      random.shape,
      random.array.enumerated().map { i, value in
        i % 6 < 3 ? (value < 0 ? value - 3 : value + 3) : value
      })
    let gradient = engine.logitLaplaceLossBackward(statistics, target: target, scale: 0.5)
    let step: Float = 0x1p-6
    let check = GradientCheck(at: statistics, step: step, magnitude: 0) {
      0.5 * engine.logitLaplaceLoss(statistics, target: target)
    }
    // The loss is in double; what remains is h⁴/30 of ½·|d|·e^−s < 20, and float's rounding.
    let remainder = power(Double(step), 4) / 30 * 20
    expectClose(
      gradient.doubles, check.derivatives,
      bound: { remainder + roundoff(gradient.doubles[$0]) + 1e-10 }, "d(μ, s)")
  }
}
