/// The content of a file by its first bytes, for the error of a reader that expected another.
package struct FileContent: Sendable {
  /// The family of a content, by which a reader adds its advice.
  package enum Family: Sendable {
    case image, tar, zip, table, tensors, webPage, downloadLog, text, other
    /// Content that is encoded or elsewhere; the name says how to get it.
    case indirect
  }

  /// A noun phrase, such as `a GIF image`; it quotes nothing but the first line of a text.
  package let name: String
  /// The family.
  package let family: Family

  /// Recognizes content; its first 512 bytes suffice.
  package init(_ bytes: UnsafeRawBufferPointer) {
    let head = bytes.prefix(512)
    let known = Self.signatures.first { signature in
      head.dropFirst(signature.offset).starts(
        with: signature.bytes.unicodeScalars.lazy.map { UInt8(truncatingIfNeeded: $0.value) })
    }
    (name, family) = known.map { ($0.name, $0.family) } ?? Self.unsigned(head)
  }

  private static func unsigned(_ head: Slice<UnsafeRawBufferPointer>) -> (String, Family) {
    if head.allSatisfy({ $0 == 0 }) { return ("nothing but zero bytes", .other) }
    // A stream of Arrow messages begins with this mark and the length of the first one.
    if head.starts(with: [0xFF, 0xFF, 0xFF, 0xFF]), head.dropFirst(7).first == 0 {
      return ("an Arrow file", .table)
    }
    guard let text = text(head) else {
      let bytes = head.prefix(8).map { hexadecimal([$0]) }.joined(separator: " ")
      return ("binary data that begins with \(bytes)", .other)
    }
    let lowercased = text.lowercased()
    func has(_ part: String) -> Bool { lowercased.contains(part) }
    if has("<svg") { return ("an SVG drawing", .image) }
    if has("<html") || has("<!doctype") || has("<?xml") { return ("a web page", .webPage) }
    if has("http"), lowercased.hasPrefix("--") || has("resolving") {
      return ("the log of a download", .downloadLog)
    }
    let line = text.split(whereSeparator: \.isNewline).first.map { oneLine(String($0), limit: 60) }
    return ("text that starts \"\(line ?? "")\"", .text)
  }

  /// Returns UTF-8 without control characters as text; nil for other bytes.
  private static func text(_ bytes: Slice<UnsafeRawBufferPointer>) -> String? {
    // The last few bytes may be an incomplete character.
    for cut in 0..<4 where cut < bytes.count {
      guard let text = String(validating: bytes.dropLast(cut), as: UTF8.self) else { continue }
      let isText = text.unicodeScalars.allSatisfy {
        $0.properties.generalCategory != .control || $0 == "\n" || $0 == "\r" || $0 == "\t"
      }
      return isText ? text : nil
    }
    return nil
  }

  // The scalars of `bytes` are the bytes.
  private static let signatures: [(offset: Int, bytes: String, name: String, family: Family)] = [
    (0, "PK\u{3}\u{4}", "a zip archive; unpack it first (unzip)", .zip),
    (0, "PK\u{5}\u{6}", "a zip archive; unpack it first (unzip)", .zip),
    (257, "ustar", "a tar archive", .tar),
    (0, "\u{FF}\u{D8}\u{FF}", "a JPEG image", .image),
    (0, "\u{89}PNG", "a PNG image", .image),
    (8, "WEBP", "a WebP image", .image),
    (0, "GIF8", "a GIF image", .image),
    (0, "BM", "a BMP image", .image),
    (0, "II*\0", "a TIFF image", .image),
    (0, "MM\0*", "a TIFF image", .image),
    (4, "ftypavif", "an AVIF image", .image),
    (4, "ftypheic", "a HEIC image", .image),
    (4, "ftypmif1", "a HEIF image", .image),
    (4, "JXL ", "a JPEG XL image", .image),
    (0, "\u{FF}\n", "a JPEG XL image", .image),
    (4, "jP  ", "a JPEG 2000 image", .image),
    (0, "8BPS", "a Photoshop document", .image),
    (4, "ftyp", "a video or another ISO media file", .other),
    (0, "RIFF", "a RIFF file", .other),
    (0, "%PDF", "a PDF document", .other),
    (0, "\u{93}NUMPY", "a NumPy array", .tensors),
    (0, "\u{89}HDF", "an HDF5 file", .tensors),
    (0, "GGUF", "a GGUF file", .tensors),
    (0, "SQLite format 3\0", "an SQLite database", .other),
    (0, "PAR1", "a Parquet file", .table),
    (0, "ARROW1", "an Arrow file", .table),
    (0, "\u{1F}\u{8B}", "gzip-compressed data; decompress it first (gunzip)", .indirect),
    (0, "BZh", "bzip2-compressed data; decompress it first (bunzip2)", .indirect),
    (0, "\u{FD}7zXZ", "xz-compressed data; decompress it first (unxz)", .indirect),
    (0, "(\u{B5}/\u{FD}", "zstd-compressed data; decompress it first (unzstd)", .indirect),
    (0, "\u{FF}\u{FE}\0\0", "UTF-32; convert it first (iconv -f UTF-32 -t UTF-8)", .indirect),
    (0, "\0\0\u{FE}\u{FF}", "UTF-32; convert it first (iconv -f UTF-32 -t UTF-8)", .indirect),
    (0, "\u{FF}\u{FE}", "UTF-16; convert it first (iconv -f UTF-16 -t UTF-8)", .indirect),
    (0, "\u{FE}\u{FF}", "UTF-16; convert it first (iconv -f UTF-16 -t UTF-8)", .indirect),
    (
      0, "version https://git-lfs",
      "a Git LFS pointer; fetch the file itself with `git lfs pull`", .indirect
    ),
  ]
}
