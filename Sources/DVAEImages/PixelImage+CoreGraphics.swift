#if canImport(CoreGraphics)
public import CoreGraphics
public import DVAEFiles
import Foundation

extension PixelImage {
  /// Copies a Core Graphics image, with its colours converted to sRGB.
  ///
  /// - Throws: `badData` for an image without pixels or one that cannot be drawn.
  public init(_ picture: CGImage) throws(DVAEError) {
    let (width, height) = (picture.width, picture.height)
    guard width > 0, height > 0, let space = CGColorSpace(name: CGColorSpace.sRGB),
      let context = CGContext(
        data: nil, width: width, height: height, bitsPerComponent: 8, bytesPerRow: 4 * width,
        space: space, bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)
    else { throw DVAEError(.badData, "a picture of \(width)×\(height) pixels cannot be drawn") }
    context.draw(picture, in: CGRect(x: 0, y: 0, width: width, height: height))
    guard let drawn = context.data else {
      throw DVAEError(.badData, "a picture of \(width)×\(height) pixels was not drawn")
    }
    let bytes = drawn.assumingMemoryBound(to: UInt8.self)
    self.init(width: width, height: height) { pixels in
      for i in 0..<width * height {
        for colour in 0..<3 { pixels[3 * i + colour] = bytes[4 * i + colour] }
      }
    }
  }

  /// Returns the image for Core Graphics, in sRGB.
  ///
  /// - Throws: if memory is insufficient.
  public func cgImage() throws(DVAEError) -> CGImage {
    guard let provider = CGDataProvider(data: Data(pixels) as CFData),
      let space = CGColorSpace(name: CGColorSpace.sRGB),
      let picture = CGImage(
        width: width, height: height, bitsPerComponent: 8, bitsPerPixel: 24, bytesPerRow: 3 * width,
        space: space, bitmapInfo: CGBitmapInfo(rawValue: CGImageAlphaInfo.none.rawValue),
        provider: provider, decode: nil, shouldInterpolate: true, intent: .defaultIntent)
    else { throw DVAEError(.inputOutput, "no memory for a picture of \(width)×\(height) pixels") }
    return picture
  }
}
#endif

#if canImport(CoreVideo)
public import CoreVideo

extension PixelImage {
  /// Copies a frame of 32-bit BGRA or ARGB pixels, the formats of cameras and decoders.
  ///
  /// - Throws: `badData` for another pixel format.
  public init(_ frame: CVPixelBuffer) throws(DVAEError) {
    let places: (red: Int, green: Int, blue: Int)
    switch CVPixelBufferGetPixelFormatType(frame) {
    case kCVPixelFormatType_32BGRA: places = (2, 1, 0)
    case kCVPixelFormatType_32ARGB: places = (1, 2, 3)
    case let format:
      throw DVAEError(
        .badData, expected: "a frame of 32-bit BGRA or ARGB pixels",
        found: "the format \(format)", advice: "ask the camera or decoder for 32BGRA")
    }
    CVPixelBufferLockBaseAddress(frame, .readOnly)
    defer { CVPixelBufferUnlockBaseAddress(frame, .readOnly) }
    let (width, height) = (CVPixelBufferGetWidth(frame), CVPixelBufferGetHeight(frame))
    guard width > 0, height > 0, let base = CVPixelBufferGetBaseAddress(frame) else {
      throw DVAEError(.badData, "a frame of \(width)×\(height) pixels has no memory")
    }
    let stride = CVPixelBufferGetBytesPerRow(frame)
    self.init(width: width, height: height) { pixels in
      for y in 0..<height {
        let row = (base + y * stride).assumingMemoryBound(to: UInt8.self)
        for x in 0..<width {
          let (from, to) = (4 * x, 3 * (y * width + x))
          pixels[to] = row[from + places.red]
          pixels[to + 1] = row[from + places.green]
          pixels[to + 2] = row[from + places.blue]
        }
      }
    }
  }
}
#endif
