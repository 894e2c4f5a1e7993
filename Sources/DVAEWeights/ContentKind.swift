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
    let content = FileContent(head)
    if content.family == .zip { return .zip }
    if head.count >= 2, head[0] == 0x80, (2...5).contains(head[1]) { return .pickle }
    let isText = [.text, .webPage, .downloadLog].contains(content.family)
    if head.count >= 9, head[8] == UInt8(ascii: "{"), !isText { return .safetensors }
    // The oldest pickles are text. Their first instruction suffices to refuse them by name.
    if head[0] == UInt8(ascii: "c") || head[0] == UInt8(ascii: "(") {
      try PickleMachine.refuseTextPickle(file)
    }
    let advice =
      switch content.family {
      case .image, .indirect, .zip, .table: ""
      case .tar: "; unpack it first"
      case .tensors: "; convert it to safetensors"
      case .webPage: " (an error page saved under this name, perhaps); download the file again"
      case .downloadLog:
        ", not the file itself; with wget it is -O, not -o, that names the file; download it again"
      case .text: ", perhaps a message saved under this name; fetch the file again"
      case .other where file.count < 9:
        " (\(file.count) bytes, too few for any weights); fetch the file again"
      case .other: "; fetch the file again"
      }
    throw .unrecognised(path: file.path, found: content.name + advice)
  }
}
