import DVAEFiles

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
  public static let extensions: Set<String> = [
    "jpg", "jpeg", "jpe", "jfif", "pjpeg", "pjp", "mpo", "png", "apng", "webp",
  ]

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

  /// The extension that files of the format usually have.
  package var fileExtension: String { self == .jpeg ? "jpg" : rawValue.lowercased() }

  /// Recognises a file whose name does not say what it is, as crawlers name images by their hashes
  /// and downloaders append numbers.
  ///
  /// - Parameters:
  ///   - name: the name of the file, which may be in an archive
  ///   - read: reads the given number of bytes at its start, or fewer
  /// - Returns: the format; nil for other files
  /// - Throws: errors of reading
  static func ofUnnamed(
    _ name: String, _ read: (Int) throws(DVAEError) -> [UInt8]
  ) throws(DVAEError) -> ImageFormat? {
    guard !Path(name).hasExtensionOfData else { return nil }
    return try read(16).withUnsafeBytes { ImageFormat(content: $0) }
  }

  static let pngSignature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

  /// Returns whether the first line of bytes is the path of an image or an archive.
  static func isList(_ bytes: UnsafeRawBufferPointer) -> Bool {
    let line = bytes.prefix(4096).prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
    guard line.count < bytes.count, let text = String(validating: line, as: UTF8.self) else {
      return false
    }
    return Path(text).hasImageExtension || Path(text).isArchive
  }

  /// Describes bytes that are not a known image, for an error message.
  static func describe(_ bytes: UnsafeRawBufferPointer) -> String {
    if bytes.starts(with: [0xFF, 0xD8]) || bytes.starts(with: pngSignature.prefix(4)) {
      return "a damaged image header"
    }
    let content = FileContent(bytes)
    return switch content.family {
    case .image: content.name + "; convert it to PNG"
    case .tar: content.name + "; name it .tar"
    case .table:
      content.name
        + "; images are read from files, folders and .tar archives, such as those that are prepared from "
        + "tables"
    default: content.name
    }
  }
}
