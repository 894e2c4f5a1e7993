/// Finds the orientation that a camera has noted in a file.
///
/// Whatever is broken here is taken as "upright": a bad note must not cost the picture.
enum Exif {
  static func orientation(of bytes: UnsafeRawBufferPointer, format: ImageFormat) -> Orientation {
    let tiff =
      switch format {
      case .jpeg: inJPEG(ByteCursor(bytes))
      case .png: inPNG(ByteCursor(bytes))
      case .webp: WebPContainer(bytes)?.exif
      }
    return tiff.flatMap(orientation(inTIFF:)) ?? .upright
  }

  /// Walks the first image file directory of a TIFF block to tag 0x0112.
  private static func orientation(inTIFF bytes: UnsafeRawBufferPointer) -> Orientation? {
    var bytes = bytes
    // Some writers leave JPEG's own prefix in other containers.
    if bytes.starts(with: "Exif\0\0".utf8) { bytes = .init(rebasing: bytes.dropFirst(6)) }
    guard bytes.count >= 8 else { return nil }
    let cursor = ByteCursor(bytes, littleEndian: bytes[0] == UInt8(ascii: "I"))
    guard bytes[0] == bytes[1], cursor.number(at: 2, size: 2) == 42,
      let directory = cursor.number(at: 4, size: 4),
      let entries = cursor.number(at: directory, size: 2)
    else { return nil }
    for index in 0..<entries {
      let at = directory + 2 + 12 * index
      guard let tag = cursor.number(at: at, size: 2) else { return nil }
      guard tag == 0x0112 else { continue }
      // A count of one, as a 16-bit or a 32-bit number.
      guard cursor.number(at: at + 4, size: 4) == 1 else { return nil }
      let value: Int? =
        switch cursor.number(at: at + 2, size: 2) {
        case 3: cursor.number(at: at + 8, size: 2)
        case 4: cursor.number(at: at + 8, size: 4)
        default: nil
        }
      return value.flatMap(Orientation.init)
    }
    return nil
  }

  /// The Exif application segment, among the segments before the first scan.
  private static func inJPEG(_ cursor: ByteCursor) -> UnsafeRawBufferPointer? {
    var at = 2
    while let prefix = cursor.number(at: at, size: 1),
      let marker = cursor.number(at: at + 1, size: 1)
    {
      // Any number of 0xFF may precede a marker.
      if marker == 0xFF || prefix != 0xFF {
        at += 1
        continue
      }
      // Start of scan, end of image: no header follows.
      guard marker != 0xDA && marker != 0xD9 else { return nil }
      // Markers without a length.
      if marker == 0x01 || (0xD0...0xD8).contains(marker) {
        at += 2
        continue
      }
      guard let length = cursor.number(at: at + 2, size: 2), length >= 2 else { return nil }
      if marker == 0xE1 && cursor.matches("Exif\0\0", at: at + 4) {
        return length < 8 ? nil : cursor.slice(at: at + 10, count: length - 8)
      }
      at += 2 + length
    }
    return nil
  }

  private static func inPNG(_ cursor: ByteCursor) -> UnsafeRawBufferPointer? {
    var at = ImageFormat.pngSignature.count
    while let length = cursor.number(at: at, size: 4) {
      if cursor.matches("eXIf", at: at + 4) { return cursor.slice(at: at + 8, count: length) }
      at += 12 + length
    }
    return nil
  }
}
