import DVAEDeviceModel
package import DVAEEvaluation
package import DVAEImages
package import DVAEModel
import DVAETensors
package import DVAETokens

extension DiscreteVAE {
  /// Reconstructs an image and measures everything that `dvae evaluate` reports.
  ///
  /// - Parameters:
  ///   - photo: an image of any size that the protocol accepts
  ///   - protocol: the preprocessing and rounding, fixed so that others can repeat the figures
  ///   - key: the result's key
  ///   - name: the photo's name in errors; by default the key
  /// - Returns: the figures, the tokens, and the two images that were compared
  /// - Throws: if the protocol refuses the image, memory is too small for it, or the model lacks
  ///   its encoder or decoder.
  public func evaluate(
    _ photo: PixelImage, by protocol: EvaluationProtocol, key: String, name: String? = nil
  ) throws -> (figures: ImageEvaluation, tokens: TokenGrid, pictures: EvaluatedPictures) {
    let original = try `protocol`.apply(photo, name: name ?? key)
    let found = try measured([original], by: `protocol`)[0]
    return (found.figures(key), found.tokens, found.pictures)
  }

  /// Encodes and decodes the originals of a protocol, all of one size, and returns the terms of their
  /// objective; a device computes them as one batch, the CPU one after the other.
  ///
  /// - Throws: if sizes differ, memory is too small, or the model lacks its encoder or decoder.
  package func measured(
    _ originals: [PixelImage], by protocol: EvaluationProtocol
  ) throws -> [MeasuredImage] {
    for half in ModelHalf.allCases where !has(half) { throw missing(half) }
    let found: [(parts: ObjectiveParts<Double>, tokens: [Int32], medians: Tensor)]
    if let device {
      guard try first(ofBatch: originals) != nil else { return [] }
      found = try device.evaluate(originals).map {
        ($0.parts, $0.tokens, ReferenceEngine().medians(of: $0.statistics))
      }
    } else {
      found = try originals.map { try measures(of: $0) }
    }
    let rounded = `protocol`.isRounded
    return zip(originals, found).map { original, found in
      let reconstruction = PixelImage(
        width: original.width, height: original.height,
        pixels: found.medians.array.map {
          rounded ? UInt8((PixelMapping.unmapped($0) * 255).rounded()) : PixelMapping.byte($0)
        })
      return MeasuredImage(
        pictures: EvaluatedPictures(original: original, reconstruction: reconstruction),
        tokens: TokenGrid(
          height: original.height / Architecture.pixelsPerToken,
          width: original.width / Architecture.pixelsPerToken,
          tokens: found.tokens.map { UInt16(truncatingIfNeeded: $0) }),
        bitsPerToken: architecture.bitsPerToken, parts: found.parts)
    }
  }

  /// Returns the objective of an image with β = 1, its tokens, and the medians of their
  /// distribution.
  private func measures(
    of image: PixelImage
  ) throws -> (parts: ObjectiveParts<Double>, tokens: [Int32], medians: Tensor) {
    try checkMemory(1, image.height, image.width)
    guard let encoder else { throw missing(.encoder) }
    guard let decoder else { throw missing(.decoder) }
    let found = try Objective(encoder: encoder, decoder: decoder)
      .evaluate(mappedTensor([image]), beta: 1)
    return (found.parts, found.tokens, decoder.engine.medians(of: found.statistics))
  }

  /// Hashes the weights files of encoder and decoder; this reads all of them.
  ///
  /// - Throws: if a file can no longer be read.
  public func weightsProvenance() throws -> [WeightsProvenance] {
    guard let weights else { return origin.map { [$0] } ?? [] }
    var found: [WeightsProvenance] = []
    for half in ModelHalf.allCases where weights.parameters(half) != nil {
      let file = try weights.provenance(of: half)
      // One file may hold both parts.
      if !found.contains(where: { $0.sha256 == file.sha256 }) { found.append(file) }
    }
    return found
  }
}

/// The two images that were compared.
public struct EvaluatedPictures: Equatable, Sendable {
  /// The photo after the protocol's preprocessing.
  public let original: PixelImage
  /// The decoded tokens of `original`.
  public let reconstruction: PixelImage

  /// Pairs two pictures of one size.
  public init(original: PixelImage, reconstruction: PixelImage) {
    self.original = original
    self.reconstruction = reconstruction
  }
}

/// An original, its reconstruction, and the terms of its objective.
package struct MeasuredImage: Sendable {
  /// The two images.
  package let pictures: EvaluatedPictures
  /// The most likely tokens.
  package let tokens: TokenGrid
  fileprivate let bitsPerToken: Int
  fileprivate let parts: ObjectiveParts<Double>

  /// Compares the two images, and the original with JPEG and WebP, which takes longer than a device
  /// computes.
  package func figures(_ key: String) -> ImageEvaluation {
    ImageEvaluation(
      key: key, of: pictures.reconstruction, comparedTo: pictures.original,
      tokens: tokens.tokens.count, bitsPerToken: bitsPerToken, parts)
  }
}
