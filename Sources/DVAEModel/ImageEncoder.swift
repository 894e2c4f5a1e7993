package import DVAEFiles
package import DVAETensors

/// The encoder on an engine: images to tokens.
package struct ImageEncoder<E: Engine>: Sendable {
  /// The model's hyperparameters.
  package let architecture: Architecture
  /// The engine that computes.
  package let engine: E
  let network: Network<Convolution<E>>

  /// Prepares the encoder's filters.
  ///
  /// - Parameters:
  ///   - architecture: the parameters' architecture
  ///   - parameters: all of the encoder's parameters
  ///   - engine: the engine to compute with
  ///   - purpose: `.training` to call `backward`
  package init(
    _ architecture: Architecture, parameters: Parameters<E.Variable>, engine: E,
    for purpose: NetworkPurpose = .inference
  ) {
    self.architecture = architecture
    self.engine = engine
    network = Network(architecture.encoder, parameters, engine, for: purpose)
  }

  /// Returns the logits of every token at every position.
  ///
  /// - Parameter x: mapped pixels, [N, H, W, inputChannels]; H and W multiples of 8
  /// - Returns: [N, H/8, W/8, vocabulary]
  /// - Throws: `DVAEError` for another shape
  package func logits(_ x: E.Value) throws(DVAEError) -> E.Value {
    try check(x)
    var nothing = Activations<E.Value>.none
    return network.forward(x, keeping: &nothing)
  }

  /// Returns the most likely token of every position; of equal logits the lower token wins.
  ///
  /// - Parameter x: mapped pixels, [N, H, W, inputChannels]; H and W multiples of 8
  /// - Returns: N·(H/8)·(W/8) tokens in 0..<vocabulary, row-major
  /// - Throws: `DVAEError` for another shape
  package func tokens(_ x: E.Value) throws(DVAEError) -> E.Tokens {
    try check(x)
    // The last layer takes its maximum on the fly; the logits are never stored.
    let output = network.output
    return engine.argmaxConvolution(
      network.features(x), output.filter, reluInput: output.reluInput)
  }

  /// Returns the last layer's input: the last block's output after its ReLU.
  ///
  /// - Parameter x: mapped pixels, [N, H, W, inputChannels]; H and W multiples of 8
  /// - Returns: [N, H/8, W/8, 8·hidden]
  /// - Throws: `DVAEError` for another shape
  package func features(_ x: E.Value) throws(DVAEError) -> E.Value {
    try check(x)
    return engine.relu(network.features(x))
  }

  /// `logits` that also keeps what `backward` needs.
  ///
  /// - Parameters:
  ///   - x: mapped pixels, [N, H, W, inputChannels]
  ///   - activations: the stack to push on
  /// - Returns: [N, H/8, W/8, vocabulary]
  package func forward(
    _ x: E.Value, keeping activations: inout Activations<E.Value>
  ) -> E.Value {
    network.forward(x, keeping: &activations)
  }

  /// Adds the parameters' derivatives to the gradients; the image's derivative is not computed.
  ///
  /// - Parameters:
  ///   - dy: derivative by the logits
  ///   - activations: kept by `forward`; consumed
  ///   - gradients: in the parameters' shapes; a layer that is missing from it is frozen
  package func backward(
    _ dy: consuming E.Value, _ activations: inout Activations<E.Value>,
    gradients: Parameters<E.Variable>
  ) {
    _ = network.backward(dy, &activations, gradients, needsInput: false)
  }

  func check(_ x: E.Value) throws(DVAEError) {
    try architecture.checkEncoderInput(x.shape)
  }
}
