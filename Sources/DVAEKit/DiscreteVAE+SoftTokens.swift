import DVAEDeviceModel
import DVAEFiles
package import DVAEImages
import DVAEModel
package import DVAETokens

extension DiscreteVAE: ImageTokenizer {
  /// Returns the tokens of preprocessed images of one size, in their order.
  ///
  /// - Throws: if the batch does not fit into memory or the model has no encoder.
  public func tokenize(batch images: [PixelImage]) throws -> [TokenizedImage] {
    try tokens(of: images).map { TokenizedImage($0) }
  }
}

/// A model and the soft tokens that it keeps for each position.
public struct SoftTokenizer: ImageTokenizer {
  private let vae: DiscreteVAE
  private let settings: SoftTokens.Settings

  /// Joins a model and the settings of its soft tokens; tokenizing takes longer with them.
  public init(_ vae: DiscreteVAE, _ settings: SoftTokens.Settings) {
    self.vae = vae
    self.settings = settings
  }

  /// Returns the tokens and soft tokens of preprocessed images of one size.
  ///
  /// - Throws: if the batch does not fit into memory or the model has no float32 encoder.
  public func tokenize(batch images: [PixelImage]) throws -> [TokenizedImage] {
    try vae.softTokens(of: images, settings).map { TokenizedImage($0.grid, soft: $0.soft) }
  }
}

extension DiscreteVAE {
  /// Returns the tokens and soft tokens of preprocessed images.
  ///
  /// - Parameters:
  ///   - images: all of one size, with sides that are multiples of 8; may be empty
  ///   - settings: the soft tokens to keep
  /// - Returns: for each image the grid that `tokens(of:)` gives and its soft tokens
  /// - Throws: if sizes differ, the model has no encoder, or more tokens than the vocabulary are
  ///   asked for.
  public func softTokens(
    of images: [PixelImage], _ settings: SoftTokens.Settings
  ) throws -> [(grid: TokenGrid, soft: SoftTokens)] {
    guard settings.ranks <= architecture.vocabulary, settings.topK ?? 1 >= 1 else {
      throw DVAEError(
        .usage,
        "the \(settings.topK ?? settings.ranks) most likely of \(architecture.vocabulary) tokens: "
          + "ask for 1 to \(architecture.vocabulary)")
    }
    guard let first = try first(ofBatch: images) else { return [] }
    let ranked = try rankedTokens(ofBatch: images, count: settings.ranks)
    let (height, width) = (first.height / 8, first.width / 8)
    return images.indices.map { image in
      SoftTokens.split(
        ranked, image * height * width..<(image + 1) * height * width, height: height, settings)
    }
  }

  private func rankedTokens(ofBatch images: [PixelImage], count: Int) throws -> RankedTokens {
    if let device { return try device.rankedTokens(images, count: count) }
    guard let encoder else {
      throw DVAEError(.usage, "int8 gives tokens only; for logits load the model in float32")
    }
    return try encoder.rankedTokens(mappedTensor(images), count: count)
  }
}
