package import DVAEFiles
package import DVAETensors

/// The terms of the loss over a batch.
package struct ObjectiveParts<Scalar: EngineScalar>: Sendable {
  /// Mean over pixels and channels of −ln f(x | μ, b), in nats; f is a density: it may be negative.
  package let reconstruction: Scalar
  /// Mean over token positions of KL(q ‖ uniform), in nats: 0 to ln vocabulary.
  package let kl: Scalar
  /// The KL's weight in the loss: β over the pixel values per token, 192 for colour images.
  package let klWeight: Scalar

  package init(reconstruction: Scalar, kl: Scalar, klWeight: Scalar) {
    self.reconstruction = reconstruction
    self.kl = kl
    self.klWeight = klWeight
  }

  /// reconstruction + β/192 · kl.
  package var loss: Scalar { reconstruction + klWeight * kl }
}

extension ObjectiveParts: Hashable, Equatable where Scalar: Hashable {}

/// The evidence lower bound, which training maximises (DALL·E paper §2.1, A.2, A.3).
///
/// loss = mean over pixels and channels of −ln f + β/192 · mean over positions of KL(q ‖ uniform),
/// averaged over the batch. The relaxed sample is soft in forward and backward passes; the KL is
/// computed from the logits without noise and without τ.
package struct Objective<E: Engine>: Sendable {
  /// The encoder; prepared for training where `gradients` is called.
  package let encoder: ImageEncoder<E>
  /// The decoder; prepared for training where `gradients` is called.
  package let decoder: ImageDecoder<E>
  private var engine: E { encoder.engine }

  /// Joins the encoder and the decoder of one model.
  package init(encoder: ImageEncoder<E>, decoder: ImageDecoder<E>) {
    self.encoder = encoder
    self.decoder = decoder
  }

  /// Returns the loss of a batch under the relaxation and adds its derivatives by all parameters.
  ///
  /// - Parameters:
  ///   - x: mapped pixels in (0, 1), [N, H, W, C]; H and W multiples of 8
  ///   - noise: the relaxation's noise
  ///   - temperature: τ
  ///   - beta: β
  ///   - lossScale: the factor of the loss before differentiation
  ///   - gradients: added to; a layer that is missing from it is frozen
  /// - Returns: the terms of the loss
  /// - Throws: `DVAEError` for images of another shape
  package func gradients(
    _ x: E.Value, noise: GumbelNoise<E.Value>, temperature: E.Scalar, beta: E.Scalar,
    lossScale: E.Scalar = E.Scalar(1), into gradients: Parameters<E.Variable>
  ) throws(DVAEError) -> ObjectiveParts<E.Scalar> {
    try encoder.check(x)
    let trainsEncoder = gradients.parameters.contains { $0.name.hasPrefix("encoder.") }
    var encoderActivations = trainsEncoder ? Activations<E.Value>() : .none
    var decoderActivations = Activations<E.Value>()

    let logits = encoder.forward(x, keeping: &encoderActivations)
    let relaxed = engine.gumbelSoftmax(logits, noise: noise, temperature: temperature)
    let kl = engine.klToUniform(logits)
    let (reconstruction, dStatistics) = likelihood(
      of: x, under: decoder.forward(relaxed, keeping: &decoderActivations), lossScale)
    let parts = parts(x, reconstruction: reconstruction, kl: kl, logits.shape, beta: beta)

    let dRelaxed = decoder.backward(
      consume dStatistics, &decoderActivations, gradients: gradients, needsInput: trainsEncoder)
    guard let dLogits = consume dRelaxed else { return parts }
    let dBoth = engine.gumbelSoftmaxBackward(
      consume dLogits, y: relaxed, logits: logits, temperature: temperature,
      klScale: parts.klWeight * lossScale / E.Scalar(Double(logits.shape.positions)))
    // Frees the largest tensors early: the encoder's backward pass does not need them.
    _ = consume relaxed
    _ = consume logits
    encoder.backward(consume dBoth, &encoderActivations, gradients: gradients)
    return parts
  }

  /// Evaluates a batch through its hard tokens, without noise, as at inference.
  ///
  /// - Parameters:
  ///   - x: mapped pixels in (0, 1), [N, H, W, C]; H and W multiples of 8
  ///   - beta: β
  /// - Returns: the terms of the loss, the tokens, and the decoder's statistics
  /// - Throws: `DVAEError` for images of another shape
  package func evaluate(_ x: E.Value, beta: E.Scalar) throws(DVAEError) -> Evaluation {
    let logits = try encoder.logits(x)
    let kl = engine.klToUniform(logits)
    let grid = logits.shape
    let tokens = engine.argmaxChannels(consume logits)
    let statistics = decoder.statistics(
      ofValid: tokens, batch: grid.batch, height: grid.height, width: grid.width)
    let sum = engine.logitLaplaceLoss(statistics, target: x)
    let reconstruction = sum / E.Scalar(Double(x.shape.count))
    return Evaluation(
      parts: parts(x, reconstruction: reconstruction, kl: kl, grid, beta: beta), tokens: tokens,
      statistics: statistics)
  }

  /// The results of `evaluate`.
  package struct Evaluation: Sendable {
    /// The terms of the loss.
    package let parts: ObjectiveParts<E.Scalar>
    /// N·(H/8)·(W/8) tokens, row-major.
    package let tokens: E.Tokens
    /// [N, H, W, 2C]: μ of each colour, then ln b.
    package let statistics: E.Value
  }

  /// Returns the mean of −ln f over pixels and channels, and its derivative by the statistics.
  private func likelihood(
    of x: E.Value, under statistics: consuming E.Value, _ lossScale: E.Scalar
  ) -> (loss: E.Scalar, gradient: E.Value) {
    (
      engine.logitLaplaceLoss(statistics, target: x) / E.Scalar(Double(x.shape.count)),
      engine.logitLaplaceLossBackward(
        statistics, target: x, scale: lossScale * E.Scalar(Double(1 / Float(x.shape.count))))
    )
  }

  private func parts(
    _ x: E.Value, reconstruction: E.Scalar, kl: E.Scalar, _ grid: Shape, beta: E.Scalar
  ) -> ObjectiveParts<E.Scalar> {
    let positions = E.Scalar(Double(grid.positions))
    return ObjectiveParts(
      reconstruction: reconstruction, kl: kl / positions,
      klWeight: beta * positions / E.Scalar(Double(x.shape.count)))
  }
}
