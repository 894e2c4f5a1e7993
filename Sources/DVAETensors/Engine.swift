/// The closed list of operations that the dVAE is made of.
///
/// Each operation stands beside its backward half, under the same stem and with the same letters:
/// `x` is what it reads, `y` what it makes, `dx` and `dy` the loss's derivatives by them. All
/// activations are [N, H, W, C] float32. `ReferenceEngine` defines what every operation means;
/// any other engine agrees with it within the rounding of its sums, and gives the same bits for
/// any number of threads. Shapes that do not fit are the caller's mistake and trap with both shapes.
public protocol Engine: Sendable {
  /// A convolution's weights and bias in the engine's own layout.
  associatedtype Filter: Sendable

  /// What the engine is and runs on, for provenance and benchmarks: `cpu avx512 2 threads`.
  var name: String { get }

  /// A tensor of undefined contents, recycled where possible.
  func makeTensor(_ shape: Shape) -> Tensor

  // MARK: Convolution

  /// Prepares the weights (OIHW) and bias ([O]) of a convolution; the engine may copy or keep them.
  func makeFilter(
    _ shape: ConvolutionShape, weights: TensorSlice, bias: TensorSlice, uses: FilterUses
  ) -> Filter

  /// y[n,h,w,o] = epilogue(Σ_{i,r,c} x[n, h+r−p, w+c−p, i] · w[o,i,r,c] + b[o]), p = (kernel − 1)/2.
  ///
  /// - Parameters:
  ///   - x: [N, H, W, I]
  ///   - filter: prepared for `.forward`
  ///   - reluInput: reads max(x, 0) in x's place
  ///   - epilogue: what happens to each sum
  /// - Returns: [N, H, W, O]
  func convolution(_ x: Tensor, _ filter: Filter, reluInput: Bool, epilogue: Epilogue) -> Tensor

  /// dx of `convolution` before its epilogue: dx = epilogue(Σ dy · flipped w), without a bias.
  ///
  /// - Parameters:
  ///   - dy: [N, H, W, O]
  ///   - filter: prepared for `.backwardInput`
  ///   - epilogue: mask, gain and skip serve the ReLU before the convolution, the residual gain
  ///     and the gradient that comes along the skip
  /// - Returns: [N, H, W, I]
  func convolutionBackwardInput(_ dy: Tensor, _ filter: Filter, epilogue: Epilogue) -> Tensor

  /// Adds scale·dw and scale·db of `convolution` to the gradients.
  ///
  /// - Parameters:
  ///   - x: [N, H, W, I], as the forward half read it
  ///   - dy: [N, H, W, O]
  ///   - shape: of the convolution
  ///   - reluInput: the forward half read max(x, 0)
  ///   - scale: multiplies both gradients (the residual gain)
  ///   - dWeights: OIHW, added to
  ///   - dBias: [O], added to
  func convolutionBackwardWeights(
    _ x: Tensor, _ dy: Tensor, _ shape: ConvolutionShape, reluInput: Bool, scale: Float,
    dWeights: TensorSlice, dBias: TensorSlice)

  /// argmax_o of a 1×1 convolution, the first of equals, without ever storing the logits.
  ///
  /// - Returns: one token in 0..<O for each position, row-major over [N, H, W].
  func argmaxConvolution(_ x: Tensor, _ filter: Filter, reluInput: Bool) -> [Int32]

  /// A 1×1 convolution of one-hot vectors by table lookup: y[p, o] = w[o, tokens[p]] + b[o].
  ///
  /// - Parameters:
  ///   - tokens: N·H·W values in 0..<I, row-major
  ///   - filter: prepared for `.gather`
  ///   - shape: [N, H, W, O], of the result
  /// - Returns: [N, H, W, O]
  func gatherColumns(_ tokens: [Int32], _ filter: Filter, shape: Shape) -> Tensor

  // MARK: Resampling

  /// y[n,h,w,c] = max over the 2×2 cell; odd last rows and columns are dropped. [N, H/2, W/2, C]
  func maxPool2x2(_ x: Tensor) -> Tensor

  /// Sends each dy to the first largest element of its cell, in row-major order. [N, H, W, C] as x.
  func maxPool2x2Backward(_ dy: Tensor, _ x: Tensor) -> Tensor

  /// y[n, 2h+a, 2w+b, c] = x[n,h,w,c]. [N, 2H, 2W, C]
  func upsampleNearest2x(_ x: Tensor) -> Tensor

  /// Sums dy over each 2×2 cell. [N, H, W, C]
  func upsampleNearest2xBackward(_ dy: Tensor) -> Tensor

  // MARK: Elementwise

  /// max(x, 0).
  func relu(_ x: Tensor) -> Tensor

  /// dy where x > 0, else 0.
  func reluBackward(_ dy: Tensor, _ x: Tensor) -> Tensor

  /// y = x + gain·r, both of one shape.
  func addScaled(_ x: Tensor, _ r: Tensor, gain: Float) -> Tensor

  /// 1 / (1 + e^−x).
  func sigmoid(_ x: Tensor) -> Tensor

  // MARK: The bottleneck (DALL·E paper §2.1, A.2)

  /// q = softmax over channels, [N, H, W, K].
  func softmaxChannels(_ logits: Tensor) -> Tensor

  /// The relaxed sample softmax((ℓ + g)/τ), g = −ln(−ln u), for each position. [N, H, W, K]
  func gumbelSoftmax(_ logits: Tensor, noise: GumbelNoise, temperature: Float) -> Tensor

  /// Σ over positions of KL(softmax(ℓ) ‖ uniform) = Σ_k q_k (ln q_k + ln K), in nats.
  func klToUniform(_ logits: Tensor) -> Double

  /// dℓ of both consumers of the logits at once, so that the wide tensors are passed over once:
  /// dℓ = y⊙(dy − Σ_k dy·y)/τ + klScale · q⊙(ln q − Σ_k q·ln q).
  ///
  /// - Parameters:
  ///   - dy: derivative by the relaxed sample, [N, H, W, K]; **overwritten** with the result
  ///   - y: the relaxed sample
  ///   - logits: ℓ
  ///   - temperature: τ of the forward half
  ///   - klScale: derivative of the loss by the sum that `klToUniform` returns
  func gumbelSoftmaxBackward(
    _ dy: Tensor, y: Tensor, logits: Tensor, temperature: Float, klScale: Float)

  // MARK: The likelihood (A.3)

  /// Σ over pixels and channels of −ln f(x | μ, b), the logit-Laplace density.
  ///
  /// −ln f = ln 2 + s + ln x + ln(1−x) + |logit x − μ|·e^−s.
  /// - Parameters:
  ///   - statistics: [N, H, W, 2C], first μ of each colour, then s = ln b
  ///   - target: mapped pixels in (0, 1), [N, H, W, C]
  /// - Returns: the sum, in nats
  func logitLaplaceLoss(_ statistics: Tensor, target: Tensor) -> Double

  /// scale·d(loss)/d(statistics): ∂/∂μ = −sign(logit x − μ)·e^−s, ∂/∂s = 1 − |logit x − μ|·e^−s.
  func logitLaplaceLossBackward(_ statistics: Tensor, target: Tensor, scale: Float) -> Tensor

  // MARK: The optimizer (A.2)

  /// One AdamW update and the exponential moving average, over flat arenas of one length.
  ///
  /// m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²; p ← p − lr·(λp + m̂/(√v̂ + ε)); a ← γa + (1−γ)p.
  func adamWStep(
    parameters: TensorSlice, gradients: TensorSlice, firstMoment: TensorSlice,
    secondMoment: TensorSlice, average: TensorSlice, _ step: AdamWStep)

  /// Σ x², accumulated in double in an order that depends on the length alone.
  func sumOfSquares(_ x: TensorSlice) -> Double
}

/// Where the uniform numbers of the Gumbel noise come from.
public enum GumbelNoise: Sendable {
  /// Given numbers in (0, 1), of the logits' shape: for tests against an oracle.
  case uniform(Tensor)
  /// Element i of the logits uses, with j = first + i, 32-bit word j mod 4 of Philox block ⌊j/4⌋ of
  /// this stream (`SeededGenerator`), so it does not depend on threads and is never stored.
  ///
  /// Where the logits are a part of a batch, `first` is the element of the batch that they begin
  /// with: then the noise does not depend on the partition.
  case seeded(seed: UInt64, stream: UInt64, first: UInt64 = 0)
}

/// The numbers of one AdamW update.
public struct AdamWStep: Hashable, Sendable {
  /// lr, after the schedule.
  public var learningRate: Float
  /// β₁ of the first moment.
  public var beta1: Float
  /// β₂ of the second moment.
  public var beta2: Float
  /// ε, added to √v̂.
  public var epsilon: Float
  /// λ, decoupled: p loses lr·λ·p.
  public var weightDecay: Float
  /// γ of the exponential moving average.
  public var averageDecay: Float
  /// Multiplies every gradient first: clipping and accumulation.
  public var gradientScale: Float
  /// Updates done, this one included: 1, 2, … for the bias corrections 1 − βᵗ.
  public var count: Int

  /// Makes a step; the defaults are the paper's (A.2).
  public init(
    learningRate: Float, beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-8,
    weightDecay: Float = 1e-4, averageDecay: Float = 0.999, gradientScale: Float = 1, count: Int
  ) {
    self.learningRate = learningRate
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.weightDecay = weightDecay
    self.averageDecay = averageDecay
    self.gradientScale = gradientScale
    self.count = count
  }
}
