import DVAEFiles
import DVAEImages
import DVAETestSupport
import Testing

/// Exif blocks in the forms that Pillow reads; `Utilities/compare_readers.py` compares many more.
@Suite struct ExifTests {
  private static let picture = testPicture(3, width: 24, height: 16)

  private static func big(_ number: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: number.bigEndian, Array.init)
  }

  /// A block whose directory has one entry, and the bytes behind it.
  private static func block(
    header: String = "MM\0*", tag: UInt16 = 0x112, type: UInt16 = 3, count: UInt32 = 1,
    value: [UInt8] = [0, 6, 0, 0], behind: [UInt8] = []
  ) -> [UInt8] {
    let entry = big(tag) + big(type) + big(count) + value
    return Array(header.utf8) + big(UInt32(8)) + big(UInt16(1)) + entry + big(UInt32(0)) + behind
  }

  /// The position of the bytes behind a block.
  private static let behind = big(UInt32(26))

  /// Returns the orientation of a JPEG with these segments.
  private func orientation(_ segments: [[UInt8]]) throws -> Orientation? {
    let jpeg = try encodeJPEG(Self.picture, quality: 90)
    let plain = try decodeImage(jpeg, name: "plain")
    let parts = segments.map { [0xFF, 0xE1] + Self.big(UInt16($0.count + 2)) + $0 }
    let whole = Array(jpeg[..<2]) + Array(parts.joined()) + Array(jpeg[2...])
    let turned = try decodeImage(whole, name: "turned")
    return Orientation.allCases.first { turned == plain.oriented($0) }
  }

  private static func exif(_ bytes: [UInt8]) -> [UInt8] { Array("Exif\0\0".utf8) + bytes }

  @Test(
    arguments: [
      (1, [6, 0, 0, 0], [], .upright), (2, [6, 0, 0, 0], [], .upright),
      (3, [0, 6, 0, 0], [], .clockwise), (4, [0, 0, 0, 6], [], .clockwise),
      (5, behind, [0, 0, 0, 12, 0, 0, 0, 2], .clockwise),
      (5, behind, [0, 0, 0, 13, 0, 0, 0, 2], .upright),
      (5, behind, [0, 0, 0, 13, 0, 0, 0, 0], .upright), (6, [8, 0, 0, 0], [], .counterclockwise),
      (6, [0xFA, 0, 0, 0], [], .upright), (7, [6, 0, 0, 0], [], .upright),
      (8, [0, 3, 0, 0], [], .turned), (9, [0, 0, 0, 5], [], .transposed),
      (10, behind, [255, 255, 255, 250, 255, 255, 255, 255], .clockwise),
      (11, [0x40, 0xC0, 0, 0], [], .clockwise), (11, [0x40, 0xC8, 0, 0], [], .upright),
      (11, [0x7F, 0xC0, 0, 0], [], .upright),
      (12, behind, [0x40, 0x18, 0, 0, 0, 0, 0, 0], .clockwise),
      (13, [0, 0, 0, 7], [], .transversed),
      (16, behind, [0, 0, 0, 0, 0, 0, 0, 6], .clockwise), (17, [0, 6, 0, 0], [], .upright),
    ] as [(UInt16, [UInt8], [UInt8], Orientation)])
  func everyTypeOfNumberIsRead(
    _ type: UInt16, _ value: [UInt8], _ behind: [UInt8], _ expected: Orientation
  ) throws {
    let block = Self.block(type: type, value: value, behind: behind)
    #expect(try orientation([Self.exif(block)]) == expected)
  }

  @Test func blocksInSeveralSegmentsAreJoined() throws {
    let block = Self.block()
    #expect(
      try orientation([Self.exif(Array(block[..<12])), Self.exif(Array(block[12...]))])
        == .clockwise)
    // The second block lies behind the first one.
    let upright = Self.exif(Self.block(value: [0, 1, 0, 0]))
    #expect(try orientation([upright, Self.exif(block)]) == .upright)
  }

  @Test(
    arguments: [
      ("MM\0*", .clockwise), ("MM*\0", .clockwise), ("MM\0+", .clockwise), ("MM\0,", .upright),
      ("MN\0*", .upright),
    ] as [(String, Orientation)])
  func headersOfOtherOrdersAreRead(_ header: String, _ expected: Orientation) throws {
    #expect(try orientation([Self.exif(Self.block(header: header))]) == expected)
    #expect(try orientation([Self.exif(Self.exif(Self.block(header: header)))]) == expected)
  }

  /// A reader of PNG stops at the end of the image; what is behind it is another's.
  @Test func pngEndsAtItsEnd() throws {
    let png = try encodePNG(Self.picture)
    let block = Self.block()
    let kind = Array("eXIf".utf8)
    let chunk = Self.big(UInt32(block.count)) + kind + block + Self.big(crc32(kind + block))
    let plain = try decodeImage(png, name: "plain")
    let before = try decodeImage(Array(png.dropLast(12)) + chunk + png.suffix(12), name: "before")
    #expect(before == plain.oriented(.clockwise))
    #expect(try decodeImage(png + chunk, name: "behind") == plain)
  }

  /// An entry that is cut, or has no value, is none; the XMP packet then counts.
  @Test func incompleteEntriesAreNone() throws {
    let packet = Array("http://ns.adobe.com/xap/1.0/\0tiff:Orientation=\"8\"".utf8)
    let block = Self.block()
    for broken in [
      Array(block[..<20]), Self.block(count: 0), Self.block(type: 5, value: Self.behind),
      Self.block(type: 99), Self.block(tag: 0x113),
    ] {
      #expect(try orientation([Self.exif(broken), packet]) == .counterclockwise)
    }
    #expect(try orientation([Self.exif(block), packet]) == .clockwise)
    // Of several packets the last one counts.
    let first = Array("http://ns.adobe.com/xap/1.0/\0tiff:Orientation=\"3\"".utf8)
    #expect(try orientation([first, packet]) == .counterclockwise)
  }
}
