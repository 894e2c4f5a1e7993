import DVAEFiles

/// The kind of a file, judged by its first bytes.
enum ContentKind {
  case safetensors
  case zip
  case pickle

  /// Detects the format.
  ///
  /// - Throws: `unrecognised` with a description of the content, because the usual mistake is a web
  ///   page, a log or an archive under the name of weights.
  static func of(_ file: MappedFile) throws(DVAEError) -> ContentKind {
    let head = UnsafeRawBufferPointer(rebasing: file.bytes.prefix(512))
    if head.starts(with: [0x50, 0x4B, 0x03, 0x04]) || head.starts(with: [0x50, 0x4B, 0x05, 0x06]) {
      return .zip
    }
    if head.count >= 2, head[0] == 0x80, (2...5).contains(head[1]) { return .pickle }
    if head.count >= 9, head[8] == UInt8(ascii: "{"), !isText(head.prefix(8)) {
      return .safetensors
    }
    // The oldest pickles are text. Their first instruction suffices to refuse them by name.
    if head[0] == UInt8(ascii: "c") || head[0] == UInt8(ascii: "(") {
      try PickleMachine.refuseTextPickle(file)
    }
    throw .unrecognised(path: file.path, found: looks(head, count: file.count))
  }

  private static func looks(_ head: UnsafeRawBufferPointer, count: Int) -> String {
    for (magic, name) in signatures where head.starts(with: magic) { return name }
    if head.count >= 262, head[257..<262].elementsEqual("ustar".utf8) {
      return "a tar archive; unpack it first"
    }
    guard isText(head[...]) else {
      let bytes = head.prefix(8).map { hexadecimal([$0]) }.joined(separator: " ")
      return count < 9
        ? "\(count) bytes, too few for any weights; fetch the file again"
        : "binary data that begins with \(bytes); fetch the file again"
    }
    let text = String(decoding: head, as: UTF8.self)
    let line = text.split(whereSeparator: \.isNewline).first.map { oneLine(String($0), limit: 60) }
    if text.hasPrefix("version https://git-lfs") {
      return "a Git LFS pointer in place of the file; run 'git lfs pull'"
    }
    let lowercased = text.lowercased()
    if lowercased.contains("<html") || lowercased.contains("<!doctype") || text.hasPrefix("<?xml") {
      return "a web page (an error page saved under this name, perhaps); download the file again"
    }
    if lowercased.contains("http") && (text.contains("--") || lowercased.contains("resolving")) {
      return "the log of a download ('\(line ?? "")'), not the file itself; with wget it is -O, "
        + "not -o, that names the file; download it again"
    }
    return "text ('\(line ?? "")'), perhaps a message saved under this name; fetch the file again"
  }

  private static let signatures: [([UInt8], String)] = [
    ([0x1F, 0x8B], "gzip-compressed data; unpack it with gunzip first"),
    ([0xFD, 0x37, 0x7A, 0x58, 0x5A], "xz-compressed data; unpack it first"),
    ([0x28, 0xB5, 0x2F, 0xFD], "zstd-compressed data; unpack it first"),
    ([0x42, 0x5A, 0x68], "bzip2-compressed data; unpack it first"),
    ([0x93] + Array("NUMPY".utf8), "a NumPy array; expected weights with names"),
    ([0x89] + Array("HDF".utf8), "an HDF5 file; convert it to safetensors"),
    ([0x89] + Array("PNG".utf8), "a PNG image"),
    ([0xFF, 0xD8, 0xFF], "a JPEG image"),
    (Array("RIFF".utf8), "a RIFF file, perhaps a WebP image"),
    (Array("GGUF".utf8), "a GGUF file; convert it to safetensors"),
    (Array("%PDF".utf8), "a PDF document"),
  ]

  private static func isText(_ bytes: Slice<UnsafeRawBufferPointer>) -> Bool {
    bytes.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 || $0 == 0x0A || $0 == 0x0D }
  }
}
