import DVAEFiles
import DVAECPUEngine
public import DVAEModel
public import DVAEImages
import DVAEWeights

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What an encoder computes with.
public enum Precision: String, Codable, CaseIterable, Sendable {
  /// Single precision, as the reference does.
  case float32
  /// Whole numbers, of 8 bits in the residual branches: faster, and a few tokens differ.
  case int8
}

extension WeightsFiles {
  /// The ranges of the encoder's activations that `convert` wrote; nil where it did not.
  ///
  /// - Throws: ranges that do not fit the encoder.
  public func activationRanges() throws -> ActivationRanges? {
    for file in files where file.format == .safetensors {
      guard let text = file.metadata[WeightsMetadata.ranges] else { continue }
      let ranges = try? JSONDecoder().decode(ActivationRanges.self, from: Data(text.utf8))
      guard let ranges, ranges.cover(model.architecture) else {
        throw DVAEError(
          .badData, file: file.path,
          "its metadata '\(WeightsMetadata.ranges)' has no range for each layer of the "
            + "encoder; measure them again by converting the weights with photos")
      }
      return ranges
    }
    return nil
  }
}

/// Measures on photos how large an encoder's activations get, for int8.
public struct RangeMeter {
  private let encoder: ImageEncoder<DefaultEngine>
  /// What was measured so far.
  public private(set) var ranges = ActivationRanges()

  /// Prepares the encoder, in float32.
  ///
  /// - Parameters:
  ///   - weights: with an encoder
  ///   - threads: to compute with; one per core unless given
  /// - Throws: weights without an encoder
  public init(_ weights: WeightsFiles, threads: Int? = nil) throws {
    guard let parameters = weights.model.encoder else {
      throw DVAEError(
        .missing, file: weights.files[0].path, "no encoder in there, and int8 is for encoding")
    }
    encoder = ImageEncoder(
      weights.model.architecture, parameters: parameters,
      engine: try DefaultEngine(threads: threads))
  }

  /// Includes a photo of any size.
  ///
  /// - Parameters:
  ///   - photo: a real one
  ///   - preprocessing: what is done to it first
  ///   - name: what errors call it
  /// - Throws: an image that is too small
  public mutating func add(
    _ photo: PixelImage, _ preprocessing: Preprocessing = Preprocessing(), name: String
  ) throws {
    let picture = try preprocessing.apply(photo, name: name)
    ranges.formUnion(try encoder.ranges(mappedTensor([picture])))
  }
}
