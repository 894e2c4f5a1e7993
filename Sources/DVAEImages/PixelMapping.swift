package import DVAETensors

/// The released code's mapping of bytes to the open interval in which the model works (paper,
/// appendix A.3, with ε = 0.1).
///
/// Each step is rounded to float32 as in PyTorch, so the results have the same bits.
package enum PixelMapping {
  /// ε: bytes are mapped to [ε, 1 − ε].
  package static let epsilon = 0.1
  /// 1 − 2ε: the length of the interval.
  package static let scale = Float(1 - 2 * epsilon)

  /// (1 − 2ε) · (byte / 255) + ε, for every byte.
  package static let table: [Float] = (0...255).map { byte in
    scale * (Float(byte) / 255) + Float(epsilon)
  }

  /// Returns the inverse, clamped to [0, 1]: (x − ε) / (1 − 2ε).
  package static func unmapped(_ x: Float) -> Float {
    let value = (x - Float(epsilon)) / scale
    // This form maps NaN to 0.
    return value >= 1 ? 1 : value > 0 ? value : 0
  }

  /// Returns the byte of a mapped number: the inverse times 255, truncated as in the released code.
  package static func byte(_ x: Float) -> UInt8 { UInt8(unmapped(x) * 255) }
}

/// Writes images of one size as mapped numbers in [N, H, W, 3] order.
///
/// `target` must have room for exactly their samples.
package func mapPixels(_ images: [PixelImage], into target: UnsafeMutableBufferPointer<Float>) {
  precondition(
    images.allSatisfy { $0.width == images[0].width && $0.height == images[0].height },
    "pictures of different sizes in one batch")
  precondition(target.count == images.reduce(0) { $0 + $1.pixels.count }, "target size")
  PixelMapping.table.withUnsafeBufferPointer { table in
    var at = 0
    for image in images {
      image.pixels.withUnsafeBufferPointer { pixels in
        for index in 0..<pixels.count { target[at + index] = table[Int(pixels[index])] }
      }
      at += image.pixels.count
    }
  }
}

/// Returns images of one size as mapped numbers, [N, H, W, 3]; at least one image.
package func mappedTensor(_ images: [PixelImage]) -> Tensor {
  precondition(!images.isEmpty, "no pictures")
  let tensor = Tensor(Shape(images.count, images[0].height, images[0].width, 3))
  mapPixels(images, into: tensor.elements)
  return tensor
}

/// Converts mapped numbers in [H, W, 3] order, sigmoid(μ) of the decoder's output, to an image:
/// unmapped, clamped and truncated to bytes as in the released code.
package func unmapPixels(
  _ samples: UnsafeBufferPointer<Float>, width: Int, height: Int
) -> PixelImage {
  precondition(samples.count == 3 * width * height, "sample count")
  return PixelImage(width: width, height: height) { pixels in
    for index in 0..<samples.count { pixels[index] = PixelMapping.byte(samples[index]) }
  }
}
