import DVAEFiles

/// The RIFF chunks of a WebP file that libwebp's simple decoder does not read: an animation's first
/// frame and the Exif block.
struct WebPContainer {
  /// The first frame of an animation: a rectangle of the canvas.
  struct Frame {
    var x: Int
    var y: Int
    var width: Int
    var height: Int
    /// The frame's own chunks: a bitstream, preceded by optional alpha.
    var chunks: UnsafeRawBufferPointer
  }

  /// The canvas of an animation in pixels; nil for a still image.
  private(set) var canvas: (width: Int, height: Int)?
  private(set) var frame: Frame?
  /// The file size according to the header.
  let size: Int
  private(set) var exif: UnsafeRawBufferPointer?
  private(set) var xmp: UnsafeRawBufferPointer?
  // The optional chunks that the header announces; others are ignored.
  private var flags = 0

  /// Fails if the bytes are not a RIFF file.
  init?(_ bytes: UnsafeRawBufferPointer) {
    let cursor = ByteView(bytes, littleEndian: true)
    guard cursor.matches("RIFF", at: 0), cursor.matches("WEBP", at: 8),
      let size = cursor.number(at: 4, size: 4)
    else { return nil }
    self.size = size + 8
    var at = 12
    // Chunks beyond the stated file size are ignored.
    while at < self.size, let length = cursor.number(at: at + 4, size: 4) {
      let payload = cursor.slice(at: at + 8, count: length)
      if cursor.matches("VP8X", at: at), let payload { readHeader(payload) }
      if cursor.matches("ANMF", at: at), frame == nil, let payload { readFrame(payload) }
      if cursor.matches("EXIF", at: at), exif == nil, flags & 0x08 != 0 { exif = payload }
      if cursor.matches("XMP ", at: at), xmp == nil, flags & 0x04 != 0 { xmp = payload }
      // Chunks are padded to an even length.
      at += 8 + length + length % 2
    }
  }

  private mutating func readHeader(_ payload: UnsafeRawBufferPointer) {
    let cursor = ByteView(payload, littleEndian: true)
    flags = cursor.number(at: 0, size: 1) ?? 0
    guard flags & 0x02 != 0,
      let width = cursor.number(at: 4, size: 3), let height = cursor.number(at: 7, size: 3)
    else { return }
    canvas = (width + 1, height + 1)
  }

  private mutating func readFrame(_ payload: UnsafeRawBufferPointer) {
    let cursor = ByteView(payload, littleEndian: true)
    guard let x = cursor.number(at: 0, size: 3), let y = cursor.number(at: 3, size: 3),
      let width = cursor.number(at: 6, size: 3), let height = cursor.number(at: 9, size: 3),
      let chunks = cursor.slice(at: 16, count: payload.count - 16)
    else { return }
    frame = Frame(x: 2 * x, y: 2 * y, width: width + 1, height: height + 1, chunks: chunks)
  }
}
