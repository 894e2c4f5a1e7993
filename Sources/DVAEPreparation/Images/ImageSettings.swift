import DVAEImages
package import DVAEFiles

/// The settings for writing images.
package struct ImageSettings: Codable, Hashable, Sendable {
  /// The algorithms for reducing images.
  package enum Resize: String, Codable, Sendable, CaseIterable {
    /// TensorFlow's area averaging, as in the paper's training.
    case area
    /// Pillow's Lanczos.
    case lanczos
  }

  /// The treatment of images whose pixels are not changed.
  package enum Encoding: String, Codable, Sendable, CaseIterable {
    /// Their bytes are kept.
    case keep
    /// Every image is re-encoded as JPEG.
    case jpeg
  }

  /// The longer side in pixels above which images are reduced; nil keeps all sizes.
  package var maxSide: Int?
  /// Whether images are first cropped to the middle square.
  package var square = false
  package var resize = Resize.lanczos
  /// The treatment of images that are neither cropped nor reduced.
  package var encoding = Encoding.keep
  /// The quality of written JPEGs, 1 to 100.
  package var quality = 90
  /// The largest image file in bytes.
  package var maxBytes = 64 << 20
  /// The largest image in pixels.
  package var maxPixels = DecodingLimits.default.maximumPixels

  /// The default settings: images are not changed.
  package init() {}

  var limits: DecodingLimits {
    DecodingLimits(maximumPixels: maxPixels, maximumBytes: maxBytes)
  }

  /// Checks that every number is possible.
  package func validate() throws(DVAEError) {
    if let maxSide, !(8...65500).contains(maxSide) {
      throw DVAEError(.usage, "max_side must be from 8 to 65500, not \(maxSide)")
    }
    guard (1...100).contains(quality) else {
      throw DVAEError(.usage, "quality must be from 1 to 100, not \(quality)")
    }
    for (name, value) in [("max_bytes", maxBytes), ("max_pixels", maxPixels)] where value < 1 {
      throw DVAEError(.usage, "\(name) must be at least 1, not \(value)")
    }
  }
}
