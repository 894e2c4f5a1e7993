package import DVAEFiles
package import DVAETensors

/// Images to tokens, on an engine.
package struct ImageEncoder<E: Engine>: Sendable {
  /// The numbers that fix the layers.
  package let architecture: Architecture
  /// What the encoder computes with.
  package let engine: E
  let network: Network<E>

  /// Prepares the encoder's filters.
  ///
  /// - Parameters:
  ///   - architecture: that the parameters belong to
  ///   - parameters: with all of the encoder's
  ///   - engine: what to compute with
  ///   - purpose: `.training` to call `backward`
  package init(
    _ architecture: Architecture, parameters: Parameters<E.Variable>, engine: E,
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
  /// - Throws: `DVAEError` for another shape
  package func logits(_ x: E.Value) throws(DVAEError) -> E.Value {
    try check(x)
    var nothing = Activations<E.Value>.none
    return network.forward(x, keeping: &nothing)
  }

  /// The most likely token at every position, the first of equals.
  ///
  /// - Parameter x: mapped pixels, [N, H, W, inputChannels]; H and W multiples of 8
  /// - Returns: N·(H/8)·(W/8) tokens in 0..<vocabulary, row-major
  /// - Throws: `DVAEError` for another shape
  package func tokens(_ x: E.Value) throws(DVAEError) -> E.Tokens {
    try check(x)
    // The last layer's logits are never written: its maximum is taken as they are made.
    let output = network.output
    return engine.argmaxConvolution(
      network.features(x), output.filter, reluInput: output.reluInput)
  }

  /// What the last layer reads: the last block's output after its ReLU.
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
  ///   - activations: to keep on
  /// - Returns: [N, H/8, W/8, vocabulary]
  package func forward(
    _ x: E.Value, keeping activations: inout Activations<E.Value>
  ) -> E.Value {
    network.forward(x, keeping: &activations)
  }

  /// Adds the derivatives by the parameters to the gradients; none by the image is made.
  ///
  /// - Parameters:
  ///   - dy: derivative by the logits
  ///   - activations: kept by `forward`; emptied on the way
  ///   - gradients: of the parameters' shapes; a layer that is not in it is frozen
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
