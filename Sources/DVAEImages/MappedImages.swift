package import DVAETensors

/// Returns images of one size as mapped numbers, [N, H, W, 3]; at least one image.
package func mappedTensor(_ images: [PixelImage]) -> Tensor {
  precondition(
    !images.isEmpty
      && images.allSatisfy { $0.width == images[0].width && $0.height == images[0].height },
    "no pictures, or pictures of different sizes in one batch")
  let tensor = Tensor(Shape(images.count, images[0].height, images[0].width, 3))
  let target = tensor.elements
  PixelMapping.table.withUnsafeBufferPointer { table in
    var at = 0
    for image in images {
      image.pixels.withUnsafeBufferPointer { pixels in
        for index in 0..<pixels.count { target[at + index] = table[Int(pixels[index])] }
      }
      at += image.pixels.count
    }
  }
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
