import DVAEImages
package import DVAEModel
package import DVAEProgram
import DVAETensors

/// The encoder and decoder as device programs: pixels to tokens, and tokens to pixels.
///
/// The parameters are inputs under their official names, `encoder.blocks.input.w`.
package enum ForwardPrograms {
  /// Records the encoder: `pixels`, uint8 [N, H, W, 3], to `tokens` [N, H/8, W/8].
  ///
  /// - Parameters:
  ///   - architecture: the model's architecture
  ///   - batch: N
  ///   - height: H, a multiple of 8
  ///   - width: W, a multiple of 8
  ///   - showsLogits: whether `logits` [N, H/8, W/8, vocabulary] is also an output
  ///   - ranks: tokens per position, in descending order of probability; if given, `ranked_tokens`,
  ///     `distances` and `log_probabilities` [N, H/8, W/8, ranks] are also outputs
  /// - Returns: the program
  /// - Throws: `DVAEError` for sides that are not multiples of 8
  package static func encoder(
    _ architecture: Architecture, batch: Int = 1, height: Int = 256, width: Int = 256,
    showsLogits: Bool = false, ranks: Int? = nil
  ) throws -> Recording {
    let recording = Recording()
    let encoder = ImageEncoder(
      architecture, parameters: parameters(architecture.encoder, recording),
      engine: RecordingEngine(recording))
    let x = images(Shape(batch, height, width, architecture.inputChannels), recording)
    recording.output("tokens", try encoder.tokens(x))
    guard showsLogits || ranks != nil else { return recording }
    // The results that the ranking is computed from.
    let logits = try encoder.logits(x)
    if showsLogits { recording.output("logits", logits) }
    if let ranks {
      let ranked = recording.ranked(logits, count: ranks)
      recording.output("ranked_tokens", ranked.tokens)
      recording.output("distances", ranked.distances)
      recording.output("log_probabilities", ranked.logProbabilities)
    }
    return recording
  }

  /// Records the decoder: `tokens` [N, h, w] to `pixels`, uint8 [N, 8h, 8w, 3].
  ///
  /// - Parameters:
  ///   - architecture: the model's architecture
  ///   - batch: N
  ///   - height: h
  ///   - width: w
  ///   - showsStatistics: whether `statistics` [N, 8h, 8w, 6] is also an output: μ of each colour,
  ///     then ln b
  /// - Returns: the program
  package static func decoder(
    _ architecture: Architecture, batch: Int = 1, height: Int = 32, width: Int = 32,
    showsStatistics: Bool = false
  ) -> Recording {
    let recording = Recording()
    let decoder = ImageDecoder(
      architecture, parameters: parameters(architecture.decoder, recording),
      engine: RecordingEngine(recording))
    let tokens = recording.tokens("tokens", batch: batch, height: height, width: width)
    let statistics = decoder.statistics(
      ofValid: tokens, batch: batch, height: height, width: width)
    recording.output(
      "pixels",
      recording.pictures(
        of: statistics, scale: PixelMapping.scale, offset: Float(PixelMapping.epsilon)))
    if showsStatistics { recording.output("statistics", statistics) }
    return recording
  }

  /// Records both parts and the sums of the objective: `pixels` as in the encoder, to
  /// `reconstruction` [N], the sum of −ln f over an image's values, `kl` [N], the sum over its positions,
  /// `tokens`, and `statistics` as in the decoder.
  ///
  /// - Parameters:
  ///   - architecture: the model's architecture
  ///   - batch: N
  ///   - height: H, a multiple of 8
  ///   - width: W, a multiple of 8
  /// - Returns: the program
  /// - Throws: `DVAEError` for sides that are not multiples of 8
  package static func measures(
    _ architecture: Architecture, batch: Int, height: Int, width: Int
  ) throws -> Recording {
    let recording = Recording()
    let engine = RecordingEngine(recording)
    let encoder = ImageEncoder(
      architecture, parameters: parameters(architecture.encoder, recording), engine: engine)
    let decoder = ImageDecoder(
      architecture, parameters: parameters(architecture.decoder, recording), engine: engine)
    let x = images(Shape(batch, height, width, architecture.inputChannels), recording)
    let logits = try encoder.logits(x)
    let tokens = engine.argmaxChannels(logits)
    let statistics = decoder.statistics(
      ofValid: tokens, batch: batch, height: logits.shape.height, width: logits.shape.width)
    recording.output("reconstruction", recording.logitLaplaceLoss(ofEach: statistics, target: x))
    recording.output("kl", recording.klToUniform(ofEach: logits))
    recording.output("tokens", tokens)
    recording.output("statistics", statistics)
    return recording
  }

  private static func images(_ shape: Shape, _ recording: Recording) -> RecordedValue {
    recording.mappedPixels(
      recording.value("pixels", shape, .uint8), scale: PixelMapping.scale,
      offset: Float(PixelMapping.epsilon))
  }

  private static func parameters(
    _ plan: NetworkPlan, _ recording: Recording
  ) -> Parameters<RecordedVariable> {
    Parameters([plan]) { name, shape in recording.variable(name, shape) }
  }
}

extension Precision {
  /// The precision of device programs; nil if they do not support it.
  package var program: ProgramPrecision? { ProgramPrecision(rawValue: rawValue) }

  /// Converts a program's precision.
  package init(_ program: ProgramPrecision) {
    self =
      switch program {
      case .float32: .float32
      case .tf32: .tf32
      case .bfloat16: .bfloat16
      case .float16: .float16
      }
  }
}
