import DVAEModel
package import DVAETensors

/// Fixed images for measuring the quality of the averaged model.
package struct ValidationSet: Sendable {
  /// Mapped pixels in (0, 1), [N, H, W, 3] each.
  package let batches: [Tensor]

  /// Takes the batches, whose shapes may differ.
  package init(_ batches: [Tensor]) { self.batches = batches }

  /// Validates the averaged parameters of a state.
  ///
  /// - Returns: the measures, and reconstructions of the first images
  package func evaluate<E: HostEngine>(
    _ state: TrainingState, engine: E
  ) throws -> (ValidationRecord, ValidationPictures) {
    var objective = Objective(state.configuration.architecture, state.average, engine: engine)
    return try evaluate(state, on: &objective)
  }

  /// Reconstructs the first images with the averaged model.
  ///
  /// - Returns: the same pictures as after a validation
  /// - Throws: `DVAEError` for images of another shape
  package func pictures<E: HostEngine>(
    _ state: TrainingState, engine: E
  ) throws -> ValidationPictures {
    var objective = Objective(state.configuration.architecture, state.average, engine: engine)
    return try pictures(state, &objective)
  }

  /// Validates a state with any evaluator of its averaged parameters.
  func evaluate(
    _ state: TrainingState, on evaluator: inout some BatchEvaluator
  ) throws -> (ValidationRecord, ValidationPictures) {
    let configuration = state.configuration
    let beta = configuration.klWeight(state.update)
    var codebook = CodebookUse(vocabulary: configuration.architecture.vocabulary)
    var (images, psnr) = (0, 0.0)
    var (loss, reconstruction, kl) = (0.0, 0.0, 0.0)
    for batch in batches {
      let found = try evaluator.measures(of: batch, beta: Double(Float(beta)))
      let count = Double(batch.shape.batch)
      loss += count * found.parts.loss
      reconstruction += count * found.parts.reconstruction
      kl += count * found.parts.kl
      psnr += Self.psnr(found.statistics, batch).reduce(0, +)
      codebook.count(found.tokens)
      images += batch.shape.batch
    }
    let n = Double(max(1, images))
    let record = ValidationRecord(
      update: state.update, images: images, loss: loss / n, reconstruction: reconstruction / n,
      kl: kl / n, psnr: psnr / n, codebook: codebook)
    return (record, try pictures(state, &evaluator))
  }

  /// Reconstructs the first images.
  private func pictures(
    _ state: TrainingState, _ evaluator: inout some BatchEvaluator
  ) throws -> ValidationPictures {
    guard let batch = batches.first else {
      return ValidationPictures(originals: [], soft: [], hard: [])
    }
    let originals = batch.images(0..<min(batch.shape.batch, Self.pictureCount))
    let (soft, hard) = try evaluator.pictures(
      of: originals, temperature: state.configuration.temperature(state.update),
      seed: state.configuration.seed(for: .noise), stream: .max - UInt64(state.update))
    return ValidationPictures(
      originals: Self.split(originals), soft: Self.split(Self.medians(soft)),
      hard: Self.split(Self.medians(hard)))
  }

  private static let pictureCount = 8

  /// Splits a batch into one tensor per image, so that the rest of the batch can be freed.
  private static func split(_ batch: Tensor) -> [Tensor] {
    (0..<batch.shape.batch).map { n in
      let image = batch.images(n..<n + 1)
      return Tensor(image.shape, image.array)
    }
  }

  /// Returns the medians of the decoder's statistics, on the reference engine: the same for every
  /// device that computed the statistics.
  private static func medians(_ statistics: Tensor) -> Tensor {
    ReferenceEngine().medians(of: statistics)
  }

  /// Returns the peak signal-to-noise ratio of each image in decibels, at most 100.
  ///
  /// Reconstructions beyond black or white are clamped, as in an image file.
  private static func psnr(_ statistics: Tensor, _ target: Tensor) -> [Double] {
    let medians = medians(statistics)
    let size = target.count / max(1, target.shape.batch)
    let (black, peak) = (PixelMapping.epsilon, PixelMapping.range)
    return (0..<target.shape.batch).map { n in
      var squares = 0.0
      for i in n * size..<(n + 1) * size {
        let y = min(max(Double(medians.pointer[i]), black), black + peak)
        squares += (y - Double(target.pointer[i])) * (y - Double(target.pointer[i]))
      }
      // A smaller error is invisible in 8-bit pixels.
      let mean = max(squares / Double(size), 1e-10 * peak * peak)
      return peakSignalToNoiseRatio(meanSquare: mean, peak: peak)
    }
  }
}

/// Evaluates a model on batches of images.
protocol BatchEvaluator {
  /// Returns the terms of the loss, the most likely tokens and the decoder's statistics of them.
  mutating func measures(
    of images: Tensor, beta: Double
  ) throws -> (parts: ObjectiveParts<Double>, tokens: [Int32], statistics: Tensor)

  /// Returns the decoder's statistics of a relaxed sample and of the most likely tokens.
  mutating func pictures(
    of images: Tensor, temperature: Double, seed: UInt64, stream: UInt64
  ) throws -> (soft: Tensor, hard: Tensor)
}

extension Objective: BatchEvaluator where E: HostEngine {
  func measures(
    of images: Tensor, beta: Double
  ) throws -> (parts: ObjectiveParts<Double>, tokens: [Int32], statistics: Tensor) {
    let found = try evaluate(images, beta: beta)
    return (found.parts, found.tokens, found.statistics)
  }

  func pictures(
    of images: Tensor, temperature: Double, seed: UInt64, stream: UInt64
  ) throws -> (soft: Tensor, hard: Tensor) {
    try pictures(of: images) { logits in
      encoder.engine.gumbelSoftmax(
        logits, noise: .seeded(seed: seed, stream: stream), temperature: temperature)
    }
  }
}

extension Objective {
  /// Makes the encoder and the decoder of a model.
  init(
    _ architecture: Architecture, _ parameters: Parameters<E.Variable>, engine: E,
    for purpose: NetworkPurpose = .inference
  ) {
    self.init(
      encoder: ImageEncoder(architecture, parameters: parameters, engine: engine, for: purpose),
      decoder: ImageDecoder(architecture, parameters: parameters, engine: engine, for: purpose))
  }

  /// Returns the decoder's statistics of a relaxed sample and of the most likely tokens.
  func pictures(
    of images: E.Value, relax: (_ logits: E.Value) -> E.Value
  ) throws -> (soft: E.Value, hard: E.Value) {
    let logits = try encoder.logits(images)
    let relaxed = relax(logits)
    let hard = decoder.statistics(
      ofValid: encoder.engine.argmaxChannels(logits), batch: logits.shape.batch,
      height: logits.shape.height, width: logits.shape.width)
    return (try decoder.statistics(soft: relaxed), hard)
  }
}

/// A few validation images and their reconstructions by the averaged model, as mapped pixels [1, H,
/// W, 3].
package struct ValidationPictures: Sendable {
  /// The images.
  package let originals: [Tensor]
  /// Decoded from a relaxed sample, as in training.
  package let soft: [Tensor]
  /// Decoded from the most likely tokens, as at inference.
  package let hard: [Tensor]
}
