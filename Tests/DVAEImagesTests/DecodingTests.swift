import DVAETestSupport
import DVAEFiles
import Foundation
import DVAEImages
import DVAETensors
import Testing

@Suite struct DecodingTests {
  @Test func fixturesAreThere() { #expect(Fixture.codecs.count >= 60) }

  /// Every kind of JPEG, PNG and WebP, oriented by its Exif, decodes as in Pillow.
  @Test(arguments: Fixture.codecs)
  func equalsPillow(_ codec: Fixture.Codec) throws {
    let image = try decodeImage(try codec.bytes(), name: codec.name)
    let expected = try codec.expected()
    #expect(image.width == expected.width && image.height == expected.height)
    #expect(largestDifference(image, expected) == 0)
  }

  /// A truncated file gives the complete image, if only its end mark and checksums are missing, or
  /// an error; never a part of the image.
  @Test(arguments: Fixture.codecs)
  func everyTruncationIsNoticed(_ codec: Fixture.Codec) throws {
    let bytes = try codec.bytes()
    let whole = try decodeImage(bytes, name: codec.name)
    var complete = 0
    for count in 0..<bytes.count {
      guard let image = try? decodeImage(Array(bytes[..<count]), name: codec.name) else {
        #expect(complete == 0, "cut to \(count) of \(bytes.count) bytes")
        continue
      }
      #expect(image == whole, "cut to \(count) of \(bytes.count) bytes")
      complete += 1
    }
    // For JPEG, the two bytes of the end mark if there is one scan; for PNG, the last chunk, and
    // the checksums and the end of the compressed data before it.
    switch ImageFormat(content: bytes.withUnsafeBytes { $0 }) {
    case .jpeg?:
      let mayLackEnd = !codec.name.contains("progressive") && !codec.name.contains("arithmetic")
      #expect(complete <= (mayLackEnd ? 2 : 0))
    case .png?: #expect((12...).contains(complete))
    // Bytes after the stated end of the file are not needed.
    default: #expect(complete == 0 || codec.name == "webp_late_exif.webp")
    }
  }

  /// A flipped byte must never cause a crash or an allocation of the claimed size.
  @Test(arguments: Fixture.codecs)
  func corruptionDoesNotCrash(_ codec: Fixture.Codec) throws {
    let bytes = try codec.bytes()
    let limits = DecodingLimits(maximumPixels: 1 << 24)
    var generator = SeededGenerator(seed: 7)
    for position in bytes.indices {
      var damaged = bytes
      damaged[position] ^= UInt8(1 + bounded(255, using: &generator))
      do throws(DVAEError) {
        let image = try decodeImage(damaged, name: codec.name, limits: limits)
        #expect(image.pixels.count == 3 * image.width * image.height)
      } catch {
        #expect(!error.description.contains("\n"))
      }
    }
  }

  @Test func damagedPNGIsNoticed() throws {
    // In PNG, checksums cover all relevant bytes.
    let bytes = try Fixture.bytes("codecs/png_rgb8.png")
    let good = try decodeImage(bytes, name: "good")
    for position in bytes.indices {
      var damaged = bytes
      damaged[position] ^= 0x10
      if let image = try? decodeImage(damaged, name: "damaged") { #expect(image == good) }
    }
  }

  private func chunk(_ name: String, _ data: [UInt8], isSound: Bool = true) -> [UInt8] {
    let named = Array(name.utf8) + data
    let sum = crc32(named) ^ (isSound ? 0 : 1)
    return withUnsafeBytes(of: UInt32(data.count).bigEndian, Array.init) + named
      + withUnsafeBytes(of: sum.bigEndian, Array.init)
  }

  private func chunks(of png: [UInt8]) -> [(name: String, data: [UInt8])] {
    var (found, at): ([(String, [UInt8])], Int) = ([], 8)
    while at + 8 <= png.count {
      let length = png[at..<at + 4].reduce(0) { $0 << 8 | Int($1) }
      let name = String(decoding: png[at + 4..<at + 8], as: UTF8.self)
      found.append((name, Array(png[at + 8..<at + 8 + length])))
      at += 12 + length
    }
    return found
  }

  /// Chunks that no standard has, and palettes that libpng alone refuses; as in Pillow.
  @Test func chunksThatHideNoPixelAreTaken() throws {
    let bytes = try Fixture.bytes("codecs/png_palette4.png")
    let good = try decodeImage(bytes, name: "good")
    func decode(_ change: (String, [UInt8]) -> [UInt8]) throws -> PixelImage {
      let changed = chunks(of: bytes).map { change($0.name, $0.data) }
      return try decodeImage(Array(bytes[..<8]) + Array(changed.joined()), name: "changed")
    }
    for place in ["PLTE", "IDAT", "IEND"] {
      let image = try decode {
        ($0 == place ? chunk("ABCD", [1, 2, 3]) : []) + chunk($0, $1)
      }
      #expect(image == good)
    }
    #expect(try decode { chunk($0, $0 == "PLTE" ? $1 + [7] : $1) } == good)
    #expect(
      try decode { ($0 == "PLTE" ? chunk("PLTE", $1.reversed()) : []) + chunk($0, $1) } == good)
    #expect(
      try decode { chunk($0, $1) + ($0 == "PLTE" ? chunk("PLTE", $1.reversed()) : []) } != good)
    #expect(throws: DVAEError.self) { try decode { $0 == "PLTE" ? [] : chunk($0, $1) } }
    #expect(throws: DVAEError.self) { try decode { chunk($0, $0 == "PLTE" ? [1, 2] : $1) } }
    // A palette of colour pixels is a proposal only.
    let colour = try Fixture.bytes("codecs/png_rgb8.png")
    let parts = chunks(of: colour).map {
      ($0.name == "IDAT" ? chunk("PLTE", [1, 2]) : []) + chunk($0.name, $0.data)
    }
    #expect(
      try decodeImage(Array(colour[..<8]) + Array(parts.joined()), name: "proposal")
        == decodeImage(colour, name: "colour"))
  }

  /// As in Pillow; damaged pixels are noticed by one of the two checksums (`damagedPNGIsNoticed`).
  @Test func wrongAndMissingChecksumsAloneLoseNoPixel() throws {
    for name in ["png_rgb8", "png_rgb8_interlaced", "png_gray16", "png_palette4"] {
      let bytes = try Fixture.bytes("codecs/\(name).png")
      let good = try decodeImage(bytes, name: name)
      var (head, data) = (Array(bytes[..<8]), [UInt8]())
      for (kind, content) in chunks(of: bytes) {
        if kind == "IDAT" { data += content }
        if kind != "IDAT", kind != "IEND" { head += chunk(kind, content) }
      }
      let end = chunk("IEND", [])
      let (front, back) = (Array(data[..<(data.count / 2)]), Array(data[(data.count / 2)...]))
      let complete = [
        chunk("IDAT", data, isSound: false) + end,
        chunk("IDAT", front, isSound: false) + chunk("IDAT", back) + end,
        chunk("IDAT", front) + chunk("IDAT", back, isSound: false) + end,
        chunk("IDAT", data) + chunk("IEND", [], isSound: false),
        chunk("IDAT", data.dropLast(4)) + end, chunk("IDAT", data.dropLast(2)) + end,
        chunk("IDAT", data) + chunk("tEXt", [97, 0, 98], isSound: false) + end,
        // Bytes that would be the length of an impossible chunk.
        chunk("IDAT", data) + [0x80, 0, 0, 0, 1, 2, 3, 4, 5],
      ]
      for (number, rest) in complete.enumerated() {
        #expect(try decodeImage(head + rest, name: "\(name) \(number)") == good)
      }
      // Nothing vouches for these pixels.
      for rest in [
        chunk("IDAT", data.dropLast(4), isSound: false) + end, chunk("IDAT", front) + end,
        chunk("IDAT", front) + chunk("IDAT", back.dropLast(30)) + end,
      ] {
        #expect(throws: DVAEError.self) { try decodeImage(head + rest, name: name) }
      }
    }
  }

  /// Pillow takes the first of several numbers.
  @Test func orientationsOfSeveralNumbersAreTaken() throws {
    let bytes = try Fixture.bytes("codecs/exif_6.jpg")
    let upright = try decodeImage(bytes, name: "6")
    for (tag, count) in [
      ([0x12, 1, 3, 0, 1, 0, 0, 0], [0x12, 1, 3, 0, 2, 0, 0, 0]),
      ([1, 0x12, 0, 3, 0, 0, 0, 1], [1, 0x12, 0, 3, 0, 0, 0, 2]),
    ] as [([UInt8], [UInt8])] {
      guard let place = bytes.firstRange(of: tag) else { continue }
      var changed = bytes
      changed.replaceSubrange(place, with: count)
      let image = try decodeImage(changed, name: "6")
      #expect(image == upright && image.width != image.height)
      return
    }
    Issue.record("the fixture has no orientation")
  }

  @Test func hugeClaimsAreRefusedByTheHeader() throws {
    var png = try Fixture.bytes("codecs/png_rgb8.png")
    png.replaceSubrange(16..<24, with: [0, 1, 0x86, 0xA0, 0, 1, 0x86, 0xA0])
    png.replaceSubrange(
      29..<33, with: withUnsafeBytes(of: crc32(Array(png[12..<29])).bigEndian, Array.init))
    let error = #expect(throws: DVAEError.self) { try decodeImage(png, name: "bomb.png") }
    #expect(
      error
        == .tooManyPixels(name: "bomb.png", width: 100_000, height: 100_000, limit: 178_956_970))

    let photo = try Fixture.bytes("images/kodim04.jpg")
    #expect(throws: DVAEError.self) {
      try decodeImage(photo, name: "photo", limits: DecodingLimits(maximumPixels: 100_000))
    }
    #expect(throws: DVAEError.tooManyBytes(name: "photo", bytes: photo.count, limit: 1000)) {
      try decodeImage(photo, name: "photo", limits: DecodingLimits(maximumBytes: 1000))
    }
  }

  @Test(arguments: [
    ("", "empty file"),
    ("a caption, not a picture\nmore", "text that starts \"a caption, not a picture\""),
    ("<!DOCTYPE html><html><body>404", "a web page"),
    ("<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
    ("GIF89a\u{1}\u{0}", "a GIF image"),
    ("%PDF-1.7", "a PDF document"),
    ("version https://git-lfs.github.com/spec/v1\noid sha256:0", "a Git LFS pointer"),
    ("\u{0}\u{0}\u{0}\u{0}\u{0}", "nothing but zero bytes"),
  ])
  func otherFilesAreNamed(_ content: String, _ found: String) {
    let error = #expect(throws: DVAEError.self) {
      try decodeImage(Array(content.utf8), name: "photo.jpg")
    }
    #expect(error?.description.contains(found) == true, "\(error?.description ?? "")")
    #expect(error?.description.hasPrefix("photo.jpg: ") == true)
  }

  @Test func messagesStayOnOneLine() {
    let error = DVAEError.missing(path: "a\nb\u{1B}[31m\u{2028}c.jpg")
    #expect(error.description == #"a\u{a}b\u{1b}[31m\u{2028}c.jpg: no such file or folder"#)
    #expect(error.kind == .missing)
    #expect(DVAEError.empty(name: "x").kind == .badData)
  }

  @Test func damagedJPEGIsNotFilledWithGray() throws {
    // The file ends properly, but the data of its second half are missing.
    let bytes = try Fixture.bytes("images/kodim04.jpg")
    let cut = Array(bytes[..<(bytes.count / 2)]) + [0xFF, 0xD9]
    #expect(throws: DVAEError.self) { try decodeImage(cut, name: "cut.jpg") }
  }

  @Test func endlessScansAreRefused() throws {
    // The first scan of a progressive file, up to the next table, repeated.
    let bytes = try Fixture.bytes("codecs/jpeg_gray_progressive.jpg")
    func marker(_ code: UInt8, from start: Int) throws -> Int {
      try #require(
        (start..<bytes.count - 1).first { bytes[$0] == 0xFF && bytes[$0 + 1] == code })
    }
    let start = try marker(0xDA, from: 0)
    let end = try marker(0xC4, from: start)
    let scan = Array(bytes[start..<end])
    func repeated(_ count: Int) -> [UInt8] {
      Array(bytes[..<start]) + Array(repeatElement(scan, count: count).joined()) + bytes[end...]
    }
    #expect(throws: Never.self) { try decodeImage(repeated(10), name: "scans.jpg") }
    let many = repeated(2000)
    let error = #expect(throws: DVAEError.self) { try decodeImage(many, name: "scans.jpg") }
    #expect(
      error?.description.contains("more scans than any real image") == true,
      "\(error?.description ?? "")")
  }

  /// Makes a gray progressive JPEG without content: one scan of means, then of detail.
  private func progressive(side: Int, scans: Int) -> [UInt8] {
    let (high, low) = (UInt8(side >> 8), UInt8(side & 255))
    let blocks = ((side + 7) / 8) * ((side + 7) / 8)
    func table(_ kind: UInt8, _ symbol: UInt8) -> [UInt8] {
      [0xFF, 0xC4, 0, 20, kind, 1] + [UInt8](repeating: 0, count: 15) + [symbol]
    }
    func scan(_ band: UInt8, _ bits: UInt8, bytes: Int) -> [UInt8] {
      [0xFF, 0xDA, 0, 8, 1, 1, 0, band, band, bits] + [UInt8](repeating: 0, count: bytes)
    }
    var file: [UInt8] = [0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0] + [UInt8](repeating: 1, count: 64)
    file += [0xFF, 0xC2, 0, 11, 8, high, low, high, low, 1, 1, 0x11, 0]
    // Codes of a single zero bit: no difference of means, and the end of at least 16384 bands.
    file += table(0, 0) + table(0x10, 0xE0)
    file += scan(0, 0, bytes: (blocks + 7) / 8)
    let ends = (blocks + 16383) / 16384 * 15
    for number in 0..<scans - 1 {
      let band = UInt8(1 + number % 63)
      file += scan(band, number < 63 ? 0x01 : 0x10, bytes: (ends + 7) / 8)
    }
    return file + [0xFF, 0xD9]
  }

  /// Few scans, but each covers 43 million pixels: the limit is 2³² in all.
  @Test func scansOfLargeImagesAreFewer() throws {
    let small = try decodeImage(progressive(side: 100, scans: 99), name: "scans.jpg")
    #expect(small.width == 100 && small.height == 100)
    let large = progressive(side: 6600, scans: 99)
    let error = #expect(throws: DVAEError.self) { try decodeImage(large, name: "scans.jpg") }
    #expect(
      error?.description.contains("more scans than any real image") == true,
      "\(error?.description ?? "")")
  }

  /// libpng keeps whole rows, so the width has its own limit.
  @Test func sidesOfPNGAreBounded() throws {
    func header(_ width: UInt32, _ height: UInt32) -> [UInt8] {
      let size = [width, height].flatMap { withUnsafeBytes(of: $0.bigEndian, Array.init) }
      let chunk = Array("IHDR".utf8) + size + [8, 0, 0, 0, 0]
      let sum = withUnsafeBytes(of: crc32(chunk).bigEndian, Array.init)
      return [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 13] + chunk + sum
        + [0, 0, 0, 8] + Array("IDAT".utf8) + [UInt8](repeating: 0, count: 12)
    }
    func problem(_ width: UInt32, _ height: UInt32) -> String {
      let error = #expect(throws: DVAEError.self) {
        try decodeImage(header(width, height), name: "a.png")
      }
      return error?.description ?? ""
    }
    for (width, height) in [(1_000_001, 1), (1, 1_000_001)] as [(UInt32, UInt32)] {
      #expect(problem(width, height).contains("a side has more than 1000000 pixels"))
    }
    #expect(!problem(1_000_000, 1).contains("a side has more"))
  }

  @Test func orientationsUndoEachOther() {
    let image = Fixture.noise(width: 5, height: 3)
    let inverse: [Orientation: Orientation] = [
      .clockwise: .counterclockwise, .counterclockwise: .clockwise,
    ]
    for orientation in Orientation.allCases {
      let turned = image.oriented(orientation)
      #expect(turned.width == (orientation.swapsSides ? 3 : 5))
      #expect(turned.oriented(inverse[orientation] ?? orientation) == image)
    }
  }
}

@Suite struct EncodingTests {
  @Test(arguments: [(1, 1), (17, 9), (300, 200)])
  func pngIsLossless(_ width: Int, _ height: Int) throws {
    let image = Fixture.noise(width: width, height: height)
    let bytes = try encodePNG(image)
    #expect(try decodeImage(bytes, name: "round.png") == image)
    #expect(try encodePNG(image) == bytes)
  }

  @Test func lossyFormatsKeepThePicture() throws {
    let image = try Fixture.image("images/kodim23.png").resized(width: 96, height: 64)
    func error(_ bytes: [UInt8]) throws -> Double {
      let copy = try decodeImage(bytes, name: "copy")
      let squares = zip(copy.pixels, image.pixels).map { pow(Double($0) - Double($1), 2) }
      return (squares.reduce(0, +) / Double(squares.count)).squareRoot()
    }
    let jpeg = try [30, 75, 95].map { try error(encodeJPEG(image, quality: $0)) }
    let webp = try [30, 75, 95].map { try error(encodeWebP(image, quality: Float($0))) }
    for errors in [jpeg, webp] {
      #expect(errors[0] > errors[1] && errors[1] > errors[2] && errors[2] < 8)
    }
    #expect(ImageFormat(content: try encodeJPEG(image)) == .jpeg)
    #expect(ImageFormat(content: try encodeWebP(image)) == .webp)
  }

  @Test func impossibleSizesAreErrors() {
    let strip = PixelImage(width: 70_000, height: 1, pixels: .init(repeating: 9, count: 210_000))
    #expect(throws: DVAEError.self) { try encodeJPEG(strip) }
    #expect(throws: DVAEError.self) { try encodeWebP(strip) }
    #expect(throws: Never.self) { try encodePNG(strip) }
  }
}

extension ImageFormat {
  init?(content bytes: [UInt8]) {
    guard let format = bytes.withUnsafeBytes({ ImageFormat(content: $0) }) else { return nil }
    self = format
  }
}
