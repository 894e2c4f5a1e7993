import DVAECPUEngine
import DVAETensors

/// Predicts a token from its four neighbours that come before it: the neighbours' embeddings, a
/// hidden layer, and the logits of the whole vocabulary.
///
/// The layers are the engine's 1×1 convolutions over a list of positions; only the embeddings are
/// looked up and their gradients added here.
struct NextTokenModel {
  private let engine: CPUEngine
  private let vocabulary: Int
  private let width: Int
  private let inner: ConvolutionShape
  private let outer: ConvolutionShape
  // All parameters one after the other: embeddings, weights and bias of each layer.
  private let ranges: [Range<Int>]
  private let parameters: Tensor
  private let gradients: Tensor
  private let moments: [Tensor]
  private var updates = 0

  private static let contextSize = Contexts.neighbours.count

  /// Makes a model that predicts the frequencies of the tokens, whatever their neighbours.
  init(
    _ engine: CPUEngine, vocabulary: Int, frequencies: [Int], width: Int, hidden: Int, seed: UInt64
  ) {
    self.engine = engine
    self.vocabulary = vocabulary
    self.width = width
    inner = ConvolutionShape(
      kernel: 1, inputChannels: Self.contextSize * width, outputChannels: hidden)
    outer = ConvolutionShape(kernel: 1, inputChannels: hidden, outputChannels: vocabulary)
    var ranges: [Range<Int>] = []
    for size in [
      (vocabulary + 1) * width, inner.weightCount, hidden, outer.weightCount, vocabulary,
    ] {
      let start = ranges.last?.upperBound ?? 0
      ranges.append(start..<start + size)
    }
    self.ranges = ranges
    let arena = Shape(1, 1, 1, ranges.last?.upperBound ?? 0)
    parameters = Tensor(arena, repeating: 0)
    gradients = Tensor(arena, repeating: 0)
    moments = (0..<3).map { _ in Tensor(arena, repeating: 0) }
    var noise = SeededGenerator(seed: seed)
    for i in ranges[0] { parameters.pointer[i] = noise.normal() }
    let scale = 1 / Float(inner.fanIn).squareRoot()
    for i in ranges[1] { parameters.pointer[i] = noise.normal() * scale }
    // The last layer's weights stay 0, so that its bias alone speaks at first.
    let total = Double(frequencies.reduce(0, +) + vocabulary)
    for (i, count) in zip(ranges[4], frequencies) {
      parameters.pointer[i] = Float(naturalLogarithm(Double(count + 1) / total))
    }
  }

  /// Mean of −ln p(token) over positions, in nats.
  func loss(_ contexts: Contexts, batchSize: Int) -> Double {
    var sum = 0.0
    for start in stride(from: 0, to: contexts.count, by: batchSize) {
      let batch = Array(start..<min(start + batchSize, contexts.count))
      let pass = forward(batch, contexts, for: .forward)
      sum += Self.surprise(pass.probabilities, batch, contexts)
    }
    return sum / Double(max(1, contexts.count))
  }

  /// One update by the positions of a batch.
  mutating func learn(_ batch: [Int], from contexts: Contexts, learningRate: Float) {
    let pass = forward(batch, contexts, for: [.forward, .backwardInput])
    // The derivative of the mean loss by the logits, in the place of the probabilities.
    let dLogits = pass.probabilities
    for (i, position) in batch.enumerated() {
      dLogits.pointer[i * vocabulary + Int(contexts.targets[position])] -= 1
    }
    gradients.elements.update(repeating: 0)
    let scale = 1 / Float(batch.count)
    engine.convolutionBackwardWeights(
      pass.hidden, dLogits, outer, reluInput: false, scale: scale, dWeights: gradients[ranges[3]],
      dBias: gradients[ranges[4]])
    let dHidden = engine.convolutionBackwardInput(
      dLogits, pass.outer, epilogue: Epilogue(mask: pass.hidden))
    engine.convolutionBackwardWeights(
      pass.input, dHidden, inner, reluInput: false, scale: scale, dWeights: gradients[ranges[1]],
      dBias: gradients[ranges[2]])
    let dInput = engine.convolutionBackwardInput(dHidden, pass.inner, epilogue: .bias)
    forEachEmbedding(batch, contexts) { row, place in
      let (to, from) = (gradients.pointer + row, dInput.pointer + place)
      for k in 0..<width { to[k] += scale * from[k] }
    }
    updates += 1
    engine.adamWStep(
      parameters: parameters.all, gradients: gradients.all, firstMoment: moments[0].all,
      secondMoment: moments[1].all, average: moments[2].all,
      AdamWStep(learningRate: learningRate, beta2: 0.99, weightDecay: 0, count: updates))
  }

  private struct Pass {
    var input: Tensor
    var hidden: Tensor
    var probabilities: Tensor
    var inner: CPUEngine.Filter
    var outer: CPUEngine.Filter
  }

  private func forward(_ batch: [Int], _ contexts: Contexts, for uses: FilterUses) -> Pass {
    let inner = engine.makeFilter(
      inner, weights: parameters[ranges[1]], bias: parameters[ranges[2]], uses: uses)
    let outer = engine.makeFilter(
      outer, weights: parameters[ranges[3]], bias: parameters[ranges[4]], uses: uses)
    let input = engine.makeTensor(Shape(1, 1, batch.count, Self.contextSize * width))
    forEachEmbedding(batch, contexts) { row, place in
      (input.pointer + place).update(from: parameters.pointer + row, count: width)
    }
    let hidden = engine.convolution(input, inner, reluInput: false, epilogue: .relu)
    let logits = engine.convolution(hidden, outer, reluInput: false, epilogue: .bias)
    return Pass(
      input: input, hidden: hidden, probabilities: engine.softmaxChannels(logits), inner: inner,
      outer: outer)
  }

  /// Calls `body` with the place of each neighbour's embedding in the arena and in the input.
  private func forEachEmbedding(
    _ batch: [Int], _ contexts: Contexts, _ body: (_ row: Int, _ place: Int) -> Void
  ) {
    let size = Self.contextSize
    for (i, position) in batch.enumerated() {
      for k in 0..<size {
        body(Int(contexts.neighbours[position * size + k]) * width, (i * size + k) * width)
      }
    }
  }

  private static func surprise(_ q: Tensor, _ batch: [Int], _ contexts: Contexts) -> Double {
    batch.enumerated().reduce(0) { sum, item in
      let p = q.pointer[item.offset * q.shape.channels + Int(contexts.targets[item.element])]
      return sum - naturalLogarithm(Double(max(p, .leastNormalMagnitude)))
    }
  }
}
