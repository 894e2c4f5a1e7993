package import DVAEFiles
internal import CDVAEImageCodecs

/// Limits of what a file can make the decoder do, checked before memory is allocated.
public struct DecodingLimits: Sendable, Hashable, Codable {
  /// The largest number of pixels; the default, 178 956 970, is Pillow's.
  public var maximumPixels: Int
  /// The largest file in bytes; the default is 1 GiB.
  public var maximumBytes: Int

  /// Makes limits; the defaults suit photos.
  public init(maximumPixels: Int = 178_956_970, maximumBytes: Int = 1 << 30) {
    self.maximumPixels = maximumPixels
    self.maximumBytes = maximumBytes
  }

  /// Pillow's limit on pixels, and 1 GiB per file.
  public static let `default` = DecodingLimits()
}

/// Decodes a JPEG, PNG or WebP image to 8-bit RGB; the format is detected from the content.
///
/// The pixels equal those of Pillow's `Image.open(…).convert("RGB")` after
/// `ImageOps.exif_transpose`: libjpeg's defaults; CMYK as Adobe stores it; palettes resolved; alpha
/// dropped without blending; 16-bit colour truncated to its high byte and 16-bit gray clipped at
/// 255; the first frame of an animation; embedded colour profiles and gamma ignored. Unlike in
/// Pillow, which fills lost parts with gray, a damaged JPEG is an error. `name` is the image's name
/// in errors. The header is checked against `limits` before memory is allocated.
package func decodeImage(
  _ bytes: [UInt8], name: String, limits: DecodingLimits = .default
) throws(DVAEError) -> PixelImage {
  try bytes.withRawBytes { (buffer) throws(DVAEError) in
    try decodeImage(buffer, name: name, limits: limits)
  }
}

/// Decodes an image from borrowed memory; see the form that takes an array.
package func decodeImage(
  _ bytes: UnsafeRawBufferPointer, name: String, limits: DecodingLimits = .default
) throws(DVAEError) -> PixelImage {
  guard !bytes.isEmpty else { throw .empty(name: name) }
  guard let format = ImageFormat(content: bytes) else {
    throw .notAnImage(
      name: name, found: ImageFormat.describe(bytes), isList: ImageFormat.isList(bytes))
  }
  guard bytes.count <= limits.maximumBytes else {
    throw .tooManyBytes(name: name, bytes: bytes.count, limit: limits.maximumBytes)
  }
  let decoder = Decoder(bytes: bytes, format: format, name: name, limits: limits)
  return try decoder.decode().oriented(Exif.orientation(of: bytes, format: format))
}

/// The state that the steps of one decoding share.
private struct Decoder {
  let bytes: UnsafeRawBufferPointer
  let format: ImageFormat
  let name: String
  let limits: DecodingLimits

  func decode() throws(DVAEError) -> PixelImage {
    if format == .webp, let container = WebPContainer(bytes) {
      guard container.size <= bytes.count else {
        throw truncated("\(bytes.count) of \(container.size) bytes")
      }
      if let canvas = container.canvas {
        return try decodeFirstFrame(container.frame, canvas: canvas)
      }
    }
    var report = dvae_codec_report()
    let base = bytes.bindMemory(to: UInt8.self).baseAddress
    let status =
      switch format {
      case .jpeg: dvae_jpeg_header(base, bytes.count, &report)
      case .png: dvae_png_header(base, bytes.count, &report)
      case .webp: dvae_webp_header(base, bytes.count, &report)
      }
    try check(status, report)
    let (width, height) = (Int(report.width), Int(report.height))
    try checkSize(width: width, height: height)
    return try PixelImage(width: width, height: height) { pixels throws(DVAEError) in
      let status =
        switch format {
        case .jpeg: dvae_jpeg_decode(base, bytes.count, pixels.baseAddress, &report)
        case .png: dvae_png_decode(base, bytes.count, pixels.baseAddress, &report)
        case .webp:
          dvae_webp_decode(
            base, bytes.count, pixels.baseAddress, 3 * width, pixels.count, &report)
        }
      try check(status, report)
    }
  }

  /// Draws the first frame of an animation on a black canvas.
  func decodeFirstFrame(
    _ frame: WebPContainer.Frame?, canvas: (width: Int, height: Int)
  ) throws(DVAEError) -> PixelImage {
    guard let frame else {
      throw truncated("it holds no whole frame")
    }
    try checkSize(width: canvas.width, height: canvas.height)
    guard frame.x + frame.width <= canvas.width && frame.y + frame.height <= canvas.height else {
      throw corrupt("the first frame leaves the canvas")
    }
    let chunks = frame.chunks.bindMemory(to: UInt8.self)
    var report = dvae_codec_report()
    try check(dvae_webp_header(chunks.baseAddress, chunks.count, &report), report)
    guard report.width == frame.width && report.height == frame.height else {
      throw corrupt("the first frame's sizes disagree")
    }
    let stride = 3 * canvas.width
    let start = frame.y * stride + 3 * frame.x
    return try PixelImage(width: canvas.width, height: canvas.height) { pixels throws(DVAEError) in
      pixels.initialize(repeating: 0)
      let target = UnsafeMutableBufferPointer(rebasing: pixels[start...])
      let status = dvae_webp_decode(
        chunks.baseAddress, chunks.count, target.baseAddress, stride, target.count, &report)
      try check(status, report)
    }
  }

  func checkSize(width: Int, height: Int) throws(DVAEError) {
    guard width > 0 && height > 0 else {
      throw corrupt("its size is \(width)×\(height)")
    }
    let (count, overflow) = width.multipliedReportingOverflow(by: height)
    guard !overflow && count <= limits.maximumPixels else {
      throw .tooManyPixels(name: name, width: width, height: height, limit: limits.maximumPixels)
    }
  }

  func check(_ status: Int32, _ report: dvae_codec_report) throws(DVAEError) {
    switch status {
    case Int32(DVAE_CODEC_OK.rawValue): return
    case Int32(DVAE_CODEC_TRUNCATED.rawValue):
      throw truncated(message(of: report))
    case Int32(DVAE_CODEC_UNSUPPORTED.rawValue):
      throw unsupported(message(of: report))
    case Int32(DVAE_CODEC_MEMORY.rawValue):
      throw unsupported("out of memory")
    default: throw corrupt(message(of: report))
    }
  }

  /// Returns the error of bytes that end before the image does.
  private func truncated(_ reason: String) -> DVAEError {
    DVAEError(
      .badData, code: .truncated, file: name, "the \(format) image ends early (\(reason))",
      advice: "fetch or copy the file again")
  }

  /// Returns the error of bytes that contradict their format.
  private func corrupt(_ reason: String) -> DVAEError {
    DVAEError(
      .badData, code: .malformed, file: name, "the \(format) image is damaged (\(reason))",
      advice: "fetch or copy the file again")
  }

  /// Returns the error of an unsupported variety of a known format.
  private func unsupported(_ reason: String) -> DVAEError {
    DVAEError(
      .badData, code: .unsupported, file: name,
      "this kind of \(format) is not supported (\(reason))",
      advice: format == .png ? "reduce it" : "convert it to 8-bit PNG")
  }
}

/// Returns the library's message after a failure.
func message(of report: dvae_codec_report) -> String {
  withUnsafeBytes(of: report.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}
