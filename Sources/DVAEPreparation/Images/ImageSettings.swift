import DVAEImages
package import DVAEFiles

/// What becomes of an image that passes the filters.
package struct ImageSettings: Codable, Hashable, Sendable {
  /// How pictures are made smaller.
  package enum Resize: String, Codable, Sendable, CaseIterable {
    /// TensorFlow's area averaging, as the paper's training does.
    case area
    /// Pillow's Lanczos.
    case lanczos
  }

  /// Whether the bytes of an image are kept where nothing about its pixels changes.
  package enum Encoding: String, Codable, Sendable, CaseIterable {
    /// They are kept.
    case keep
    /// Every image is encoded as JPEG anew.
    case jpeg
  }

  /// Pixels of the longer side above which a picture is made smaller; nil keeps all sizes.
  package var maxSide: Int?
  /// Whether the middle square is cut out first.
  package var square = false
  /// How pictures are made smaller.
  package var resize = Resize.lanczos
  /// What happens to pictures that are neither cut nor made smaller.
  package var encoding = Encoding.keep
  /// Quality of the JPEGs that are written, 1 to 100.
  package var quality = 90
  /// Most bytes of an image's file.
  package var maxBytes = 64 << 20
  /// Most pixels that an image may claim.
  package var maxPixels = DecodingLimits.default.maximumPixels

  /// The usual settings: images as they are.
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
    guard maxBytes > 0, maxPixels > 0 else {
      throw DVAEError(.usage, "max_bytes and max_pixels must be positive")
    }
  }
}
