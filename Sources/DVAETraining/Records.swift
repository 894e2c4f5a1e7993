package import DVAEModel
import DVAETensors

/// The result of one update.
public struct UpdateRecord: Hashable, Sendable {
  /// The number of updates done, including this one.
  public var update: Int
  /// The number of complete epochs.
  public var epoch: Int
  /// reconstruction + β/192 · KL, in nats.
  public var loss: Double
  /// Mean over pixels and channels of −ln f, in nats.
  public var reconstruction: Double
  /// Mean over token positions of KL(q ‖ uniform), in nats.
  public var kl: Double
  /// τ.
  public var temperature: Double
  /// β.
  public var klWeight: Double
  /// The learning rate.
  public var learningRate: Double
  /// The gradient's norm over all trained parameters, before clipping.
  public var gradientNorm: Double
  /// The number of images skipped so far.
  public var skipped: Int
  /// The duration of the update in seconds.
  public var seconds: Double
  /// The part of `seconds` spent waiting for images.
  public var waiting: Double
  /// The number of images in the batch.
  public var images: Int

  package init(
    update: Int, epoch: Int, loss: Double, reconstruction: Double, kl: Double,
    temperature: Double, klWeight: Double, learningRate: Double, gradientNorm: Double,
    skipped: Int, seconds: Double, waiting: Double, images: Int
  ) {
    self.update = update
    self.epoch = epoch
    self.loss = loss
    self.reconstruction = reconstruction
    self.kl = kl
    self.temperature = temperature
    self.klWeight = klWeight
    self.learningRate = learningRate
    self.gradientNorm = gradientNorm
    self.skipped = skipped
    self.seconds = seconds
    self.waiting = waiting
    self.images = images
  }

  /// The column names of `row`.
  package static let columns =
    "update,epoch,loss,reconstruction,kl,temperature,kl_weight,learning_rate,gradient_norm,"
    + "skipped,images_per_second,data_seconds"

  /// The values as comma-separated text.
  ///
  /// All but the last two are reproducible on the same kind of machine.
  package var row: String {
    "\(update),\(epoch),\(loss),\(reconstruction),\(kl),\(temperature),\(klWeight),"
      + "\(learningRate),\(gradientNorm),\(skipped),\((Double(images) / seconds).rounded(to: 3)),"
      + "\(waiting.rounded(to: 3))"
  }
}

/// The quality of the averaged model with hard tokens on the validation images.
package struct ValidationRecord: Hashable, Sendable {
  /// The number of updates done.
  package var update: Int
  /// The number of validation images.
  package var images: Int
  /// reconstruction + β/192 · KL with the β of the update, in nats.
  package var loss: Double
  /// Mean over pixels and channels of −ln f, in nats.
  package var reconstruction: Double
  /// Mean over token positions of KL(q ‖ uniform), in nats.
  package var kl: Double
  /// Mean over the images of the peak signal-to-noise ratio, in decibels.
  package var psnr: Double
  /// The number of uses of each token.
  package var codebook: CodebookUse

  package init(
    update: Int, images: Int, loss: Double, reconstruction: Double, kl: Double, psnr: Double,
    codebook: CodebookUse
  ) {
    self.update = update
    self.images = images
    self.loss = loss
    self.reconstruction = reconstruction
    self.kl = kl
    self.psnr = psnr
    self.codebook = codebook
  }

  /// The column names of `row`.
  package static let columns =
    "update,loss,reconstruction,kl,psnr,used_codes,dead_codes,entropy,perplexity"

  /// The values as comma-separated text.
  package var row: String {
    "\(update),\(loss),\(reconstruction),\(kl),\(psnr),\(codebook.used),\(codebook.dead),"
      + "\(codebook.entropy),\(codebook.perplexity)"
  }
}

extension ValidationRecord {
  /// Returns advice if the codebook is collapsing, else nil.
  ///
  /// Few used codes mean that the encoder settled on them before the decoder learned to use the
  /// others. A KL near zero means that the decoder ignores the encoder.
  package func collapse(under configuration: TrainingConfiguration) -> String? {
    // The first updates are not representative.
    guard update >= configuration.updates / 20, update >= configuration.klWeight.updates else {
      return nil
    }
    let possible = Double(min(codebook.counts.count, codebook.total))
    if kl < 0.02 * naturalLogarithm(Double(codebook.counts.count)) {
      return "the tokens carry almost nothing (KL \(kl.rounded(to: 2)) nats per token): lower "
        + "kl_weight.end, or let it rise over more updates (kl_weight.updates)"
    }
    if codebook.perplexity < 0.02 * possible {
      return "the codebook is collapsing (\(codebook.used) of \(codebook.counts.count) codes in "
        + "use, perplexity \(codebook.perplexity.rounded(to: 2))): raise kl_weight.end, let the temperature "
        + "fall over more updates (temperature.updates), or lower learning_rate.start"
    }
    return nil
  }
}

extension Double {
  /// Rounds to this many decimals.
  fileprivate func rounded(to decimals: Int) -> Double {
    let scale = (0..<decimals).reduce(1.0) { scale, _ in scale * 10 }
    return (self * scale).rounded() / scale
  }
}
