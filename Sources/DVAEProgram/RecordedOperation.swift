import DVAETensors

/// An operation of a recorded program; unlabelled numbers are items.
///
/// Most are operations of `Engine`, so that each format can express them in its own way. Equal
/// operations have equal results of equal shapes.
enum RecordedOperation: Hashable, Sendable {
  case convolution(
    x: Int, weights: Int, bias: Int, ConvolutionShape, reluInput: Bool, Epilogue<RecordedValue>)
  case convolutionBackwardInput(dy: Int, weights: Int, ConvolutionShape, Epilogue<RecordedValue>)
  /// Results: dw and db, each added to a given item.
  case convolutionBackwardWeights(
    x: Int, dy: Int, ConvolutionShape, reluInput: Bool, scale: Float, dWeights: Int?, dBias: Int?)
  case argmax(Int)
  case gatherColumns(tokens: Int, weights: Int, bias: Int, ConvolutionShape)
  case maxPool(Int)
  case maxPoolBackward(dy: Int, x: Int)
  case upsample(Int)
  case upsampleBackward(Int)
  case relu(Int)
  case reluBackward(dy: Int, x: Int)
  case addScaled(Int, Int, gain: Float)
  case sigmoid(Int)
  case softmax(Int)
  /// Uniform numbers in (0, 1): see `Recording.uniform`.
  case uniform(state: Int)
  case gumbelSoftmax(Int, uniform: Int, temperature: ScalarOperand)
  case klToUniform(Int, ofEach: Bool)
  case gumbelSoftmaxBackward(
    dy: Int, y: Int, logits: Int, temperature: ScalarOperand, klScale: ScalarOperand)
  case logitLaplace(Int, target: Int, ofEach: Bool)
  case logitLaplaceBackward(Int, target: Int, scale: ScalarOperand)
  /// Results: parameters, first moment, second moment, average.
  case adamW(
    parameters: Int, gradients: Int, firstMoment: Int, secondMoment: Int, average: Int,
    RecordedAdamW)
  case sumOfSquares(Int)

  // Operations that `Engine` does not have.

  /// Results: tokens, the largest logit minus each token's, ln q; `count` per position.
  case rank(Int, count: Int)
  /// (x / 255) · scale + offset, of bytes.
  case mapPixels(Int, scale: Float, offset: Float)
  /// The byte of (sigmoid(μ) − offset) / scale, clamped and truncated; μ is the first half of the
  /// channels.
  case pictures(Int, scale: Float, offset: Float)
  /// The sum over all replicas.
  case allReduce(Int)
  case combine(ScalarFunction, ScalarOperand, ScalarOperand)
  case squareRoot(ScalarOperand)
  /// `new` if a number is finite, else `old`.
  case whereFinite(ScalarOperand, new: Int, old: Int)
  /// One element of an item.
  case element(of: Int, at: Int)
  /// A vector of numbers.
  case vector([ScalarOperand])
  /// Zeros of these extents.
  case zeros([Int])
}

/// An `AdamWStep` over operands.
struct RecordedAdamW: Hashable, Sendable {
  var learningRate, gradientScale, correction1, correction2: ScalarOperand
  var beta1, beta2, epsilon, weightDecay, averageDecay: Float

  init(_ step: AdamWStep<RecordedScalar>) {
    learningRate = step.learningRate.operand
    gradientScale = step.gradientScale.operand
    correction1 = step.correction1.operand
    correction2 = step.correction2.operand
    beta1 = step.beta1
    beta2 = step.beta2
    epsilon = step.epsilon
    weightDecay = step.weightDecay
    averageDecay = step.averageDecay
  }
}

/// An operand that is a number.
enum ScalarOperand: Hashable, Sendable {
  case constant(Double)
  case item(Int)
}

/// A function of two numbers, with its name in StableHLO.
enum ScalarFunction: String, Hashable, Sendable {
  case sum = "add"
  case product = "multiply"
  case quotient = "divide"
  case minimum
}
