import DVAEFiles
public import DVAEImages

/// An original compressed by another codec to at most the bytes of its tokens.
///
/// The bytes count the whole file including headers, because that is what must be stored.
public struct ImageCodecRow: Hashable, Sendable, Codable {
  /// The codecs that tokens are compared with.
  public static let formats: [ImageFormat] = [.jpeg, .webp]

  /// `JPEG` (baseline, 4:2:0) or `WebP` (lossy).
  public let codec: String
  /// The highest integer quality that fits, else the lowest quality.
  public let quality: Int
  /// The size of the file in bytes.
  public let bytes: Int
  /// Whether the file fits the limit; otherwise it is the codec's smallest.
  public let fits: Bool
  /// The decoded file compared with the original.
  public let measures: PictureMeasures

  /// Compresses an image to at most `bytes`; nil if the codec does not support its size.
  ///
  /// The quality is found by bisection, because file sizes grow almost monotonically with it.
  package init?(_ format: ImageFormat, of original: PixelImage, bytes limit: Int) {
    do {
      var low = format == .jpeg ? 1 : 0
      var best = try Self.encode(original, format, low)
      var high = best.count <= limit ? 101 : low
      while high - low > 1 {
        let middle = (low + high) / 2
        let file = try Self.encode(original, format, middle)
        if file.count <= limit { (low, best) = (middle, file) } else { high = middle }
      }
      codec = format.description
      quality = low
      bytes = best.count
      fits = best.count <= limit
      measures = PictureMeasures(
        of: try decodeImage(best, name: format.description), comparedTo: original)
    } catch {
      return nil
    }
  }

  private static func encode(
    _ image: PixelImage, _ format: ImageFormat, _ quality: Int
  ) throws(DVAEError) -> [UInt8] {
    format == .jpeg
      ? try encodeJPEG(image, quality: quality) : try encodeWebP(image, quality: Float(quality))
  }
}
