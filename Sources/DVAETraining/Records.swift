package import DVAEModel
import DVAETensors

/// What one update did.
public struct UpdateRecord: Hashable, Sendable {
  /// Updates done, this one included.
  public var update: Int
  /// Passes over all images that are complete.
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
  /// The step size.
  public var learningRate: Double
  /// The gradient's norm over all trained parameters, before any limit.
  public var gradientNorm: Double
  /// Images passed over so far.
  public var skipped: Int
  /// Seconds that the update took.
  public var seconds: Double
  /// Seconds of them that were spent waiting for images.
  public var waiting: Double
  /// Images of the update.
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

  /// Names of the columns of `row`.
  package static let columns =
    "update,epoch,loss,reconstruction,kl,temperature,kl_weight,learning_rate,gradient_norm,"
    + "skipped,images_per_second,data_seconds"

  /// The numbers as comma-separated values.
  ///
  /// All but the last two are the same for the same run on the same kind of machine.
  package var row: String {
    "\(update),\(epoch),\(loss),\(reconstruction),\(kl),\(temperature),\(klWeight),"
      + "\(learningRate),\(gradientNorm),\(skipped),\((Double(images) / seconds).rounded(to: 3)),"
      + "\(waiting.rounded(to: 3))"
  }
}

/// How good the averaged model is, through hard tokens, on the validation images.
package struct ValidationRecord: Hashable, Sendable {
  /// Updates done.
  package var update: Int
  /// reconstruction + β/192 · KL with the β of the update, in nats.
  package var loss: Double
  /// Mean over pixels and channels of −ln f, in nats.
  package var reconstruction: Double
  /// Mean over token positions of KL(q ‖ uniform), in nats.
  package var kl: Double
  /// Mean over the images of the peak signal-to-noise ratio, in decibels.
  package var psnr: Double
  /// Which tokens were used how often.
  package var codebook: CodebookUse

  package init(
    update: Int, loss: Double, reconstruction: Double, kl: Double, psnr: Double,
    codebook: CodebookUse
  ) {
    self.update = update
    self.loss = loss
    self.reconstruction = reconstruction
    self.kl = kl
    self.psnr = psnr
    self.codebook = codebook
  }

  /// Names of the columns of `row`.
  package static let columns =
    "update,loss,reconstruction,kl,psnr,used_codes,dead_codes,entropy,perplexity"

  /// The numbers as comma-separated values.
  package var row: String {
    "\(update),\(loss),\(reconstruction),\(kl),\(psnr),\(codebook.used),\(codebook.dead),"
      + "\(codebook.entropy),\(codebook.perplexity)"
  }
}

extension ValidationRecord {
  /// A warning that says what to change where the codebook is collapsing; nil where it is not.
  ///
  /// Few codes in use mean that the encoder has settled on a few before the decoder could make
  /// something of the others. A KL near zero means that the decoder does without the encoder.
  package func collapse(under configuration: TrainingConfiguration) -> String? {
    // The first updates say little.
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
  /// The nearest number with so many decimals.
  fileprivate func rounded(to decimals: Int) -> Double {
    let scale = (0..<decimals).reduce(1.0) { scale, _ in scale * 10 }
    return (self * scale).rounded() / scale
  }
}
