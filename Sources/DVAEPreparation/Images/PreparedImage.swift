import DVAEFiles
import DVAEImages

/// An image that has passed the filters, ready for a shard.
struct PreparedImage: Sendable {
  var bytes: [UInt8]
  var format: ImageFormat
  /// Width and height of the source, upright.
  var originalSize: [Int]
  var size: [Int]
  /// Left, top, width and height of the crop in the original; nil if it is not cropped.
  var crop: [Int]?
  var fingerprint: Fingerprint
}

/// The hashes that identify an image.
struct Fingerprint: Sendable, Hashable {
  /// SHA-256 of the source's bytes, 64 hexadecimal digits.
  var sha256: String
  /// The perceptual hash of the source's pixels, before any crop.
  var perceptual: UInt64
}

/// The time in libjpeg, libpng and libwebp for an image; that of decoding is nil if nothing was decoded.
typealias CodecTime = (decoding: Duration?, encoding: Duration)

// The filters of images.
extension PreparationSettings {
  /// Each enabled filter of images, with its threshold in words.
  var imageRules: [(reason: String, rule: String)] {
    var rules: [(String, String)] = []
    if let types = filters.types { rules.append(("type", types.joined(separator: ", "))) }
    rules.append(("damaged", "every image is decoded"))
    if let least = filters.minSide { rules.append(("min-side", "at least \(least) pixels")) }
    if let most = filters.maxAspect {
      rules.append(("max-aspect", "longer side at most \(most) times the shorter"))
    }
    return rules
  }

  /// Decodes, judges, crops and resizes an image; `time` receives the codecs' time.
  ///
  /// - Throws: the first filter that drops it
  func prepared(
    _ bytes: [UInt8], name: String, time: inout CodecTime
  ) throws(Drop) -> PreparedImage {
    guard let format = bytes.withUnsafeBytes({ ImageFormat(content: $0) }) else {
      throw Drop(.image, "not-an-image", reason(bytes, name))
    }
    if let types = filters.types, !types.contains(format.rawValue.lowercased()) {
      throw Drop(.picture, "type", format.rawValue)
    }
    let start = ContinuousClock.now
    let picture: PixelImage
    do throws(DVAEError) {
      picture = try decodeImage(bytes, name: name, limits: image.limits)
    } catch {
      throw Drop(.picture, kind(error), "\(error)")
    }
    time.decoding = .now - start
    try check(picture)
    let fingerprint = Fingerprint(
      sha256: FileHash.of(bytes), perceptual: PerceptualHash.of(picture))
    return try finished(picture, bytes, format, fingerprint, &time)
  }

  private func check(_ picture: PixelImage) throws(Drop) {
    let (short, long) = (
      min(picture.width, picture.height), max(picture.width, picture.height)
    )
    if let least = filters.minSide, short < least {
      throw Drop(.picture, "min-side", picture.description)
    }
    if let most = filters.maxAspect, Double(long) > most * Double(short) {
      throw Drop(.picture, "max-aspect", picture.description)
    }
  }

  private func finished(
    _ picture: PixelImage, _ bytes: [UInt8], _ format: ImageFormat, _ fingerprint: Fingerprint,
    _ time: inout CodecTime
  ) throws(Drop) -> PreparedImage {
    var result = PreparedImage(
      bytes: bytes, format: format, originalSize: [picture.width, picture.height],
      size: [], crop: nil, fingerprint: fingerprint)
    var changed = picture
    if image.square, picture.width != picture.height {
      let side = min(picture.width, picture.height)
      let (x, y) = ((picture.width - side) / 2, (picture.height - side) / 2)
      changed = picture.cropped(x: x, y: y, width: side, height: side)
      result.crop = [x, y, side, side]
    }
    changed = resized(changed)
    result.size = [changed.width, changed.height]
    if result.size != result.originalSize || image.encoding == .jpeg {
      let start = ContinuousClock.now
      do throws(DVAEError) {
        result.bytes = try encodeJPEG(changed, quality: image.quality)
      } catch {
        throw Drop(.picture, "not-encoded", "\(error)")
      }
      time.encoding = .now - start
      result.format = .jpeg
    }
    return result
  }

  private func resized(_ picture: PixelImage) -> PixelImage {
    let long = max(picture.width, picture.height)
    guard let most = image.maxSide, long > most else { return picture }
    func scaled(_ side: Int) -> Int {
      max(1, Int((Double(side) * Double(most) / Double(long)).rounded(.toNearestOrEven)))
    }
    let (width, height) = (scaled(picture.width), scaled(picture.height))
    switch image.resize {
    case .area: return picture.areaResized(width: width, height: height)
    case .lanczos: return picture.resized(width: width, height: height)
    }
  }

  private func reason(_ bytes: [UInt8], _ name: String) -> String {
    // A text file may be private, so its content is not reported.
    guard bytes.withUnsafeBytes({ FileContent($0).family }) != .text else {
      return "\(name): expected an image, found text"
    }
    do throws(DVAEError) {
      _ = try decodeImage(bytes, name: name)
      return ""
    } catch {
      return "\(error)"
    }
  }

  private func kind(_ error: DVAEError) -> String {
    switch error.code {
    case .tooManyPixels: "too-many-pixels"
    case .unsupported: "unsupported"
    default: "damaged"
    }
  }
}
