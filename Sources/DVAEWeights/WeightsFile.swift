package import DVAEFiles
import Dispatch
import Synchronization

/// The tensors of a weights file, found and checked but not yet read.
///
/// Safetensors and both containers of `torch.save` are told apart by their content, not by their
/// name. The file is mapped: opening reads only what describes the tensors, whatever its size.
/// Nothing that a pickle asks for is executed.
package struct WeightsFile: Sendable {
  /// The containers that can be read.
  package enum Format: String, Sendable {
    /// A JSON header, then the tensors' bytes.
    case safetensors
    /// What `torch.save` writes since PyTorch 1.6.
    case pytorchZip
    /// What `torch.save` wrote before.
    case pytorchLegacy
  }

  /// The path as it was given.
  package let path: String
  /// The container.
  package let format: Format
  /// The tensors in the file's order.
  package let tensors: [StoredTensor]
  /// What the file says about itself.
  ///
  /// Safetensors: the header's `__metadata__`. A pickled module: its `class` and its plain
  /// attributes, such as `n_hid`.
  package let metadata: [String: String]
  private let positions: [Key: Int]
  private let archive: ZipArchive?

  /// The tensor of a name; nil where there is none.
  package subscript(name: String) -> StoredTensor? { positions[Key(name)].map { tensors[$0] } }

  /// Opens a file of tensors in any of the formats.
  ///
  /// - Throws: what is wrong with it; see `DVAEError`.
  package static func open(_ path: String) throws(DVAEError) -> WeightsFile {
    try parse(try MappedFile(path: path))
  }

  /// Reads the content of a weights file that is already in memory; `path` names it in messages.
  ///
  /// - Throws: what is wrong with it; see `DVAEError`.
  package static func parse(
    _ bytes: [UInt8], path: String
  ) throws(DVAEError) -> WeightsFile {
    try parse(try MappedFile(copying: bytes, path: path))
  }

  /// Reads the whole file and compares it with the checksums that it carries.
  ///
  /// Only the zip container has any; for the others there is nothing to compare. Opening a file
  /// does not do this, because opening reads no values.
  ///
  /// - Throws: `malformed` with the first part that differs; `changed` when the file has been
  ///   shortened since it was opened.
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

  private static func parse(_ file: MappedFile) throws(DVAEError) -> WeightsFile {
    switch try ContentKind.of(file) {
    case .safetensors: try safetensors(file)
    case .zip: try TorchZipReader.read(file)
    case .pickle: try TorchLegacyReader.read(file)
    }
  }

  private static func safetensors(_ file: MappedFile) throws(DVAEError) -> WeightsFile {
    let found = try Safetensors(file)
    return try WeightsFile(
      file: file, format: .safetensors, tensors: found.tensors, metadata: found.metadata)
  }

  /// Collects what a reader found.
  ///
  /// - Throws: `duplicateTensor`.
  init(
    file: MappedFile, format: Format, tensors: [StoredTensor], metadata: [String: String],
    archive: ZipArchive? = nil
  ) throws(DVAEError) {
    self.archive = archive
    path = file.path
    self.format = format
    self.tensors = tensors
    self.metadata = metadata
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
