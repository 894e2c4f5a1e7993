package import DVAEFiles
package import DVAETensors

/// The decoder on an engine: tokens to the statistics of an image.
///
/// Of the statistics' 2·outputChannels channels the first half is μ of each colour, the second
/// s = ln b (DALL·E paper A.3). A picture is φ⁻¹(sigmoid(μ)).
package struct ImageDecoder<E: Engine>: Sendable {
  /// The model's hyperparameters.
  package let architecture: Architecture
  /// The engine that computes.
  package let engine: E
  private let network: Network<Convolution<E>>

  /// Prepares the decoder's filters.
  ///
  /// - Parameters:
  ///   - architecture: the parameters' architecture
  ///   - parameters: all of the decoder's parameters
  ///   - engine: the engine that computes
  ///   - purpose: `.training` to call `backward`
  package init(
    _ architecture: Architecture, parameters: Parameters<E.Variable>, engine: E,
    for purpose: NetworkPurpose = .inference
  ) {
    self.architecture = architecture
    self.engine = engine
    network = Network(architecture.decoder, parameters, engine, for: purpose)
  }

  /// Decodes hard tokens to the statistics of images.
  ///
  /// - Parameters:
  ///   - tokens: batch·height·width values in 0..<vocabulary, row-major
  ///   - batch: images
  ///   - height: rows of tokens
  ///   - width: columns of tokens
  /// - Returns: [batch, 8·height, 8·width, 2·outputChannels]
  /// - Throws: `DVAEError` if the number of tokens is wrong or a token is outside the vocabulary
  package func statistics(
    tokens: [Int32], batch: Int = 1, height: Int, width: Int
  ) throws(DVAEError) -> Tensor where E: HostEngine {
    let grid = Shape(batch, height, width, architecture.initial)
    guard tokens.count == grid.positions else {
      throw .tokenCount(tokens.count, grid: grid)
    }
    let vocabulary = architecture.vocabulary
    if let position = tokens.firstIndex(where: { !(0..<Int32(vocabulary)).contains($0) }) {
      throw .token(tokens[position], position: position, vocabulary: vocabulary)
    }
    return statistics(ofValid: tokens, batch: batch, height: height, width: width)
  }

  /// Decodes hard tokens on the device to the statistics of images.
  ///
  /// - Parameters:
  ///   - tokens: batch·height·width values; all must be in 0..<vocabulary
  ///   - batch: images
  ///   - height: rows of tokens
  ///   - width: columns of tokens
  /// - Returns: [batch, 8·height, 8·width, 2·outputChannels]
  package func statistics(
    ofValid tokens: E.Tokens, batch: Int, height: Int, width: Int
  ) -> E.Value {
    network.forward(
      afterInput: engine.gatherColumns(
        tokens, network.input.filter,
        shape: Shape(batch, height, width, architecture.initial)))
  }

  /// Decodes distributions over the vocabulary to the statistics of images.
  ///
  /// - Parameter soft: [N, h, w, vocabulary]
  /// - Returns: [N, 8h, 8w, 2·outputChannels]
  /// - Throws: `DVAEError` if the number of channels is wrong
  package func statistics(soft: E.Value) throws(DVAEError) -> E.Value {
    guard soft.shape.channels == architecture.vocabulary, soft.shape.positions > 0 else {
      throw .softTokens(soft.shape, vocabulary: architecture.vocabulary)
    }
    var nothing = Activations<E.Value>.none
    return network.forward(soft, keeping: &nothing)
  }

  /// `statistics(soft:)` that also keeps what `backward` needs.
  ///
  /// - Parameters:
  ///   - soft: [N, h, w, vocabulary]
  ///   - activations: the stack to push on
  /// - Returns: [N, 8h, 8w, 2·outputChannels]
  package func forward(
    _ soft: E.Value, keeping activations: inout Activations<E.Value>
  ) -> E.Value {
    network.forward(soft, keeping: &activations)
  }

  /// Adds the parameters' derivatives to the gradients and returns the soft tokens' derivative.
  ///
  /// - Parameters:
  ///   - dy: derivative by the statistics
  ///   - activations: kept by `forward`; consumed
  ///   - gradients: in the parameters' shapes; a layer that is missing from it is frozen
  ///   - needsInput: whether the result is needed
  /// - Returns: derivative by the soft tokens, [N, h, w, vocabulary]; nil if not needed
  package func backward(
    _ dy: consuming E.Value, _ activations: inout Activations<E.Value>,
    gradients: Parameters<E.Variable>, needsInput: Bool = true
  ) -> E.Value? {
    network.backward(dy, &activations, gradients, needsInput: needsInput)
  }
}

extension HostEngine {
  /// Returns the median of the model's distribution of each colour, sigmoid(μ): mapped pixels
  /// [N, H, W, C] from the statistics [N, H, W, 2C].
  package func medians(of statistics: Tensor) -> Tensor {
    let colours = statistics.shape.channels / 2
    let means = Tensor(statistics.shape.with(channels: colours))
    for position in 0..<statistics.shape.positions {
      for colour in 0..<colours {
        means.pointer[position * colours + colour] =
          statistics.pointer[position * 2 * colours + colour]
      }
    }
    return sigmoid(means)
  }
}
