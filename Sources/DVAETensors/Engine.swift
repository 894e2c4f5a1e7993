/// The closed list of operations from which the dVAE is built.
///
/// The model is written once over this list. A `HostEngine` computes each operation when it is
/// called; a recording engine writes the operation down, and the recording becomes a program for an
/// accelerator or an ONNX file.
///
/// Each operation stands beside its backward operation, with the same stem and the same letters:
/// `x` is the input, `y` the output, `dx` and `dy` the loss's derivatives by them. All activations
/// are [N, H, W, C] float32. `ReferenceEngine` defines every operation; other engines agree with it
/// within the rounding of their sums and give the same bits for any number of threads. Mismatched
/// shapes are programming errors and trap with both shapes.
package protocol Engine: Sendable {
  /// An activation: a tensor, or a node of a recorded program.
  associatedtype Value: EngineValue
  /// A sum over all elements, or a number that a schedule sets for each update.
  associatedtype Scalar: EngineScalar
  /// Storage that operations read and write: a parameter, its gradient, its moments.
  associatedtype Variable: Sendable
  /// One token for each position, row-major.
  associatedtype Tokens: Sendable
  /// A convolution's weights and bias in the engine's own layout.
  associatedtype Filter: Sendable

  /// The engine and its hardware, for provenance and benchmarks: `cpu avx512 2 threads`.
  var name: String { get }

  /// The engine with float32 factors; itself, unless it rounds factors.
  var exact: Self { get }

  /// The engine for the layers beside the relaxation, whose factors keep at least 16 binary digits; itself,
  /// unless it rounds factors.
  var fine: Self { get }

  // MARK: Convolution

  /// Prepares the weights (OIHW) and bias ([O]) of a convolution; the engine may copy or keep them.
  func makeFilter(
    _ shape: ConvolutionShape, weights: Variable, bias: Variable, uses: FilterUses
  ) -> Filter

  /// y[n,h,w,o] = epilogue(Σ_{i,r,c} x[n, h+r−p, w+c−p, i] · w[o,i,r,c] + b[o]), p = (kernel − 1)/2.
  ///
  /// - Parameters:
  ///   - x: [N, H, W, I]
  ///   - filter: prepared for `.forward`
  ///   - reluInput: whether to read max(x, 0) instead of x
  ///   - epilogue: the operations on each sum
  /// - Returns: [N, H, W, O]
  func convolution(_ x: Value, _ filter: Filter, reluInput: Bool, epilogue: Epilogue<Value>)
    -> Value

  /// `maxPool2x2` of `convolution`, for inference: engines need not store what is pooled. [N, H/2, W/2, O]
  func pooledConvolution(
    _ x: Value, _ filter: Filter, reluInput: Bool, epilogue: Epilogue<Value>
  ) -> Value

  /// dx of `convolution` before its epilogue: dx = epilogue(Σ dy · flipped w), without a bias.
  ///
  /// - Parameters:
  ///   - dy: [N, H, W, O]
  ///   - filter: prepared for `.backwardInput`
  ///   - epilogue: mask, gain and skip serve the ReLU before the convolution, the residual gain
  ///     and the gradient that comes along the skip
  /// - Returns: [N, H, W, I]
  func convolutionBackwardInput(_ dy: Value, _ filter: Filter, epilogue: Epilogue<Value>) -> Value

  /// Adds scale·dw and scale·db of `convolution` to the gradients.
  ///
  /// - Parameters:
  ///   - x: [N, H, W, I], the input of the forward pass
  ///   - dy: [N, H, W, O]
  ///   - shape: the convolution's shape
  ///   - reluInput: whether the forward pass read max(x, 0)
  ///   - scale: multiplies both gradients (the residual gain)
  ///   - dWeights: OIHW, added to
  ///   - dBias: [O], added to
  func convolutionBackwardWeights(
    _ x: Value, _ dy: Value, _ shape: ConvolutionShape, reluInput: Bool, scale: Float,
    dWeights: Variable, dBias: Variable)

  /// argmax_o of a 1×1 convolution without storing the logits; of equal ones the lower o wins.
  ///
  /// - Returns: one token in 0..<O for each position, row-major over [N, H, W].
  func argmaxConvolution(_ x: Value, _ filter: Filter, reluInput: Bool) -> Tokens

  /// argmax_k of logits; of equal ones the lower k wins.
  ///
  /// - Parameter logits: [N, H, W, K]
  /// - Returns: one token in 0..<K for each position, row-major over [N, H, W].
  func argmaxChannels(_ logits: Value) -> Tokens

  /// A 1×1 convolution of one-hot vectors by table lookup: y[p, o] = w[o, tokens[p]] + b[o].
  ///
  /// - Parameters:
  ///   - tokens: N·H·W values in 0..<I, row-major
  ///   - filter: prepared for `.gather`
  ///   - shape: [N, H, W, O], of the result
  /// - Returns: [N, H, W, O]
  func gatherColumns(_ tokens: Tokens, _ filter: Filter, shape: Shape) -> Value

  // MARK: Resampling

  /// y[n,h,w,c] = max over the 2×2 cell; odd last rows and columns are dropped. [N, H/2, W/2, C]
  func maxPool2x2(_ x: Value) -> Value

  /// Sends each dy to the first largest element of its cell, in row-major order. [N, H, W, C] as x.
  func maxPool2x2Backward(_ dy: Value, _ x: Value) -> Value

  /// y[n, 2h+a, 2w+b, c] = x[n,h,w,c]. [N, 2H, 2W, C]
  func upsampleNearest2x(_ x: Value) -> Value

  /// Sums dy over each 2×2 cell. [N, H, W, C]
  func upsampleNearest2xBackward(_ dy: Value) -> Value

  // MARK: Elementwise

  /// max(x, 0).
  func relu(_ x: Value) -> Value

  /// dy where x > 0, else 0.
  func reluBackward(_ dy: Value, _ x: Value) -> Value

  /// y = x + gain·r, both of one shape.
  func addScaled(_ x: Value, _ r: Value, gain: Float) -> Value

  /// 1 / (1 + e^−x).
  func sigmoid(_ x: Value) -> Value

  // MARK: The bottleneck (DALL·E paper §2.1, A.2)

  /// q = softmax over channels, [N, H, W, K].
  func softmaxChannels(_ logits: Value) -> Value

  /// Returns the relaxed sample softmax((ℓ + g)/τ), g = −ln(−ln u), for each position. [N, H, W, K]
  func gumbelSoftmax(_ logits: Value, noise: GumbelNoise<Value>, temperature: Scalar) -> Value

  /// Σ over positions of KL(softmax(ℓ) ‖ uniform) = Σ_k q_k (ln q_k + ln K), in nats.
  func klToUniform(_ logits: Value) -> Scalar

  /// dℓ through the relaxed sample and the KL at once, which reads the wide tensors only once:
  /// dℓ = y⊙(dy − Σ_k dy·y)/τ + klScale · q⊙(ln q − Σ_k q·ln q).
  ///
  /// - Parameters:
  ///   - dy: derivative by the relaxed sample, [N, H, W, K]; the result may take its memory
  ///   - y: the relaxed sample
  ///   - logits: ℓ
  ///   - temperature: τ of the forward pass
  ///   - klScale: derivative of the loss by the sum that `klToUniform` returns
  /// - Returns: dℓ, [N, H, W, K]
  func gumbelSoftmaxBackward(
    _ dy: consuming Value, y: Value, logits: Value, temperature: Scalar, klScale: Scalar
  ) -> Value

  // MARK: The likelihood (A.3)

  /// Σ over pixels and channels of −ln f(x | μ, b), the logit-Laplace density.
  ///
  /// −ln f = ln 2 + s + ln x + ln(1−x) + |logit x − μ|·e^−s.
  /// - Parameters:
  ///   - statistics: [N, H, W, 2C], first μ of each colour, then s = ln b
  ///   - target: mapped pixels in (0, 1), [N, H, W, C]
  /// - Returns: the sum, in nats
  func logitLaplaceLoss(_ statistics: Value, target: Value) -> Scalar

  /// scale·d(loss)/d(statistics): ∂/∂μ = −sign(logit x − μ)·e^−s, ∂/∂s = 1 − |logit x − μ|·e^−s.
  func logitLaplaceLossBackward(_ statistics: Value, target: Value, scale: Scalar) -> Value

  // MARK: The optimizer (A.2)

  /// One AdamW update and the exponential moving average, over flat arenas of one length.
  ///
  /// m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²; p ← p − lr·(λp + m̂/(√v̂ + ε)); a ← γa + (1−γ)p.
  func adamWStep(
    parameters: Variable, gradients: Variable, firstMoment: Variable,
    secondMoment: Variable, average: Variable, _ step: AdamWStep<Scalar>)

  /// Σ x², accumulated in double in an order that depends on the length alone.
  func sumOfSquares(_ x: Variable) -> Scalar
}

/// An activation with a known shape.
package protocol EngineValue: Sendable {
  /// The shape, [N, H, W, C].
  var shape: Shape { get }
}

extension Tensor: EngineValue {}

/// The arithmetic on single numbers between the operations.
package protocol EngineScalar: Sendable {
  /// Makes a constant.
  init(_ constant: Double)
  /// Returns the sum.
  static func + (a: Self, b: Self) -> Self
  /// Returns the product.
  static func * (a: Self, b: Self) -> Self
  /// Returns the quotient.
  static func / (a: Self, b: Self) -> Self
  /// Returns the square root.
  func squareRoot() -> Self
  /// Returns the smaller of two.
  static func minimum(_ a: Self, _ b: Self) -> Self
}

extension Double: EngineScalar {}

/// An engine that computes each operation when it is called, on numbers in this process's memory.
package protocol HostEngine: Engine
where Value == Tensor, Scalar == Double, Variable == TensorSlice, Tokens == [Int32] {
  /// Returns a tensor of undefined contents, recycled if possible.
  func makeTensor(_ shape: Shape) -> Tensor
}

extension Engine {
  /// This engine.
  package var exact: Self { self }
  /// This engine.
  package var fine: Self { self }

  /// Convolves, then pools.
  package func pooledConvolution(
    _ x: Value, _ filter: Filter, reluInput: Bool, epilogue: Epilogue<Value>
  ) -> Value {
    maxPool2x2(convolution(x, filter, reluInput: reluInput, epilogue: epilogue))
  }
}

extension HostEngine {
  package func argmaxChannels(_ logits: Tensor) -> [Int32] {
    let channels = logits.shape.channels
    return (0..<logits.shape.positions).map { position in
      let row = logits.pointer + position * channels
      var best = 0
      for k in 0..<channels where row[k] > row[best] { best = k }
      return Int32(best)
    }
  }
}

/// The source of the Gumbel noise's uniform numbers.
package enum GumbelNoise<Value: Sendable>: Sendable {
  /// Given numbers in (0, 1), of the logits' shape: for tests against an oracle.
  case uniform(Value)
  /// Element i of the logits uses, with j = first + i, 32-bit word j mod 4 of Philox block ⌊j/4⌋ of
  /// this stream (`SeededGenerator`). The noise is independent of threads and never stored.
  ///
  /// If the logits are part of a batch, `first` is the index of their first element in the batch;
  /// the noise is then independent of the partition.
  case seeded(seed: UInt64, stream: UInt64, first: UInt64 = 0)
}

/// The hyperparameters of one AdamW update.
package struct AdamWStep<Scalar: EngineScalar>: Sendable {
  /// lr, after the schedule.
  package var learningRate: Scalar
  /// β₁ of the first moment.
  package var beta1: Float
  /// β₂ of the second moment.
  package var beta2: Float
  /// ε, added to √v̂.
  package var epsilon: Float
  /// λ, decoupled: p loses lr·λ·p.
  package var weightDecay: Float
  /// γ of the exponential moving average.
  package var averageDecay: Float
  /// The factor of every gradient, for clipping and accumulation.
  package var gradientScale: Scalar
  /// 1 − β₁ᵗ for update t = 1, 2, …: the bias correction of the first moment.
  package var correction1: Scalar
  /// 1 − β₂ᵗ: the bias correction of the second moment.
  package var correction2: Scalar

  /// Makes a step; the defaults are the paper's (A.2).
  package init(
    learningRate: Scalar, beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-8,
    weightDecay: Float = 1e-4, averageDecay: Float = 0.999, gradientScale: Scalar = Scalar(1),
    correction1: Scalar, correction2: Scalar
  ) {
    self.learningRate = learningRate
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.weightDecay = weightDecay
    self.averageDecay = averageDecay
    self.gradientScale = gradientScale
    self.correction1 = correction1
    self.correction2 = correction2
  }
}

extension AdamWStep where Scalar == Double {
  /// Makes the step of update `count` = 1, 2, …, with its bias corrections.
  package init(
    learningRate: Float, beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-8,
    weightDecay: Float = 1e-4, averageDecay: Float = 0.999, gradientScale: Float = 1, count: Int
  ) {
    self.init(
      learningRate: Double(learningRate), beta1: beta1, beta2: beta2, epsilon: epsilon,
      weightDecay: weightDecay, averageDecay: averageDecay, gradientScale: Double(gradientScale),
      correction1: 1 - power(Double(beta1), Double(count)),
      correction2: 1 - power(Double(beta2), Double(count)))
  }
}
