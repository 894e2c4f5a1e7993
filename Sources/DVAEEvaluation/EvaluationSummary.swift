import DVAEImages
public import DVAEModel
import DVAETensors

/// The results of `dvae evaluate` for a set of images, each with the same weight.
public struct EvaluationSummary: Hashable, Sendable, Codable {
  /// The number of images.
  public let images: Int
  /// The model's row.
  public let model: Row
  /// The rows of JPEG and WebP at the same number of bytes.
  public let codecs: [Row]
  /// Means of the likelihoods.
  public let likelihood: Likelihood?
  /// The use of the codes in the set.
  public let codebook: Codebook

  /// The quality of one encoding of the images.
  public struct Row: Hashable, Sendable, Codable {
    /// `dVAE` or the codec.
    public let name: String
    /// The number of images measured.
    public let images: Int
    /// The number of images for which the codec cannot reach the tokens' bytes even at its lowest
    /// quality; its figures then include larger files.
    public let larger: Int
    /// Mean bytes per image.
    public let bytes: Double
    /// In decibels; equal images, whose ratio is infinite, are excluded.
    public let psnr: Spread?
    /// The ratio for the mean squared error over all images, in decibels; nil without any error.
    public let psnrOfMeanSquare: Double?
    /// Structural similarity, Gaussian window 11×11.
    public let ssim: Spread?
    /// Structural similarity, uniform window 7×7.
    public let ssimUniform: Spread?
    /// Multi-scale structural similarity.
    public let msSsim: Spread?
    /// Mean absolute difference.
    public let l1: Spread?

    init(_ name: String, _ all: [(measures: PictureMeasures, bytes: Int)], larger: Int = 0) {
      self.name = name
      images = all.count
      self.larger = larger
      let count = Double(max(1, all.count))
      bytes = Double(all.reduce(0) { $0 + $1.bytes }) / count
      let ratio = peakSignalToNoiseRatio(
        meanSquare: all.reduce(0) { $0 + $1.measures.meanSquare } / count, peak: 255)
      psnrOfMeanSquare = ratio.isFinite ? ratio : nil
      let spread = { (part: (PictureMeasures) -> Double?) in
        Spread(all.compactMap { part($0.measures) })
      }
      psnr = spread(\.psnr)
      ssim = spread(\.ssim)
      ssimUniform = spread(\.ssimUniform)
      msSsim = spread(\.msSsim)
      l1 = spread(\.l1)
    }
  }

  /// The distribution of a number over the images.
  public struct Spread: Hashable, Sendable, Codable {
    /// The arithmetic mean.
    public let mean: Double
    /// The sample standard deviation (n − 1); 0 for one image.
    public let standardDeviation: Double
    /// The smallest value.
    public let minimum: Double
    /// The largest value.
    public let maximum: Double

    /// Computes the statistics; nil without values.
    package init?(_ values: [Double]) {
      guard let minimum = values.min(), let maximum = values.max() else { return nil }
      let mean = values.reduce(0, +) / Double(values.count)
      let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
      self.mean = mean
      standardDeviation = (squares / Double(max(1, values.count - 1))).squareRoot()
      self.minimum = minimum
      self.maximum = maximum
    }
  }

  /// The use of the codes, and the information in a token.
  public struct Codebook: Hashable, Sendable, Codable {
    /// The size of the codebook.
    public let vocabulary: Int
    /// The number of tokens counted.
    public let tokens: Int
    /// The number of codes seen at least once.
    public let used: Int
    /// The entropy of the frequencies in the set, −Σ p log₂ p, in bits: 0 to log₂ vocabulary.
    public let entropyBits: Double
    /// 2 to the entropy: the number of evenly used codes with the same entropy.
    public let perplexity: Double
    /// Bits per token without entropy coding.
    public let bitsPerToken: Int
    /// Mean bits per image at `bitsPerToken` each.
    public let bitsPerImage: Double
    /// Mean bits per image with an ideal entropy coder that knows the set's frequencies.
    public let entropyBitsPerImage: Double

    init(_ use: CodebookUse, bitsPerToken: Int, images: Int) {
      vocabulary = use.counts.count
      tokens = use.total
      used = use.used
      entropyBits = use.entropy / naturalLogarithm(2)
      perplexity = use.perplexity
      self.bitsPerToken = bitsPerToken
      let perImage = Double(use.total) / Double(max(1, images))
      bitsPerImage = Double(bitsPerToken) * perImage
      entropyBitsPerImage = entropyBits * perImage
    }
  }

  /// Summarises a set.
  ///
  /// - Parameters:
  ///   - images: the set
  ///   - codebook: the counts of its tokens
  ///   - architecture: the model's architecture
  public init(_ images: [ImageEvaluation], _ codebook: CodebookUse, _ architecture: Architecture) {
    self.images = images.count
    model = Row("dVAE", images.map { ($0.model, $0.bytes) })
    codecs = ImageCodecRow.formats.map { format in
      let rows = images.compactMap { image in
        image.codecs.first { $0.codec == format.description }
      }
      return Row(
        format.description, rows.map { ($0.measures, $0.bytes) }, larger: rows.count { !$0.fits })
    }
    likelihood = Likelihood(meanOf: images.map(\.likelihood))
    self.codebook = Codebook(
      codebook, bitsPerToken: architecture.bitsPerToken, images: images.count)
  }
}
