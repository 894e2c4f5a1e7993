import DVAEModel
package import DVAEImages
import DVAETensors
package import DVAETokens

/// Returns a smooth image that depends on the seed.
package func testPicture(_ seed: Int, width: Int = 64, height: Int = 64) -> PixelImage {
  var generator = SeededGenerator(seed: UInt64(seed) + 1)
  let pixels = (0..<3 * 8 * 8).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
  return PixelImage(width: 8, height: 8, pixels: pixels)
    .resized(width: width, height: height, filter: .bicubic)
}

/// Returns provenance for tokens that no model made.
package func testProvenance(
  _ crop: Preprocessing.CropMode = .none, count: Int = 7
) -> Provenance {
  Provenance(
    weights: .init(file: "encoder.pkl", sha256: String(repeating: "ab", count: 32)),
    architecture: .released, preprocessing: Preprocessing(crop: crop),
    inputs: .init(count: count, sha256: "cd"), engine: "none")
}
