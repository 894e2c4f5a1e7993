package import DVAEFiles
import Dispatch
import Synchronization

/// The tensors of a weights file, located and checked but not yet read.
///
/// Safetensors and both containers of `torch.save` are distinguished by content, not by name. The
/// file is mapped: opening reads only the descriptions of the tensors. Nothing in a pickle is
/// executed.
package struct WeightsFile: Sendable {
  /// The supported containers.
  package enum Format: String, Encodable, Sendable {
    /// A JSON header, then the tensors' bytes.
    case safetensors
    /// The format of `torch.save` since PyTorch 1.6.
    case pytorchZip = "pytorch-zip"
    /// The format of `torch.save` before PyTorch 1.6.
    case pytorchLegacy = "pytorch-legacy"

    /// The container in words.
    package var name: String {
      switch self {
      case .safetensors: "safetensors"
      case .pytorchZip: "PyTorch zip archive (torch.save since 1.6)"
      case .pytorchLegacy: "PyTorch pickle (torch.save before 1.6)"
      }
    }
  }

  /// The path as given.
  package let path: String
  package let format: Format
  /// The tensors in the file's order.
  package let tensors: [StoredTensor]
  /// The file's metadata.
  ///
  /// Safetensors: the header's `__metadata__`. A pickled module: its `class` and its plain
  /// attributes, such as `n_hid`.
  package let metadata: [Key: String]
  /// The tensors of a pickle that are not read, because no model here has such: `'x' (a sparse tensor)`.
  package let others: [String]
  private let positions: [Key: Int]
  /// The largest ratio of the size of all tensors to that of the file.
  private static let largestRatio = 16
  /// The size in bytes that a smaller file counts as.
  private static let alwaysAllowed = 1 << 22
  private let archive: ZipArchive?

  /// The tensor with a name; nil if there is none.
  package subscript(name: String) -> StoredTensor? { positions[Key(name)].map { tensors[$0] } }

  /// Opens a file of tensors in any of the formats.
  ///
  /// - Throws: `DVAEError` if the file is missing or malformed.
  package static func open(_ path: String) throws(DVAEError) -> WeightsFile {
    try parse(try MappedFile(path: path))
  }

  /// Reads the whole file and verifies its checksums.
  ///
  /// Only the zip container has checksums. Opening a file does not verify them, because opening
  /// reads no values.
  ///
  /// - Throws: `malformed` with the first part that differs; `changed` if the file was truncated
  ///   after it was opened.
  package func verifyChecksums() throws(DVAEError) {
    guard let archive else { return }
    try tensors.first?.checkFile()
    let entries = archive.entries
    let firstBad = Mutex(entries.count)
    DispatchQueue.concurrentPerform(iterations: entries.count) { index in
      if (try? archive.verify(entries[index])) == nil {
        firstBad.withLock { $0 = min($0, index) }
      }
    }
    let bad = firstBad.withLock(\.self)
    if bad < entries.count { try archive.verify(entries[bad]) }
  }

  /// Parses a weights file from memory; `path` is its name in errors.
  ///
  /// - Throws: `DVAEError` if the content is malformed.
  package static func parse(
    _ bytes: [UInt8], path: String
  ) throws(DVAEError) -> WeightsFile {
    try parse(try MappedFile(copying: bytes, path: path))
  }

  /// Reads a file in the format of its first bytes.
  ///
  /// - Throws: also `unrecognised` with a description of the content, because the usual mistake is a web
  ///   page, a log or an archive under the name of weights.
  private static func parse(_ file: MappedFile) throws(DVAEError) -> WeightsFile {
    let head = UnsafeRawBufferPointer(rebasing: file.bytes.prefix(512))
    let content = FileContent(head)
    if content.family == .zip { return try TorchZipReader.read(file) }
    if head.count >= 2, head[0] == 0x80, (2...5).contains(head[1]) {
      return try TorchLegacyReader.read(file)
    }
    let isText = [.text, .webPage, .downloadLog].contains(content.family)
    if head.count >= 9, head[8] == UInt8(ascii: "{"), !isText {
      let found = try Safetensors(file)
      return try WeightsFile(
        file: file, format: .safetensors, tensors: found.tensors, metadata: found.metadata)
    }
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

  /// Collects the results of a reader.
  ///
  /// - Throws: `duplicateTensor`.
  init(
    file: MappedFile, format: Format, tensors: [StoredTensor], metadata: [Key: String],
    others: [String] = [], archive: ZipArchive? = nil
  ) throws(DVAEError) {
    self.archive = archive
    self.others = others
    path = file.path
    self.format = format
    self.tensors = tensors
    self.metadata = metadata
    // Tensors may share their storage, and repeat it.
    let size = tensors.reduce(0) { $0 + $1.count * $1.elementType.byteCount }
    guard size / Self.largestRatio <= max(file.count, Self.alwaysAllowed) else {
      throw .limitExceeded(
        path: file.path, what: "tensors that are so many times larger than their file",
        limit: Self.largestRatio)
    }
    var positions: [Key: Int] = [:]
    positions.reserveCapacity(tensors.count)
    for (position, tensor) in tensors.enumerated() {
      guard positions.updateValue(position, forKey: Key(tensor.name)) == nil else {
        throw .duplicateTensor(path: file.path, tensor: tensor.name)
      }
    }
    self.positions = positions
  }
}
