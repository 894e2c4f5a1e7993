public import DVAEImages
package import DVAEModel
import DVAETensors

/// What `dvae evaluate` finds for one image.
public struct ImageEvaluation: Hashable, Sendable, Codable {
  /// The image's name in the job.
  public let key: String
  /// Pixels per row, after preprocessing.
  public let width: Int
  /// Rows of pixels, after preprocessing.
  public let height: Int
  /// How many tokens it became.
  public let tokens: Int
  /// What they take: `bitsPerToken` each, rounded up to whole bytes.
  public let bytes: Int
  /// The reconstruction's distance from the original.
  public let model: PictureMeasures
  /// The likelihood of the original.
  public let likelihood: Likelihood
  /// The same original through JPEG and WebP at the tokens' bytes.
  public let codecs: [ImageCodecRow]

  /// Measures a reconstruction, and JPEG and WebP at the bytes that its tokens take.
  ///
  /// - Parameters:
  ///   - key: the image's name in the job
  ///   - reconstruction: a picture of the original's size
  ///   - original: the preprocessed image
  ///   - tokens: their number
  ///   - bitsPerToken: without an entropy coder
  ///   - parts: of the objective with β = 1
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
/// It is taken at the most likely tokens, which is how the model is used, in place of the expectation
/// over q: strictly an estimate of the bound.
///
/// A dimension is one colour of one pixel. In nats it is the density of mapped pixels, which span
/// 0.8 and whose bound may therefore lie above 0. In bits it is the probability of the 8-bit value:
/// the density times the distance 0.8/255 of two mapped values.
public struct Likelihood: Hashable, Sendable, Codable {
  /// Mean over dimensions of −ln f(x | μ, b), in nats.
  public let reconstructionNatsPerDimension: Double
  /// Mean over tokens of KL(q ‖ uniform), in nats.
  public let klNatsPerToken: Double
  /// The same spread over the dimensions, in nats.
  public let klNatsPerDimension: Double
  /// −reconstruction − KL: the bound of ln p(x) per dimension, in nats.
  public let elboNatsPerDimension: Double
  /// The reconstruction's part of `bitsPerDimension`.
  public let reconstructionBitsPerDimension: Double
  /// The KL's part of `bitsPerDimension`.
  public let klBitsPerDimension: Double
  /// The bound of −log₂ P(8-bit value) per dimension.
  public let bitsPerDimension: Double

  /// Nats between the density of a mapped pixel and the probability of its byte.
  static let natsPerByte = naturalLogarithm(255 / 0.8)

  /// Converts the parts of an objective with β = 1.
  package init(_ parts: ObjectiveParts<Double>) {
    self.init(
      reconstruction: parts.reconstruction, klPerToken: parts.kl,
      klPerDimension: parts.klWeight * parts.kl)
  }

  /// The means over images.
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
