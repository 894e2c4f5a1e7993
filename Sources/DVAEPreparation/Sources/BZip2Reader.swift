internal import CDVAEBZip2
import DVAEFiles

/// Decompresses bzip2 from front to back; files of several streams, as parallel compressors write
/// them, are joined.
final class BZip2Reader {
  private let file: InputFile
  private var stream = bz_stream()
  private var isOpen = false
  private var position = 0
  private var given = 0
  // The compressed bytes; the library keeps a pointer into them between calls.
  private let input: UnsafeMutableBufferPointer<CChar>

  private static let pieceSize = 1 << 16

  static let magic = Array("BZh".utf8)

  /// The largest ratio of decompression; text has about ten, and more than this is an attack.
  static let largestRatio = 1000
  /// The size in bytes to which any file may be decompressed.
  static let alwaysAllowed = 1 << 26

  init(_ file: InputFile) {
    self.file = file
    input = .allocate(capacity: Self.pieceSize)
  }

  deinit {
    if isOpen { BZ2_bzDecompressEnd(&stream) }
    input.deallocate()
  }

  /// Returns the next bytes: up to `count`, none at the end.
  func read(_ count: Int) throws -> [UInt8] {
    let bytes = try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      filled = try buffer.withMemoryRebound(to: CChar.self) { try fill($0) }
    }
    given += bytes.count
    guard given <= Self.alwaysAllowed || given / Self.largestRatio <= file.size else {
      throw DVAEError.limitExceeded(
        path: file.path, what: "bzip2 data that become more than so many times larger",
        limit: Self.largestRatio)
    }
    return bytes
  }

  private func fill(_ output: UnsafeMutableBufferPointer<CChar>) throws -> Int {
    stream.next_out = output.baseAddress
    stream.avail_out = UInt32(output.count)
    while Int(stream.avail_out) == output.count {
      if stream.avail_in == 0 {
        let piece = try file.read(at: position, count: Self.pieceSize)
        guard !piece.isEmpty else {
          guard isOpen else { return 0 }
          throw damaged("ends early")
        }
        position += piece.count
        _ = input.update(fromContentsOf: piece.lazy.map { CChar(bitPattern: $0) })
        stream.next_in = input.baseAddress
        stream.avail_in = UInt32(piece.count)
      }
      if !isOpen {
        guard BZ2_bzDecompressInit(&stream, 0, 0) == BZ_OK else { throw damaged("needs memory") }
        isOpen = true
      }
      switch BZ2_bzDecompress(&stream) {
      case BZ_OK: break
      case BZ_STREAM_END:
        BZ2_bzDecompressEnd(&stream)
        isOpen = false
      default: throw damaged("is damaged")
      }
    }
    return output.count - Int(stream.avail_out)
  }

  private func damaged(_ what: String) -> DVAEError {
    DVAEError(
      .badData, file: file.path,
      "the bzip2 data \(what) near byte \(position): fetch the file again")
  }
}
