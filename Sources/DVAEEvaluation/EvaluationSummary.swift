import DVAEImages
public import DVAEModel
import DVAETensors

/// What `dvae evaluate` finds for a set of images: every image counts the same.
public struct EvaluationSummary: Hashable, Sendable, Codable {
  /// How many images.
  public let images: Int
  /// The model's row.
  public let model: Row
  /// The rows of JPEG and WebP at the same number of bytes.
  public let codecs: [Row]
  /// Means of the likelihoods.
  public let likelihood: Likelihood?
  /// How the set uses the codes.
  public let codebook: Codebook

  /// A way to store the images, and how near it keeps them.
  public struct Row: Hashable, Sendable, Codable {
    /// `dVAE` or the codec.
    public let name: String
    /// Images measured.
    public let images: Int
    /// Images for which the codec could not get down to the tokens' bytes, even at its lowest
    /// quality; its figures are then of larger files.
    public let larger: Int
    /// Mean bytes of an image.
    public let bytes: Double
    /// In decibels; equal pictures, whose ratio is infinite, are left out.
    public let psnr: Spread?
    /// The ratio of the mean squared error over all images, in decibels; nil if there is no error.
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

  /// How a number varies among images.
  public struct Spread: Hashable, Sendable, Codable {
    /// The mean.
    public let mean: Double
    /// The standard deviation (of a sample: n − 1); 0 for one image.
    public let standardDeviation: Double
    /// The least.
    public let minimum: Double
    /// The largest.
    public let maximum: Double

    /// Nil for no numbers.
    public init?(_ values: [Double]) {
      guard let minimum = values.min(), let maximum = values.max() else { return nil }
      let mean = values.reduce(0, +) / Double(values.count)
      let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
      self.mean = mean
      standardDeviation = (squares / Double(max(1, values.count - 1))).squareRoot()
      self.minimum = minimum
      self.maximum = maximum
    }
  }

  /// How evenly the codes are used, and what a token therefore carries.
  public struct Codebook: Hashable, Sendable, Codable {
    /// Codes that there are.
    public let vocabulary: Int
    /// Tokens counted.
    public let tokens: Int
    /// Codes seen at least once.
    public let used: Int
    /// −Σ p log₂ p of the frequencies in the set, in bits: 0 to log₂ vocabulary.
    public let entropyBits: Double
    /// 2 to the entropy: how many evenly used codes would be as varied.
    public let perplexity: Double
    /// Bits of a token without an entropy coder.
    public let bitsPerToken: Int
    /// Mean bits of an image: its tokens, `bitsPerToken` each.
    public let bitsPerImage: Double
    /// Mean bits of an image under an ideal coder that knows the set's frequencies.
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

  /// Sums up.
  ///
  /// - Parameters:
  ///   - images: the set
  ///   - codebook: what was counted in its tokens
  ///   - architecture: the model's
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
