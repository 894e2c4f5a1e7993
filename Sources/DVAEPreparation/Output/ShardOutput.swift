import DVAEImages
import DVAEFiles

/// WebDataset shards that are being written: `shard-000000.tar` and so on, in a folder.
///
/// Bytes stay in memory until they are flushed; a `Mark` is a position up to which the output is on
/// disk, and an output can be truncated to one.
final class ShardOutput {
  /// A finished shard, as in the index.
  struct Shard: Codable, Hashable {
    var name: String
    var samples: Int
    var bytes: Int
    var sha256: String

    /// Returns whether a name is that of a shard; another could lead out of the folder.
    static func isName(_ name: String) -> Bool {
      name.wholeMatch(of: #/shard-[0-9]{6,}\.tar/#) != nil
    }

    /// Returns the problem if the shard is not in a folder with all its bytes.
    func problem(in folder: String) -> String? {
      let path = folder + "/" + name
      let size = FileSystem.kind(path) == .file ? FileSystem.size(path) : nil
      if size == bytes { return nil }
      return
        "expected a finished shard of \(bytes) bytes, found \(size.map { "\($0)" } ?? "none")"
    }
  }

  /// A position in the output.
  struct Mark: Codable, Hashable {
    var shards: [Shard] = []
    /// The samples and bytes of the next one, and the bytes' SHA-256.
    var samples = 0
    var bytes = 0
    var sha256 = FileHash().finished()
  }

  private(set) var mark: Mark
  private let folder: String
  private let samplesPerShard: Int
  private var file: OutputFile?
  // The hash of the bytes in the file.
  private var hash = FileHash()
  private var pending: [UInt8] = []

  // The largest number of bytes in memory.
  private static let longestWait = 4 << 20

  /// Continues at a mark; everything after it is removed.
  init(_ folder: String, samplesPerShard: Int, from mark: Mark = Mark()) throws {
    self.folder = folder
    self.samplesPerShard = samplesPerShard
    self.mark = mark
    let kept = Set(mark.shards.map(\.name))
    for name in try FileSystem.names(in: folder) where name.hasBytePrefix("shard-") {
      if !kept.contains(name), name != current || mark.bytes == 0 {
        try FileSystem.remove(folder + "/" + name)
      }
    }
    for shard in mark.shards {
      if let problem = shard.problem(in: folder) {
        throw DVAEError.startOver(path: folder + "/" + shard.name, problem)
      }
    }
    guard mark.bytes > 0 else { return }
    let file = try open(emptied: false)
    guard file.size >= mark.bytes else {
      throw DVAEError.startOver(
        path: "\(folder)/\(current)",
        "expected the \(mark.bytes) bytes of the last run, found \(file.size)")
    }
    try file.truncate(to: mark.bytes)
    try hash.update(0..<mark.bytes, read: file.read(at:count:))
    guard hash.finished() == mark.sha256 else {
      throw DVAEError.startOver(
        path: "\(folder)/\(current)", "has been changed since it was written")
    }
  }

  /// The name of the current shard.
  var current: String { "shard-\(zeroPadded(mark.shards.count, 6)).tar" }

  /// Adds a sample to the shard.
  func append(_ sample: WebDatasetSample) throws {
    let files = try sample.tarFiles()
    pending += files
    mark.bytes += files.count
    mark.samples += 1
    if mark.samples == samplesPerShard {
      try finishShard()
    } else if pending.count >= Self.longestWait {
      try write()
    }
  }

  /// Flushes everything to disk.
  func sync() throws {
    try write()
    try file?.sync()
    mark.sha256 = hash.finished()
  }

  /// Passes waiting bytes to the system, without flushing them to disk.
  private func write() throws {
    guard !pending.isEmpty else { return }
    // A file that was not opened before has no bytes of this shard.
    try open(emptied: true).append(pending)
    hash.update(pending)
    pending.removeAll(keepingCapacity: true)
  }

  /// Completes the last shard.
  func finish() throws {
    if mark.samples > 0 { try finishShard() }
    FileSystem.flushFolder(folder)
  }

  private func open(emptied: Bool) throws(DVAEError) -> OutputFile {
    if let file { return file }
    let opened = try OutputFile(folder + "/" + current, emptied: emptied)
    file = opened
    return opened
  }

  private func finishShard() throws {
    pending += TarFormat.end
    try sync()
    let shard = Shard(
      name: current, samples: mark.samples, bytes: mark.bytes + TarFormat.end.count,
      sha256: hash.finished())
    mark = Mark(shards: mark.shards + [shard])
    hash = FileHash()
    file = nil
  }
}
