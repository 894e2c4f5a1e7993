import DVAEProgram
import DVAETensors
import Testing

@Suite("Recordings") struct RecordingTests {
  let recording = Recording()
  var engine: RecordingEngine { RecordingEngine(recording) }

  private func filter(_ name: String, kernel: Int, from inputs: Int, to outputs: Int)
    -> RecordingEngine.Filter
  {
    engine.makeFilter(
      ConvolutionShape(kernel: kernel, inputChannels: inputs, outputChannels: outputs),
      weights: recording.variable(name + ".w", [outputs, inputs, kernel, kernel]),
      bias: recording.variable(name + ".b", [outputs]), uses: .forward)
  }

  @Test("An operation that is recorded again is the same item") func valueNumbering() {
    let x = recording.value("x", Shape(1, 4, 4, 3))
    let filter = filter("layer", kernel: 3, from: 3, to: 8)
    let y = engine.convolution(x, filter, reluInput: false, epilogue: .relu)
    let count = recording.operationCount
    #expect(engine.convolution(x, filter, reluInput: false, epilogue: .relu) == y)
    #expect(recording.operationCount == count)
    // Another epilogue makes another operation.
    #expect(engine.convolution(x, filter, reluInput: false, epilogue: .bias) != y)
    #expect(recording.operationCount == count + 1)
    // The logits behind the tokens are the recorded ones.
    let last = self.filter("last", kernel: 1, from: 8, to: 5)
    let logits = engine.convolution(y, last, reluInput: true, epilogue: .bias)
    let tokens = engine.argmaxConvolution(y, last, reluInput: true)
    #expect(tokens == engine.argmaxChannels(logits))
    #expect(tokens.extents == [1, 4, 4])
    #expect(recording.operationCount == count + 3)
  }

  @Test("Constants are computed, other numbers are stored once") func scalars() {
    let half = RecordedScalar(1) / RecordedScalar(2)
    guard case .constant(0.5) = half else {
      Issue.record("1/2 is \(half)")
      return
    }
    let given = recording.scalars("numbers", count: 2)
    let count = recording.operationCount
    _ = given[0] * half + given[1]
    _ = given[0] * half + given[1]
    #expect(recording.operationCount == count + 2)
    _ = RecordedScalar.minimum(half, given[1]).squareRoot()
    #expect(recording.operationCount == count + 4)
  }

  @Test("Writing to a place replaces its value, also for filters made before") func variables() {
    let shape = ConvolutionShape(kernel: 1, inputChannels: 2, outputChannels: 3)
    let weights = recording.variable("w", [3, 2, 1, 1])
    let bias = recording.variable("b", [3])
    let filter = engine.makeFilter(shape, weights: weights, bias: bias, uses: .forward)
    let x = recording.value("x", Shape(1, 1, 2, 2))
    let before = engine.convolution(x, filter, reluInput: false, epilogue: .bias)
    engine.convolutionBackwardWeights(
      x, before, shape, reluInput: false, scale: 1, dWeights: weights, dBias: bias)
    let after = engine.convolution(x, filter, reluInput: false, epilogue: .bias)
    #expect(before != after)
    recording.output("w", weights, inPlaceOf: "w")
    #expect(recording.outputs.map(\.inPlaceOf) == [0])
    #expect(recording.inputs.map(\.name) == ["w", "b", "x"])
  }

  @Test("Zeros can be given without having been added to") func zeros() {
    recording.output("zeros", recording.zeros([2, 3]))
    #expect(recording.outputs.first?.extents == [2, 3])
    #expect(StableHLOWriter.text(recording).contains("tensor<2x3xf32>"))
  }
}
