internal import CDVAEZLib

/// Decompresses a zlib stream, or a raw deflate stream, piece by piece to at most `limit` bytes.
///
/// - Returns: the bytes, and the number of input bytes behind the stream; nil for a damaged or longer one
package func inflate(
  _ input: UnsafeRawBufferPointer, isRaw: Bool = false, limit: Int
) -> (bytes: [UInt8], rest: Int)? {
  guard let inputCount = UInt32(exactly: input.count),
    let source = input.assumingMemoryBound(to: UInt8.self).baseAddress
  else { return nil }
  var stream = z_stream()
  // A negative window size selects a stream without header and checksum.
  let window = isRaw ? -MAX_WBITS : MAX_WBITS
  guard inflateInit2_(&stream, window, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
  else { return nil }
  defer { inflateEnd(&stream) }
  stream.next_in = UnsafeMutablePointer(mutating: source)
  stream.avail_in = inputCount
  var bytes: [UInt8] = []
  var piece = [UInt8](repeating: 0, count: 1 << 14)
  while true {
    let (status, count) = piece.withUnsafeMutableBufferPointer { buffer in
      stream.next_out = buffer.baseAddress
      stream.avail_out = UInt32(buffer.count)
      return (inflate(&stream, Z_NO_FLUSH), buffer.count - Int(stream.avail_out))
    }
    bytes += piece[..<count]
    guard bytes.count <= limit else { return nil }
    if status == Z_STREAM_END { return (bytes, Int(stream.avail_in)) }
    guard status == Z_OK, count > 0 || stream.avail_in > 0 else { return nil }
  }
}
