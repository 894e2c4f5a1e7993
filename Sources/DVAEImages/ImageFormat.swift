/// The image formats that can be decoded.
public enum ImageFormat: String, Sendable, CaseIterable, CustomStringConvertible {
  /// JPEG: baseline and progressive; gray, YCbCr, RGB, CMYK and YCCK.
  case jpeg = "JPEG"
  /// PNG: every colour type, depth and interlacing.
  case png = "PNG"
  /// WebP: lossy, lossless, with alpha, and the first frame of an animation.
  case webp = "WebP"

  /// The usual name of the format.
  public var description: String { rawValue }

  /// The file name extensions under which folders and WebDataset samples are searched for images,
  /// in lower case.
  public static let extensions: Set<String> = ["jpg", "jpeg", "jpe", "jfif", "png", "webp"]

  /// The format of a file's first bytes; the file's name does not matter.
  public init?(content bytes: UnsafeRawBufferPointer) {
    if bytes.starts(with: [0xFF, 0xD8, 0xFF]) {
      self = .jpeg
    } else if bytes.starts(with: Self.pngSignature) {
      self = .png
    } else if bytes.starts(with: "RIFF".utf8) && bytes.dropFirst(8).starts(with: "WEBP".utf8) {
      self = .webp
    } else {
      return nil
    }
  }

  static let pngSignature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

  /// Describes bytes that are not a known image, for an error message.
  static func describe(_ bytes: UnsafeRawBufferPointer) -> String {
    for (offset, signature, name) in signatures
    where bytes.dropFirst(offset).starts(with: signature.utf8) {
      return name
    }
    let head = bytes.prefix(512)
    if head.starts(with: [0xFF, 0xD8]) || head.starts(with: [0x89, 0x50, 0x4E, 0x47]) {
      return "a damaged image header"
    }
    if head.starts(with: [0x1F, 0x8B]) { return "gzip-compressed data" }
    if head.starts(with: [0xFF, 0x0A]) { return "a JPEG XL image; convert it to PNG" }
    if head.allSatisfy({ $0 == 0 }) { return "nothing but zero bytes" }
    guard let text = printable(head) else { return "unknown binary data" }
    let start = text.prefix { $0 != "\n" && $0 != "\r" }.prefix(32)
    let lowered = text.lowercased()
    if lowered.contains("<svg") { return "an SVG drawing; convert it to PNG" }
    if lowered.contains("<html") || lowered.contains("<!doctype") { return "an HTML page" }
    return "text that starts \"\(start)\""
  }

  private static let signatures: [(offset: Int, signature: String, name: String)] = [
    (0, "GIF8", "a GIF image; convert it to PNG"),
    (0, "BM", "a BMP image; convert it to PNG"),
    (0, "II*\0", "a TIFF image; convert it to PNG"),
    (0, "MM\0*", "a TIFF image; convert it to PNG"),
    (4, "ftypavif", "an AVIF image; convert it to PNG"),
    (4, "ftypheic", "a HEIC image; convert it to JPEG"),
    (4, "ftypmif1", "a HEIF image; convert it to JPEG"),
    (4, "ftyp", "a video or another ISO media file"),
    (4, "JXL ", "a JPEG XL image; convert it to PNG"),
    (4, "jP  ", "a JPEG 2000 image; convert it to PNG"),
    (0, "8BPS", "a Photoshop document; convert it to PNG"),
    (0, "%PDF", "a PDF document"),
    (0, "PK\u{3}\u{4}", "a zip archive"),
    (257, "ustar", "a tar archive; name it .tar"),
    (0, "RIFF", "a RIFF file that is no WebP image"),
    (
      0, "version https://git-lfs",
      "a Git LFS pointer; fetch the file itself with `git lfs pull`"
    ),
  ]

  private static func printable(_ bytes: Slice<UnsafeRawBufferPointer>) -> String? {
    // The last few bytes may be an incomplete character.
    for cut in 0..<4 where cut < bytes.count {
      guard let text = String(validating: bytes.dropLast(cut), as: UTF8.self) else { continue }
      let isText = text.unicodeScalars.allSatisfy {
        $0.properties.generalCategory != .control || $0 == "\n" || $0 == "\r" || $0 == "\t"
      }
      return isText ? text : nil
    }
    return nil
  }
}
