internal import CDVAEZLib

/// Decompresses a raw deflate stream; nil unless it ends exactly where its input ends and gives
/// `size` bytes.
func inflate(_ input: UnsafeRawBufferPointer, to size: Int) -> [UInt8]? {
  guard let inputCount = UInt32(exactly: input.count), let count = UInt32(exactly: size),
    let source = input.assumingMemoryBound(to: UInt8.self).baseAddress
  else { return nil }
  var stream = z_stream()
  // A negative window size selects a stream without header and checksum.
  guard
    inflateInit2_(&stream, -MAX_WBITS, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
  else { return nil }
  defer { inflateEnd(&stream) }
  var isComplete = false
  let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, filled in
    // zlib requires an output buffer even if the output is empty.
    var nowhere: UInt8 = 0
    withUnsafeMutablePointer(to: &nowhere) { nowhere in
      stream.next_in = UnsafeMutablePointer(mutating: source)
      stream.avail_in = inputCount
      stream.next_out = buffer.baseAddress ?? nowhere
      stream.avail_out = count
      let status = inflate(&stream, Z_FINISH)
      isComplete = status == Z_STREAM_END && stream.avail_in == 0 && stream.avail_out == 0
    }
    filled = size - Int(stream.avail_out)
  }
  return isComplete ? bytes : nil
}

/// Decompresses a zlib stream piece by piece to at most `limit` bytes; nil for a damaged or longer one.
package func inflateZlib(_ input: UnsafeRawBufferPointer, limit: Int) -> [UInt8]? {
  guard let inputCount = UInt32(exactly: input.count),
    let source = input.assumingMemoryBound(to: UInt8.self).baseAddress
  else { return nil }
  var stream = z_stream()
  guard inflateInit2_(&stream, MAX_WBITS, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
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
    if status == Z_STREAM_END { return bytes }
    guard status == Z_OK, count > 0 || stream.avail_in > 0 else { return nil }
  }
}
