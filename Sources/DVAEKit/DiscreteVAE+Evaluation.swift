import DVAEDeviceModel
package import DVAEEvaluation
package import DVAEImages
package import DVAEModel
import DVAETensors
package import DVAETokens

extension DiscreteVAE {
  /// Sends an image through the model and back, and measures everything that `dvae evaluate` tells.
  ///
  /// - Parameters:
  ///   - photo: a picture of any size that the protocol takes
  ///   - protocol: what is fixed so that others can repeat the figures
  ///   - key: what the result is filed under
  ///   - name: what errors call the photo; the key unless given
  /// - Returns: the figures, the tokens, and the two pictures that were compared
  /// - Throws: an image that the protocol refuses or memory does not hold, or a model without one of
  ///   its halves.
  public func evaluate(
    _ photo: PixelImage, by protocol: EvaluationProtocol, key: String, name: String? = nil
  ) throws -> (figures: ImageEvaluation, tokens: TokenGrid, pictures: EvaluatedPictures) {
    let original = try `protocol`.apply(photo, name: name ?? key)
    try checkMemory(1, original.height, original.width)
    let found = try measures(of: original)
    let rounded = `protocol`.isRounded
    let reconstruction = PixelImage(
      width: original.width, height: original.height,
      pixels: found.medians.array.map {
        rounded ? UInt8((PixelMapping.unmapped($0) * 255).rounded()) : PixelMapping.byte($0)
      })
    let grid = TokenGrid(
      height: original.height / Architecture.pixelsPerToken,
      width: original.width / Architecture.pixelsPerToken,
      tokens: found.tokens.map { UInt16(truncatingIfNeeded: $0) })
    let figures = ImageEvaluation(
      key: key, of: reconstruction, comparedTo: original, tokens: grid.tokens.count,
      bitsPerToken: architecture.bitsPerToken, found.parts)
    return (figures, grid, EvaluatedPictures(original: original, reconstruction: reconstruction))
  }

  /// The objective of an image with β = 1, its tokens, and the medians of their distribution.
  private func measures(
    of image: PixelImage
  ) throws -> (parts: ObjectiveParts<Double>, tokens: [Int32], medians: Tensor) {
    for half in NetworkPlan.Half.allCases where !has(half) { throw missing(half) }
    if let device {
      let found = try device.evaluate(image)
      return (found.parts, found.tokens, Self.medians(found.statistics, ReferenceEngine()))
    }
    guard let encoder else { throw missing(.encoder) }
    guard let decoder else { throw missing(.decoder) }
    let found = try Objective(encoder: encoder, decoder: decoder)
      .evaluate(mappedTensor([image]), beta: 1)
    return (found.parts, found.tokens, Self.medians(found.statistics, decoder.engine))
  }

  /// The files that both halves were read from, hashed; this reads all of them.
  ///
  /// - Throws: a file that cannot be read any more.
  public func weightsProvenance() throws -> [WeightsProvenance] {
    guard let weights else { return origin.map { [$0] } ?? [] }
    var found: [WeightsProvenance] = []
    for half in NetworkPlan.Half.allCases where weights.parameters(half) != nil {
      let file = try weights.provenance(of: half)
      // One file may hold both.
      if !found.contains(where: { $0.sha256 == file.sha256 }) { found.append(file) }
    }
    return found
  }
}

/// The two pictures that were compared.
public struct EvaluatedPictures: Equatable, Sendable {
  /// The photo after the protocol's preprocessing.
  public let original: PixelImage
  /// What the model made of its tokens.
  public let reconstruction: PixelImage

  /// Pairs two pictures of one size.
  public init(original: PixelImage, reconstruction: PixelImage) {
    self.original = original
    self.reconstruction = reconstruction
  }
}
