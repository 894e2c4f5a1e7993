import DVAEFiles

/// Reads the orientation from a file, like Pillow's `exif_transpose`: from the Exif block, else
/// from the XMP packet.
///
/// Malformed metadata counts as "upright", so that it does not make the image unusable.
struct Exif {
  /// The Exif block; nil if there is none.
  private var block: [UInt8]?
  /// The XMP packet.
  private var packet: [UInt8]?

  /// The size limit of decompressed metadata in bytes.
  private static let largest = 1 << 20

  static func orientation(of bytes: UnsafeRawBufferPointer, format: ImageFormat) -> Orientation {
    var exif = Exif()
    switch format {
    case .jpeg: exif.readJPEG(ByteView(bytes))
    case .png: exif.readPNG(ByteView(bytes))
    case .webp:
      let container = WebPContainer(bytes)
      exif.block = container?.exif.map(Array.init)
      exif.packet = container?.xmp.map(Array.init)
    }
    let tagged = exif.block.flatMap(ExifDirectory.orientation)
    let noted = tagged ?? exif.packet.flatMap { number(inXMP: $0) }
    return noted.flatMap(Orientation.init) ?? .upright
  }

  /// Returns the digit after the first `tiff:Orientation="` or `tiff:Orientation>`.
  private static func number(inXMP packet: [UInt8]) -> Int? {
    let name = Array("tiff:Orientation".utf8)
    var rest = packet[...]
    while let place = rest.firstRange(of: name) {
      rest = rest[place.upperBound...]
      var value = rest
      if value.starts(with: "=\"".utf8) {
        value = value.dropFirst(2)
      } else if value.first == UInt8(ascii: ">") {
        value = value.dropFirst()
      } else {
        continue
      }
      if let digit = value.first, digit.isDigit { return Int(digit) - 0x30 }
    }
    return nil
  }

  /// Reads the application segments before the first scan.
  private mutating func readJPEG(_ view: ByteView) {
    let xmp = Array("http://ns.adobe.com/xap/1.0/\0".utf8)
    var at = 2
    while let prefix = view.number(at: at, size: 1),
      let marker = view.number(at: at + 1, size: 1)
    {
      // Any number of 0xFF may precede a marker.
      if marker == 0xFF || prefix != 0xFF {
        at += 1
        continue
      }
      // Start of scan or end of image: no more metadata follows.
      guard marker != 0xDA && marker != 0xD9 else { return }
      // Markers without a length.
      if marker == 0x01 || (0xD0...0xD8).contains(marker) {
        at += 2
        continue
      }
      guard let length = view.number(at: at + 2, size: 2), length >= 2 else { return }
      let content = view.slice(at: at + 4, count: length - 2)
      if marker == 0xE1, let content, content.starts(with: ExifDirectory.prefix) {
        // A block of more than a segment's bytes is in several of them, each with the prefix.
        block = block ?? ExifDirectory.prefix
        block?.append(contentsOf: content.dropFirst(ExifDirectory.prefix.count))
      } else if marker == 0xE1, let content, content.starts(with: xmp) {
        packet = Array(content)
      }
      at += 2 + length
    }
  }

  /// Reads the chunk `eXIf`, or the text chunks of ImageMagick and XMP.
  private mutating func readPNG(_ view: ByteView) {
    // Of several chunks of a kind the last one counts; only that one is inflated.
    var (profile, xmp) = (Text?.none, Text?.none)
    var at = ImageFormat.pngSignature.count
    while let length = view.number(at: at, size: 4) {
      // Pillow reads nothing behind the end of the image.
      guard !view.matches("IEND", at: at + 4), let content = view.slice(at: at + 8, count: length)
      else { break }
      if view.matches("eXIf", at: at + 4) {
        block = ExifDirectory.prefix + content
      } else if view.matches("tEXt", at: at + 4) {
        if let text = Self.value(of: Self.profileKeyword, in: content, skipping: 0) {
          profile = (text, isCompressed: false)
        }
      } else if view.matches("zTXt", at: at + 4) {
        // Skip the byte for the compression method, of which only one exists.
        if let text = Self.value(of: Self.profileKeyword, in: content, skipping: 1) {
          profile = (text, isCompressed: true)
        }
      } else if view.matches("iTXt", at: at + 4) {
        // A flag and the compression method follow the keyword.
        if let rest = Self.value(of: Self.xmpKeyword, in: content, skipping: 2) {
          xmp = Self.internationalText(rest, flag: content[content.count - rest.count - 2])
        } else if let rest = Self.value(of: Self.profileKeyword, in: content, skipping: 2) {
          profile = Self.internationalText(rest, flag: content[content.count - rest.count - 2])
        }
      }
      at += 12 + length
    }
    packet = xmp.flatMap(Self.contents)
    if block == nil { block = profile.flatMap(Self.contents).flatMap(Self.bytes(ofProfile:)) }
  }

  /// A text in a chunk.
  private typealias Text = (bytes: UnsafeRawBufferPointer, isCompressed: Bool)

  private static func contents(of text: Text) -> [UInt8]? {
    text.isCompressed ? inflate(text.bytes, limit: largest)?.bytes : Array(text.bytes)
  }

  private static func value(
    of keyword: StaticString, in content: UnsafeRawBufferPointer, skipping count: Int
  ) -> UnsafeRawBufferPointer? {
    let size = keyword.utf8CodeUnitCount + 1 + count
    guard ByteView(content).matches(keyword, at: 0), content.count > size,
      content[keyword.utf8CodeUnitCount] == 0
    else { return nil }
    return UnsafeRawBufferPointer(rebasing: content[size...])
  }

  private static let xmpKeyword: StaticString = "XML:com.adobe.xmp"
  private static let profileKeyword: StaticString = "Raw profile type exif"

  /// The text of an iTXt chunk behind its flag: a language and a translated keyword come first.
  private static func internationalText(_ rest: UnsafeRawBufferPointer, flag: UInt8) -> Text? {
    guard let language = rest.firstIndex(of: 0),
      let translation = rest[(language + 1)...].firstIndex(of: 0)
    else { return nil }
    let text = rest[(translation + 1)...].prefix(flag == 0 ? largest : rest.count)
    return (UnsafeRawBufferPointer(rebasing: text), isCompressed: flag != 0)
  }

  /// Decodes ImageMagick's form: three lines (empty, name, length), then hexadecimal digits.
  private static func bytes(ofProfile text: [UInt8]) -> [UInt8]? {
    let lines = text.split(
      separator: UInt8(ascii: "\n"), maxSplits: 3, omittingEmptySubsequences: false)
    guard lines.count == 4 else { return nil }
    let text = lines[3].filter { $0 > UInt8(ascii: " ") }
    let digits = text.compactMap(\.hexadecimalValue)
    guard digits.count == text.count, digits.count.isMultiple(of: 2) else { return nil }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }
}
