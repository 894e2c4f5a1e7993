public import DVAETensors

/// Images to tokens, on an engine.
public struct ImageEncoder<E: Engine>: Sendable {
  /// The numbers that fix the layers.
  public let architecture: Architecture
  /// What the encoder computes with.
  public let engine: E
  let network: Network<E>

  /// Prepares the encoder's filters.
  ///
  /// - Parameters:
  ///   - architecture: that the parameters belong to
  ///   - parameters: with all of the encoder's
  ///   - engine: what to compute with
  ///   - purpose: `.training` to call `backward`
  public init(
    _ architecture: Architecture, parameters: ParameterSet, engine: E,
    for purpose: NetworkPurpose = .inference
  ) {
    self.architecture = architecture
    self.engine = engine
    network = Network(architecture.encoder, parameters, engine, for: purpose)
  }

  /// The logits of every token at every position.
  ///
  /// - Parameter x: mapped pixels, [N, H, W, inputChannels]; H and W multiples of 8
  /// - Returns: [N, H/8, W/8, vocabulary]
  /// - Throws: `ModelInputError` for another shape
  public func logits(_ x: Tensor) throws(ModelInputError) -> Tensor {
    try check(x)
    var nothing = Activations.none
    return network.forward(x, through: network.stages.indices, keeping: &nothing)
  }

  /// The most likely token at every position, the first of equals.
  ///
  /// - Parameter x: mapped pixels, [N, H, W, inputChannels]; H and W multiples of 8
  /// - Returns: N·(H/8)·(W/8) tokens in 0..<vocabulary, row-major
  /// - Throws: `ModelInputError` for another shape
  public func tokens(_ x: Tensor) throws(ModelInputError) -> [Int32] {
    try check(x)
    // The last layer's logits are never written: its maximum is taken as they are made.
    let last = network.stages.count - 1
    guard case .convolution(let output) = network.stages[last] else { return [] }
    var nothing = Activations.none
    let features = network.forward(x, through: 0..<last, keeping: &nothing)
    return engine.argmaxConvolution(features, output.filter, reluInput: output.reluInput)
  }

  /// What the last layer reads: the last block's output after its ReLU.
  ///
  /// - Parameter x: mapped pixels, [N, H, W, inputChannels]; H and W multiples of 8
  /// - Returns: [N, H/8, W/8, 8·hidden]
  /// - Throws: `ModelInputError` for another shape
  package func features(_ x: Tensor) throws(ModelInputError) -> Tensor {
    try check(x)
    var nothing = Activations.none
    return engine.relu(
      network.forward(x, through: 0..<network.stages.count - 1, keeping: &nothing))
  }

  /// The first largest logit at every position.
  ///
  /// - Parameter logits: [N, h, w, vocabulary]
  /// - Returns: N·h·w tokens, row-major
  public static func tokens(ofLogits logits: Tensor) -> [Int32] {
    let channels = logits.shape.channels
    return (0..<logits.shape.positions).map { position in
      let row = logits.pointer + position * channels
      var best = 0
      for k in 0..<channels where row[k] > row[best] { best = k }
      return Int32(best)
    }
  }

  /// `logits` that also keeps what `backward` needs.
  ///
  /// - Parameters:
  ///   - x: mapped pixels, [N, H, W, inputChannels]
  ///   - activations: to keep on
  /// - Returns: [N, H/8, W/8, vocabulary]
  public func forward(_ x: Tensor, keeping activations: inout Activations) -> Tensor {
    network.forward(x, through: network.stages.indices, keeping: &activations)
  }

  /// Adds the derivatives by the parameters to the gradients; none by the image is made.
  ///
  /// - Parameters:
  ///   - dy: derivative by the logits
  ///   - activations: kept by `forward`; emptied on the way
  ///   - gradients: of the parameters' shapes; a layer that is not in it is frozen
  public func backward(
    _ dy: consuming Tensor, _ activations: inout Activations, gradients: ParameterSet
  ) {
    _ = network.backward(dy, &activations, gradients, needsInput: false)
  }

  func check(_ x: Tensor) throws(ModelInputError) {
    try architecture.checkEncoderInput(x.shape)
  }
}

/// Why a model cannot take an input.
public enum ModelInputError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The image has other channels than the model, or a side that is no multiple of 8.
  case imageShape(Shape, channels: Int)
  /// There are more or fewer tokens than the grid has positions.
  case tokenCount(Int, grid: Shape)
  /// A token is outside of the vocabulary.
  case token(Int32, position: Int, vocabulary: Int)
  /// The soft tokens have another number of channels than the vocabulary, or no position.
  case softTokens(Shape, vocabulary: Int)

  /// One line for people.
  public var description: String {
    switch self {
    case .imageShape(let shape, let channels):
      "expected images of \(channels) channels with sides that are multiples of 8, found "
        + "[N, H, W, C] = \(shape); crop or resize them"
    case .tokenCount(let count, let grid):
      "expected \(grid.positions) tokens for \(grid.batch) × \(grid.height) × \(grid.width) "
        + "positions, found \(count)"
    case .token(let token, let position, let vocabulary):
      "token \(token) at position \(position) is outside of the vocabulary 0..<\(vocabulary); "
        + "were these tokens made by this model?"
    case .softTokens(let shape, let vocabulary):
      "expected soft tokens of \(vocabulary) channels, found [N, h, w, K] = \(shape)"
    }
  }
}
