import Foundation
import DVAEImages
import DVAETensors
import DVAETestSupport

extension Fixture {
  static func image(_ name: String) throws -> PixelImage {
    try decodeImage(try bytes(name), name: name)
  }

  /// An image of the codec fixtures, and its pixels in Pillow.
  struct Codec: Sendable, CustomStringConvertible {
    var name: String
    var width: Int
    var height: Int
    var description: String { name }

    func bytes() throws -> [UInt8] { try Fixture.bytes("codecs/\(name)") }

    func expected() throws -> PixelImage {
      let stem = name.split(separator: ".")[0]
      return PixelImage(
        width: width, height: height, pixels: try Fixture.bytes("codecs/\(stem).rgb"))
    }
  }

  static let codecs: [Codec] = {
    guard let text = try? String(contentsOfFile: path("codecs/manifest.txt"), encoding: .utf8)
    else {
      fatalError("no codecs/manifest.txt among the fixtures, so its images would go untested")
    }
    return text.split(separator: "\n").map { line in
      let fields = line.split(separator: " ")
      return Codec(
        name: String(fields[0]), width: Int(fields[1]) ?? 0, height: Int(fields[2]) ?? 0)
    }
  }()

  /// Returns the data of a float32 array in version 1 of NumPy's format.
  static func floats(npy name: String) throws -> [Float] {
    let bytes = try bytes(name)
    let header = 10 + Int(bytes[8]) + Int(bytes[9]) << 8
    return bytes[header...].withUnsafeBytes { data in
      (0..<data.count / 4).map {
        Float(
          bitPattern: UInt32(
            littleEndian: data.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)))
      }
    }
  }

  /// Returns the pattern of the expected resizing results.
  static func pattern(width: Int, height: Int) -> PixelImage {
    var pixels: [UInt8] = []
    for y in 0..<height {
      for x in 0..<width {
        pixels += [7 * x + 13 * y, x * x + 3 * y, 5 * (x ^ y)].map { UInt8($0 % 256) }
      }
    }
    return PixelImage(width: width, height: height, pixels: pixels)
  }

  static func noise(width: Int, height: Int, seed: UInt64 = 1) -> PixelImage {
    var generator = SeededGenerator(seed: seed)
    let pixels = (0..<3 * width * height).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
    return PixelImage(width: width, height: height, pixels: pixels)
  }
}

/// CRC-32 as in PNG and zip.
func crc32(_ bytes: [UInt8]) -> UInt32 {
  ~bytes.reduce(UInt32.max) { sum, byte in
    (0..<8).reduce(sum ^ UInt32(byte)) { value, _ in
      value >> 1 ^ (value & 1 == 1 ? 0xEDB8_8320 : 0)
    }
  }
}

/// Returns the largest difference between two images of one size.
func largestDifference(_ a: PixelImage, _ b: PixelImage) -> Int {
  zip(a.pixels, b.pixels).reduce(0) { max($0, abs(Int($1.0) - Int($1.1))) }
}
