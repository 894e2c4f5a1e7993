import DVAETestSupport
import DVAEFiles
import DVAEImages
import DVAETensors
import Testing

/// TensorFlow's area kernel as a plain loop over all cells of one channel, in the order of its
/// sums.
private func slowArea(_ image: PixelImage, width: Int, height: Int) -> [UInt8] {
  func cells(_ index: Int, _ input: Int, _ output: Int) -> [(cell: Int, weight: Float)] {
    let scale = output > 1 ? Float(input - 1) / Float(output - 1) : Float(input) / Float(output)
    let (low, high) = (Float(index) * scale, Float(index + 1) * scale)
    return (Int(low.rounded(.down))..<Int(high.rounded(.up))).map { cell in
      let weight: Float =
        if Float(cell) < low {
          Float(cell + 1) > high ? scale : Float(cell + 1) - low
        } else {
          Float(cell + 1) > high ? high - Float(cell) : 1
        }
      return (min(cell, input - 1), weight)
    }
  }
  func scale(_ input: Int, _ output: Int) -> Float {
    output > 1 ? Float(input - 1) / Float(output - 1) : Float(input) / Float(output)
  }
  let norm = 1 / (scale(image.height, height) * scale(image.width, width))
  var result: [UInt8] = []
  for y in 0..<height {
    for x in 0..<width {
      for channel in 0..<3 {
        var sum: Float = 0
        for (row, weight) in cells(y, image.height, height) {
          var line: Float = 0
          for (column, part) in cells(x, image.width, width) {
            line += Float(image.pixels[3 * (row * image.width + column) + channel]) * part
          }
          sum += line * weight
        }
        result.append(UInt8(min(max((sum * norm).rounded(.toNearestOrEven), 0), 255)))
      }
    }
  }
  return result
}

@Suite struct AreaResizeTests {
  /// 4 → 3: scale 1.5, weights {0: 1, 1: ½}, {1: ½, 2: 1}, {3: 1½}.
  @Test func fourToThreeByHand() {
    let row: [UInt8] = [10, 40, 100, 250]
    let strip = PixelImage(width: 4, height: 1, pixels: row.flatMap { [$0, $0, $0] })
    // (10 + 20)/1.5 = 20, (20 + 100)/1.5 = 80, 250.
    let expected: [UInt8] = [20, 80, 250]
    #expect(strip.areaResized(width: 3, height: 1).pixels == expected.flatMap { [$0, $0, $0] })
    let column = PixelImage(width: 1, height: 4, pixels: strip.pixels)
    #expect(column.areaResized(width: 1, height: 3).pixels == expected.flatMap { [$0, $0, $0] })
  }

  /// 3 → 2: scale 2, cells {0, 1} and {2, 2}; sums of ½ round to the even byte.
  @Test func halvesRoundToEven() {
    func value(_ a: UInt8, _ b: UInt8) -> UInt8 {
      let pixels: [UInt8] = [a, a, a, b, b, b, 9, 9, 9]
      return PixelImage(width: 3, height: 1, pixels: pixels).areaResized(width: 2, height: 1)
        .pixels[0]
    }
    #expect(value(0, 1) == 0)
    #expect(value(1, 2) == 2)
    #expect(value(2, 3) == 2)
    #expect(value(254, 255) == 254)
  }

  @Test(arguments: [
    (7, 7, 5, 5), (40, 30, 40, 17), (33, 21, 16, 21), (100, 100, 67, 67), (64, 64, 1, 1),
    (301, 301, 288, 288), (97, 5, 96, 4), (5, 300, 4, 41), (2, 2, 1, 1),
  ])
  func equalsTheSlowLoop(_ w: Int, _ h: Int, _ width: Int, _ height: Int) {
    let image = Fixture.noise(width: w, height: h)
    let expected = slowArea(image, width: width, height: height)
    for kernels in ImageKernels.supported {
      let found = image.areaResized(width: width, height: height, kernels: kernels)
      #expect(found.pixels == expected, "\(kernels.name)")
    }
  }

  @Test func sameSizeIsTheSamePicture() {
    let image = Fixture.noise(width: 12, height: 9)
    #expect(image.areaResized(width: 12, height: 9) == image)
    #expect(slowArea(image, width: 12, height: 9) == image.pixels)
  }
}

/// Repeats the same numbers.
private struct Scripted: RandomNumberGenerator {
  var values: [UInt64]
  var position = 0
  mutating func next() -> UInt64 {
    defer { position += 1 }
    return values[position % values.count]
  }
}

@Suite struct TrainingAugmentationTests {
  @Test func rangesAreThePapers() {
    let augmentation = TrainingAugmentation()
    #expect(augmentation.sides(of: 1000) == 288...384)
    #expect(augmentation.sides(of: 300) == 288...300)
    #expect(augmentation.sides(of: 270) == 270...270)
    #expect(TrainingAugmentation(resolution: 64).sides(of: 500) == 72...96)
  }

  /// The steps of listing 1 by hand, with draws at the low or the high end.
  @Test func stepsAreThePapers() throws {
    let image = Fixture.noise(width: 60, height: 40)
    let augmentation = TrainingAugmentation(resolution: 32)
    // Products whose low half is below 2⁶⁴ mod bound are rejected, so 0 itself is not "low".
    var low = Scripted(values: [1 << 56])
    let first = try augmentation.apply(image, name: "", using: &low)
    #expect(
      first
        == image.cropped(x: 0, y: 0, width: 40, height: 40).areaResized(width: 36, height: 36)
        .cropped(x: 0, y: 0, width: 32, height: 32))
    var high = Scripted(values: [.max])
    let second = try augmentation.apply(image, name: "", using: &high)
    #expect(
      second
        == image.cropped(x: 20, y: 0, width: 40, height: 40)
        .cropped(x: 8, y: 8, width: 32, height: 32).mirrored())
  }

  @Test func isAFunctionOfTheSeed() throws {
    let image = try Fixture.image("images/odd_401x333.png")
    var seen: [UInt32] = []
    for stream in UInt64(0)..<3 {
      var generator = SeededGenerator(seed: 5, stream: stream)
      var twin = generator
      let crop = try TrainingAugmentation().apply(image, name: "", using: &generator)
      #expect(crop == (try TrainingAugmentation().apply(image, name: "", using: &twin)))
      #expect(crop.width == 256 && crop.height == 256)
      seen.append(crc32(crop.pixels))
    }
    // These never change: later versions must be able to repeat a training run.
    #expect(seen == [2_615_560_673, 1_843_386_336, 1_760_392_439])
  }

  @Test func smallPicturesAreErrors() {
    var generator = SeededGenerator(seed: 1)
    #expect(
      throws: DVAEError.tooSmall(
        name: "a", width: 300, height: 255, neededWidth: 256, neededHeight: 256,
        remedy: "train at a lower resolution")
    ) {
      try TrainingAugmentation().apply(
        Fixture.noise(width: 300, height: 255), name: "a", using: &generator)
    }
    #expect(throws: DVAEError.self) {
      try TrainingAugmentation(resolution: 0).apply(
        Fixture.noise(width: 3, height: 3), name: "a", using: &generator)
    }
    #expect(throws: Never.self) {
      try TrainingAugmentation().apply(
        Fixture.noise(width: 256, height: 256), name: "a", using: &generator)
    }
  }

  @Test func boundedDrawsAreUniform() {
    var generator = SeededGenerator(seed: 3)
    var counts = [Int](repeating: 0, count: 7)
    for _ in 0..<70_000 { counts[Int(bounded(7, using: &generator))] += 1 }
    // Five standard deviations of a binomial count.
    #expect(counts.allSatisfy { abs($0 - 10_000) < 464 })
    #expect((0..<50).allSatisfy { _ in bounded(1, using: &generator) == 0 })
  }

  @Test func biasedDrawsAreRepeated() {
    // 2⁶⁴ mod 3 = 1: only the product with a low half of 0 is rejected.
    var generator = Scripted(values: [0, .max])
    #expect(bounded(3, using: &generator) == 2)
    #expect(generator.position == 2)
  }
}
