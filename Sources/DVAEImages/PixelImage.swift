public import DVAEFiles

/// An 8-bit RGB image.
public struct PixelImage: Sendable, Equatable {
  /// The number of pixels in a row.
  public let width: Int
  /// The number of rows.
  public let height: Int
  /// Red, green, blue, interleaved, row after row from the top: 3 · width · height bytes.
  public let pixels: [UInt8]

  /// Wraps interleaved RGB bytes; their number must be 3 · width · height.
  public init(width: Int, height: Int, pixels: [UInt8]) {
    precondition(width > 0 && height > 0 && pixels.count == 3 * width * height, "pixel count")
    self.width = width
    self.height = height
    self.pixels = pixels
  }

  /// Makes a picture whose bytes `fill` writes; it must write every one of them.
  package init<Failure: Error>(
    width: Int, height: Int,
    fill: (UnsafeMutableBufferPointer<UInt8>) throws(Failure) -> Void
  ) throws(Failure) {
    precondition(width > 0 && height > 0, "pixel count")
    let count = 3 * width * height
    var failure: Failure?
    // Uninitialised, so that a header with a false size touches no memory.
    let pixels = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      do throws(Failure) {
        try fill(UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
        initialized = count
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    self.init(width: width, height: height, pixels: pixels)
  }

  /// The red, green and blue of one pixel inside the image.
  public subscript(x: Int, y: Int) -> (red: UInt8, green: UInt8, blue: UInt8) {
    precondition((0..<width).contains(x) && (0..<height).contains(y), "pixel outside the picture")
    let at = 3 * (y * width + x)
    return (pixels[at], pixels[at + 1], pixels[at + 2])
  }
}

extension PixelImage: CustomStringConvertible {
  /// The size: "17×7 pixels".
  public var description: String { "\(width)×\(height) pixels" }
}

extension PixelImage {
  /// Crops a rectangle with its top left corner at (`x`, `y`); it must lie within the image.
  public func cropped(x: Int, y: Int, width: Int, height: Int) -> PixelImage {
    precondition(
      x >= 0 && y >= 0 && width > 0 && height > 0 && x <= self.width - width
        && y <= self.height - height, "the crop leaves the picture")
    if width == self.width && height == self.height { return self }
    return PixelImage(width: width, height: height) { target in
      pixels.withUnsafeBufferPointer { source in
        for row in 0..<height {
          let from = 3 * ((y + row) * self.width + x)
          let to = 3 * row * width
          _ = target[to..<to + 3 * width].update(
            fromContentsOf: source[from..<from + 3 * width])
        }
      }
    }
  }

  /// Crops the middle by torchvision's rule: the offset along a side is half of the surplus,
  /// rounded half to even (all releases of torchvision but 0.8).
  ///
  /// - Throws: `DVAEError.tooSmall` if a side of the image is too short.
  public func centerCropped(
    width: Int, height: Int, name: String
  ) throws(DVAEError) -> PixelImage {
    guard width > 0 && height > 0 else {
      throw DVAEError(.usage, "a crop of \(width)×\(height) pixels is empty")
    }
    guard self.width >= width && self.height >= height else {
      throw .tooSmall(
        name: name, width: self.width, height: self.height, neededWidth: width,
        neededHeight: height)
    }
    return cropped(
      x: Self.centerOffset(surplus: self.width - width),
      y: Self.centerOffset(surplus: self.height - height), width: width, height: height)
  }

  /// Returns half of a surplus of pixels, rounded half to even: 1 → 0, 3 → 2, 5 → 2, 7 → 4.
  package static func centerOffset(surplus: Int) -> Int {
    Int((Double(surplus) / 2).rounded(.toNearestOrEven))
  }

  /// Mirrors the image left to right.
  public func mirrored() -> PixelImage { oriented(.mirrored) }
}
