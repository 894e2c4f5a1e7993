public import DVAEImages
package import DVAEModel
import DVAETensors

/// The results of `dvae evaluate` for one image.
public struct ImageEvaluation: Hashable, Sendable, Codable {
  /// The image's name in the job.
  public let key: String
  /// The width in pixels after preprocessing.
  public let width: Int
  /// The height in pixels after preprocessing.
  public let height: Int
  /// The number of tokens.
  public let tokens: Int
  /// The size of the tokens at `bitsPerToken` each, rounded up to whole bytes.
  public let bytes: Int
  /// The reconstruction compared with the original.
  public let model: PictureMeasures
  /// The likelihood of the original.
  public let likelihood: Likelihood
  /// The original compressed with JPEG and WebP to the tokens' bytes.
  public let codecs: [ImageCodecRow]

  /// Measures a reconstruction, and JPEG and WebP at the bytes of its tokens.
  ///
  /// - Parameters:
  ///   - key: the image's name in the job
  ///   - reconstruction: an image of the original's size
  ///   - original: the preprocessed image
  ///   - tokens: the number of tokens
  ///   - bitsPerToken: bits per token without entropy coding
  ///   - parts: the objective with β = 1
  package init(
    key: String, of reconstruction: PixelImage, comparedTo original: PixelImage, tokens: Int,
    bitsPerToken: Int, _ parts: ObjectiveParts<Double>
  ) {
    self.key = key
    (width, height) = (original.width, original.height)
    self.tokens = tokens
    let bytes = (bitsPerToken * tokens + 7) / 8
    self.bytes = bytes
    model = PictureMeasures(of: reconstruction, comparedTo: original)
    likelihood = Likelihood(parts)
    codecs = ImageCodecRow.formats.compactMap { ImageCodecRow($0, of: original, bytes: bytes) }
  }
}

/// The evidence lower bound of an image and its parts (DALL·E paper §2.1, A.3), with β = 1.
///
/// It is computed at the most likely tokens, as at inference, instead of the expectation over q;
/// strictly it estimates the bound.
///
/// A dimension is one colour of one pixel. Values in nats are densities of mapped pixels, which
/// span 0.8, so the bound may be above 0. Values in bits are probabilities of 8-bit values: the
/// density times the distance 0.8/255 between two mapped values.
public struct Likelihood: Hashable, Sendable, Codable {
  /// Mean over dimensions of −ln f(x | μ, b), in nats.
  public let reconstructionNatsPerDimension: Double
  /// Mean over tokens of KL(q ‖ uniform), in nats.
  public let klNatsPerToken: Double
  /// The same per dimension, in nats.
  public let klNatsPerDimension: Double
  /// −reconstruction − KL: the bound of ln p(x) per dimension, in nats.
  public let elboNatsPerDimension: Double
  /// The reconstruction's share of `bitsPerDimension`.
  public let reconstructionBitsPerDimension: Double
  /// The KL's share of `bitsPerDimension`.
  public let klBitsPerDimension: Double
  /// The bound of −log₂ P(8-bit value) per dimension.
  public let bitsPerDimension: Double

  /// ln of the ratio between the density of a mapped pixel and the probability of its byte.
  static let natsPerByte = naturalLogarithm(255 / PixelMapping.range)

  /// Converts the terms of an objective with β = 1.
  package init(_ parts: ObjectiveParts<Double>) {
    self.init(
      reconstruction: parts.reconstruction, klPerToken: parts.kl,
      klPerDimension: parts.klWeight * parts.kl)
  }

  /// Averages over images.
  init?(meanOf all: [Likelihood]) {
    guard !all.isEmpty else { return nil }
    let mean = { (part: (Likelihood) -> Double) in
      all.reduce(0) { $0 + part($1) } / Double(all.count)
    }
    self.init(
      reconstruction: mean(\.reconstructionNatsPerDimension), klPerToken: mean(\.klNatsPerToken),
      klPerDimension: mean(\.klNatsPerDimension))
  }

  private init(reconstruction: Double, klPerToken: Double, klPerDimension: Double) {
    reconstructionNatsPerDimension = reconstruction
    klNatsPerToken = klPerToken
    klNatsPerDimension = klPerDimension
    elboNatsPerDimension = -reconstruction - klPerDimension
    reconstructionBitsPerDimension = (reconstruction + Self.natsPerByte) / naturalLogarithm(2)
    klBitsPerDimension = klPerDimension / naturalLogarithm(2)
    bitsPerDimension = reconstructionBitsPerDimension + klBitsPerDimension
  }
}
