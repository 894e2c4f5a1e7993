import DVAEFiles
import Testing

/// Files that are not what a reader expected.
@Suite("The content of files") struct FileContentTests {
  private func content(_ bytes: [UInt8]) -> FileContent {
    bytes.withUnsafeBytes { FileContent($0) }
  }

  @Test(
    "Content is named by its first bytes, wherever they are",
    arguments: [
      ([0xFF, 0xD8, 0xFF, 0xE0], "a JPEG image", .image),
      ([0x89] + Array("PNG".utf8), "a PNG image", .image),
      (Array("RIFF0000WEBPVP8 ".utf8), "a WebP image", .image),
      (Array("RIFF0000WAVE".utf8), "a RIFF file", .other),
      (Array("0000ftypheic".utf8), "a HEIC image", .image),
      (Array("0000ftypisom".utf8), "a video or another ISO media file", .other),
      ([0x93] + Array("NUMPY".utf8), "a NumPy array", .tensors),
      ([0x1F, 0x8B, 8], "gzip-compressed data; decompress it first (gunzip)", .indirect),
      ([0x28, 0xB5, 0x2F, 0xFD], "zstd-compressed data; decompress it first (unzstd)", .indirect),
      ([0x50, 0x4B, 5, 6], "a zip archive; unpack it first (unzip)", .zip),
      (
        [0xFF, 0xFE, 0, 0, 97, 0, 0, 0],
        "UTF-32; convert it first (iconv -f UTF-32 -t UTF-8)", .indirect
      ),
      ([0xFF, 0xFE, 97, 0], "UTF-16; convert it first (iconv -f UTF-16 -t UTF-8)", .indirect),
      // The first name in a tar could be taken for another signature.
      (
        Array("BM.txt".utf8) + [UInt8](repeating: 0, count: 251) + Array("ustar".utf8),
        "a tar archive", .tar
      ),
      ([0, 0, 0], "nothing but zero bytes", .other), ([], "nothing but zero bytes", .other),
      ([1, 0xFE], "binary data that begins with 01 fe", .other),
      // The mark of an Arrow stream, but no length.
      (
        [UInt8](repeating: 0xFF, count: 8),
        "binary data that begins with ff ff ff ff ff ff ff ff", .other
      ),
      (
        Array("see http://a.b -- perhaps".utf8), "text that starts \"see http://a.b -- perhaps\"",
        .text
      ),
      // A character that is cut off at the end leaves it text.
      (Array("caf\u{E9}".utf8.dropLast()), "text that starts \"caf\"", .text),
    ] as [([UInt8], String, FileContent.Family)])
  func names(bytes: [UInt8], name: String, family: FileContent.Family) {
    #expect(content(bytes).name == name && content(bytes).family == family)
  }

  @Test("A text's first line is quoted without control characters, and not without end")
  func quotes() {
    let name = content(Array(("a\u{200B}" + String(repeating: "b", count: 100) + "\nc").utf8)).name
    #expect(name.contains("bbb…") && !name.contains("c\"") && !name.contains("\u{200B}"))
  }
}
