public import DVAEFiles
public import DVAEImages

/// The protocols that make figures comparable: the preprocessing of a photo to the original, and
/// the conversion of the model's output to the image compared with it.
public enum EvaluationProtocol: String, Sendable, Codable, CaseIterable {
  /// The released code's preprocessing and its conversion to bytes.
  case lanczos256 = "lanczos-256"
  /// The preprocessing of most published tables of tokenizers: torchvision's `Resize(256)` and
  /// `CenterCrop(256)`; bytes are rounded.
  case bilinear256 = "bilinear-256"
  /// Every image at its own size.
  case native

  /// The preprocessing in words.
  public var preprocessing: String {
    switch self {
    case .lanczos256:
      "short side to 256 by Pillow's LANCZOS (long side rounded, half to even), middle 256×256; "
        + "smaller images are refused"
    case .bilinear256:
      "short side to 256 by Pillow's BILINEAR (long side rounded down), middle 256×256, as "
        + "torchvision's Resize and CenterCrop; smaller images are enlarged"
    case .native: "no resizing; both sides cut around the middle to multiples of 8"
    }
  }

  /// The conversion of the reconstruction to bytes in words.
  public var conversion: String {
    "sigmoid(μ) of the most likely tokens, (x − 0.1) / 0.8 clamped to [0, 1], times 255, "
      + (isRounded ? "rounded to the nearest byte" : "cut off to a byte")
  }

  /// The value range of the measures in words.
  public static let valueRange =
    "8-bit RGB, 0 to 255, original and reconstruction alike; peak 255; L1 in units of 255"

  /// Whether colours are rounded to the nearest byte instead of truncated.
  package var isRounded: Bool { self == .bilinear256 }

  /// Returns the original of a photo.
  ///
  /// - Throws: `DVAEError.tooSmall` for an image that the protocol refuses, `limitExceeded` for a
  ///   very narrow image that would become too large.
  public func apply(_ image: PixelImage, name: String) throws(DVAEError) -> PixelImage {
    switch self {
    case .lanczos256: return try Preprocessing().apply(image, name: name)
    case .native: return try Preprocessing(crop: .none).apply(image, name: name)
    case .bilinear256:
      let side = 256
      let (short, long) = (min(image.width, image.height), max(image.width, image.height))
      let grown = side * long / short
      guard grown <= DecodingLimits.default.maximumPixels / side else {
        let wide = image.width > image.height
        throw .tooLargeResized(
          name: name, width: wide ? grown : side, height: wide ? side : grown)
      }
      let resized = image.resized(
        width: image.width == short ? side : grown, height: image.height == short ? side : grown,
        filter: .bilinear)
      return try resized.centerCropped(width: side, height: side, name: name)
    }
  }
}
