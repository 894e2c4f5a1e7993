import DVAEFiles
public import DVAEImages

/// An original through another codec, at no more bytes than its tokens take.
///
/// The bytes are those of the whole file, its headers included: what one would have to store.
public struct ImageCodecRow: Hashable, Sendable, Codable {
  /// The codecs that tokens are compared with.
  public static let formats: [ImageFormat] = [.jpeg, .webp]

  /// `JPEG` (baseline, 4:2:0) or `WebP` (lossy).
  public let codec: String
  /// The largest whole quality that fits, else the lowest that there is.
  public let quality: Int
  /// Bytes of the file.
  public let bytes: Int
  /// Whether they are as few as asked for; if not, this is the smallest file that the codec makes.
  public let fits: Bool
  /// The decoded file's distance from the original.
  public let measures: PictureMeasures

  /// Compresses a picture to at most so many bytes; nil where the codec cannot take its size.
  ///
  /// The quality is found by bisection: files grow with it, but for a few bytes here and there.
  public init?(_ format: ImageFormat, of original: PixelImage, bytes limit: Int) {
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
