package import DVAEFiles
internal import CDVAEImageCodecs

/// Encodes a picture as an 8-bit RGB PNG, without metadata.
///
/// Equal images give equal bytes for the same versions of libpng and zlib.
package func encodePNG(_ image: PixelImage) throws(DVAEError) -> [UInt8] {
  try encode(image, .png, dvae_png_encode)
}

/// Encodes an image as a baseline JPEG with 4:2:0 chroma, at a quality of 1 to 100 on libjpeg's
/// scale; other values are clamped.
package func encodeJPEG(_ image: PixelImage, quality: Int = 75) throws(DVAEError) -> [UInt8] {
  guard max(image.width, image.height) <= 65500 else {
    throw .notEncoded(format: .jpeg, reason: "a side is longer than 65500 pixels")
  }
  let quality = Int32(min(max(quality, 1), 100))
  return try encode(image, .jpeg) { pixels, width, height, buffer, report in
    dvae_jpeg_encode(pixels, width, height, quality, buffer, report)
  }
}

/// Encodes a picture as a lossy WebP, at a quality of 0 to 100.
///
/// Other values are clamped. A side may have 16383 pixels at most.
package func encodeWebP(_ image: PixelImage, quality: Float = 75) throws(DVAEError) -> [UInt8] {
  let quality = min(max(quality, 0), 100)
  return try encode(image, .webp) { pixels, width, height, buffer, report in
    dvae_webp_encode(pixels, width, height, quality, buffer, report)
  }
}

private func encode(
  _ image: PixelImage, _ format: ImageFormat,
  _ body: (
    UnsafePointer<UInt8>?, UInt32, UInt32, UnsafeMutablePointer<dvae_codec_buffer>,
    UnsafeMutablePointer<dvae_codec_report>
  ) -> Int32
) throws(DVAEError) -> [UInt8] {
  guard let width = UInt32(exactly: image.width), let height = UInt32(exactly: image.height) else {
    throw .notEncoded(format: format, reason: "it is \(image.width)×\(image.height) pixels")
  }
  var buffer = dvae_codec_buffer()
  var report = dvae_codec_report()
  let status = image.pixels.withUnsafeBufferPointer {
    body($0.baseAddress, width, height, &buffer, &report)
  }
  guard status == Int32(DVAE_CODEC_OK.rawValue) else {
    let reason =
      status == Int32(DVAE_CODEC_MEMORY.rawValue) ? "out of memory" : message(of: report)
    throw .notEncoded(format: format, reason: reason)
  }
  defer { dvae_codec_free(&buffer) }
  return Array(UnsafeBufferPointer(start: buffer.bytes, count: buffer.count))
}
