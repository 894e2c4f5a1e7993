import DVAEFiles
package import DVAEImages
import DVAEModel
package import DVAETokens

extension DiscreteVAE: ImageTokenizer {
  /// Returns the tokens of preprocessed images of one size, in their order.
  ///
  /// - Throws: a batch that does not fit into memory, or a model without an encoder.
  public func tokenize(batch images: [PixelImage]) throws -> [TokenizedImage] {
    try tokens(of: images).map { TokenizedImage($0) }
  }
}

/// A model that keeps more than the most likely token of each position.
public struct SoftTokenizer: ImageTokenizer {
  private let vae: DiscreteVAE
  private let settings: SoftTokens.Settings

  /// Makes a tokenizer of a model and what it keeps, which takes some time.
  public init(_ vae: DiscreteVAE, _ settings: SoftTokens.Settings) {
    self.vae = vae
    self.settings = settings
  }

  /// Returns the tokens of preprocessed images of one size and what is kept beside them.
  ///
  /// - Throws: a batch that does not fit into memory, or a model without a float32 encoder.
  public func tokenize(batch images: [PixelImage]) throws -> [TokenizedImage] {
    try vae.softTokens(of: images, settings).map { TokenizedImage($0.grid, soft: $0.soft) }
  }
}

extension DiscreteVAE {
  /// The tokens of images as they are, and what the encoder thinks of every position.
  ///
  /// - Parameters:
  ///   - images: all of one size, with sides that are multiples of 8; may be empty
  ///   - settings: what is kept
  /// - Returns: the grid that `tokens(of:)` gives, and the rest, for each
  /// - Throws: other sizes, a model without an encoder, or more tokens than the vocabulary has.
  public func softTokens(
    of images: [PixelImage], _ settings: SoftTokens.Settings
  ) throws -> [(grid: TokenGrid, soft: SoftTokens)] {
    guard settings.ranks <= architecture.vocabulary, settings.topK ?? 1 >= 1 else {
      throw DVAEError(
        .usage,
        "the \(settings.topK ?? settings.ranks) most likely of \(architecture.vocabulary) tokens: "
          + "ask for 1 to \(architecture.vocabulary)")
    }
    guard let (ranked, first) = try rankedTokens(of: images, count: settings.ranks) else {
      return []
    }
    let (height, width) = (first.height / 8, first.width / 8)
    return images.indices.map { image in
      SoftTokens.split(
        ranked, image * height * width..<(image + 1) * height * width, height: height, settings)
    }
  }
}
