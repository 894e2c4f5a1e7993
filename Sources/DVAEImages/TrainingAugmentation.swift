package import DVAEFiles

/// The paper's random crops (appendix A.2, listing 1): a square anywhere in the image, reduced to 9/8 to 12/8 of
/// the resolution, cropped to it, and mirrored half of the time.
///
/// The published numbers are for 256 pixels and scale with the resolution.
package struct TrainingAugmentation: Sendable, Codable, Hashable {
  /// Width and height of the result in pixels.
  package var resolution: Int

  package init(resolution: Int = 256) { self.resolution = resolution }

  /// Draws one random crop of an image: resolution × resolution pixels.
  ///
  /// The draws are `bounded` numbers in this order: top and left of the square, its new side, top
  /// and left of the crop, and whether it is mirrored. The result is a function of the
  /// generator's numbers, on every platform and in every version of Swift.
  ///
  /// - Throws: `DVAEError.tooSmall` if the short side is below the resolution, which the paper's
  ///   recipe cannot use; `usage` if the resolution is not positive.
  package func apply(
    _ image: PixelImage, name: String, using generator: inout some RandomNumberGenerator
  ) throws(DVAEError) -> PixelImage {
    guard (1...65536).contains(resolution) else {
      throw DVAEError(.usage, "a training resolution of \(resolution) pixels is not possible")
    }
    let side = min(image.width, image.height)
    guard side >= resolution else {
      throw .tooSmall(
        name: name, width: image.width, height: image.height, neededWidth: resolution,
        neededHeight: resolution, remedy: "train at a lower resolution")
    }
    let top = draw(0...image.height - side, using: &generator)
    let left = draw(0...image.width - side, using: &generator)
    let target = draw(sides(of: side), using: &generator)
    let square = image.cropped(x: left, y: top, width: side, height: side)
      .areaResized(width: target, height: target)
    let y = draw(0...target - resolution, using: &generator)
    let x = draw(0...target - resolution, using: &generator)
    let result = square.cropped(x: x, y: y, width: resolution, height: resolution)
    return bounded(2, using: &generator) == 1 ? result.mirrored() : result
  }

  /// Returns the sides to which a square of `side` pixels may be reduced.
  package func sides(of side: Int) -> ClosedRange<Int> {
    func eighths(_ count: Int) -> Int {
      min(side, Int((Double(count * resolution) / 8).rounded(.toNearestOrEven)))
    }
    return eighths(9)...eighths(12)
  }

  private func draw(
    _ range: ClosedRange<Int>, using generator: inout some RandomNumberGenerator
  ) -> Int {
    range.lowerBound + Int(bounded(UInt64(range.count), using: &generator))
  }
}

/// Draws without bias from 0 ..< `bound`, a positive number.
///
/// The result is the high half of the 128-bit product of `bound` and 64 random bits; products whose
/// low half is below 2⁶⁴ mod `bound` are rejected (Lemire 2019, "Fast random integer generation in
/// an interval"). Unlike the standard library's draws, it will never change.
package func bounded(
  _ bound: UInt64, using generator: inout some RandomNumberGenerator
) -> UInt64 {
  precondition(bound > 0, "an empty range")
  let threshold = (0 &- bound) % bound
  while true {
    let product = generator.next().multipliedFullWidth(by: bound)
    if product.low >= threshold { return product.high }
  }
}
