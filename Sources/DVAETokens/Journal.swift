import DVAEFiles

/// The outcome of one item: a line of the journal.
struct JournalEntry: Codable {
  /// The item's key.
  var key: String
  /// Rows and columns of its tokens, if it succeeded.
  var grid: [Int]?
  /// The error in one line, if it failed.
  var error: String?
  /// Its caption, if the output cannot store it before the end.
  var text: String?
  /// Its description, one line of JSON, likewise.
  var json: String?

  /// Whether an item can have such a grid; larger numbers would overflow sums.
  fileprivate var isPlausible: Bool {
    guard let grid else { return true }
    return grid.count == 2 && grid.allSatisfy { (1...1 << 20).contains($0) }
  }
}

/// The journal of a bulk output, beside the unfinished file.
///
/// The first line is the job's provenance; then there is one line per item, in order; after the
/// items of a batch, once their bytes are on disk, one line commits them, with a checksum of all
/// lines before it and one of all bytes of the output. Everything after the last sound commit is void:
/// a resumed job truncates both files to it.
final class Journal {
  /// The number of committed items.
  private(set) var done = 0
  /// The number of failed items among them.
  private(set) var failed = 0
  /// The size of the output that holds them, in bytes.
  private(set) var bytes = 0
  /// The number of items that were committed, but whose bytes have changed or vanished since.
  private(set) var damaged = 0

  // Larger numbers would overflow sums.
  private static let mostBytes = 1 << 53

  private static let version = 3

  private let file: OutputFile
  // The hash of the bytes in the file.
  private var hash = FileHash()
  // The hash of the output's bytes; nil for a folder.
  private var data: CommittedBytes?
  private var pending: [UInt8] = []
  private var pendingCount = 0

  private struct Opening: Codable {
    var journal: Int
    var provenance: Provenance?
  }

  private struct Commit: Codable, Equatable {
    var done: Int
    var bytes: Int
    /// The hash of the output's bytes; nil for a folder.
    var data: String?
    /// The hash of the lines before and of the fields above.
    var sha256: String

    /// Makes a commit after lines whose hash is `hash`.
    init(done: Int, bytes: Int, data: String?, after hash: FileHash) {
      self.done = done
      self.bytes = bytes
      self.data = data
      sha256 = FileHash.of(Array("\(hash.finished()) \(done) \(bytes) \(data ?? "")".utf8))
    }
  }

  /// Returns whether there is a journal at a path, which may be empty or incomplete after a kill.
  ///
  /// - Throws: `cannotCreate` if there is another file
  static func isOwn(_ path: String) throws(DVAEError) -> Bool {
    guard FileSystem.exists(path) else { return false }
    let start = Array("{\"journal\":".utf8)
    guard !FileSystem.isLink(path), FileSystem.kind(path) == .file,
      let head = try? InputFile(path: path).read(at: 0, count: start.count),
      start.starts(with: head)
    else {
      throw DVAEError(
        .cannotCreate, file: path, "has the name of a journal, but is none",
        advice: "move it away, or choose another name")
    }
    return true
  }

  /// Starts a journal and replaces an old one.
  init(
    starting path: String, _ provenance: Provenance?, of data: CommittedBytes?
  ) throws(DVAEError) {
    file = try OutputFile(path, emptied: true, locked: true)
    self.data = data
    let opening = try jsonLine(Opening(journal: Self.version, provenance: provenance))
    hash.update(opening)
    let commit = try jsonLine(Commit(done: 0, bytes: 0, data: data?.sha256, after: hash))
    hash.update(commit)
    try file.append(opening + commit)
    try file.sync()
  }

  /// Continues a journal; nil if a kill has left less than its first two lines, so that nothing is
  /// committed.
  ///
  /// - Throws: `startOver` for a journal of a job with other settings, of another version, or
  ///   without a sound commit, and for tokens of unknown provenance, whose jobs look alike
  init?(continuing path: String, _ provenance: Provenance?, of data: CommittedBytes?) throws {
    file = try OutputFile(path, emptied: false, locked: true)
    self.data = data
    var lines = LineReader(file)
    guard let first = try lines.next() else { return nil }
    guard let opening = try? decodedJSON(Opening.self, first) else {
      throw DVAEError.startOver(path: path, "is damaged in its first line")
    }
    guard opening.journal == Self.version else {
      throw DVAEError.startOver(path: path, "was begun by another version of this program")
    }
    let hasLines = file.size > lines.position
    guard try readCommits(first, &lines) else {
      if !hasLines { return nil }
      throw DVAEError.startOver(path: path, "is damaged before its first commit")
    }
    guard let provenance, let earlier = opening.provenance else {
      throw DVAEError.startOver(
        path: path, "is of tokens of unknown provenance, and could belong to another job")
    }
    if let difference = earlier.difference(from: provenance) {
      throw DVAEError(
        .usage, code: .startOver, file: path, "the unfinished run had other \(difference)",
        advice: "run it with the same, or start over")
    }
  }

  /// Reads up to the last sound commit and truncates the file there; returns whether there is one.
  private func readCommits(_ first: ArraySlice<UInt8>, _ lines: inout LineReader) throws -> Bool {
    var end: Int?
    var (count, failures, promised) = (0, 0, 0)
    var read = FileHash()
    var data = data
    let output = try data.map { try InputFile(path: $0.path) }
    read.update(first + [UInt8(ascii: "\n")])
    while let line = try lines.next() {
      let before = read
      read.update(line + [UInt8(ascii: "\n")])
      if let entry = try? decodedJSON(JournalEntry.self, line), entry.isPlausible {
        count += 1
        failures += entry.error == nil ? 0 : 1
      } else if let commit = try? decodedJSON(Commit.self, line), commit.done == count,
        (bytes...Self.mostBytes).contains(commit.bytes),
        commit
          == Commit(done: commit.done, bytes: commit.bytes, data: commit.data, after: before)
      {
        promised = count
        try data?.grow(to: commit.bytes) { (offset, count) throws(DVAEError) in
          try output?.read(at: offset, count: count) ?? []
        }
        // Later bytes may be sound, but they would stand at another place.
        guard commit.data == data?.sha256 else { continue }
        (done, failed, bytes) = (count, failures, commit.bytes)
        (end, hash, self.data) = (lines.position, read, data)
      } else {
        break
      }
    }
    damaged = promised - done
    if let end { try file.truncate(to: end) }
    return end != nil
  }

  /// The journal's own size in bytes, with the items that are not committed yet.
  var size: Int { file.size + pending.count }

  /// Adds an item, which is not committed yet.
  func note(_ entry: JournalEntry) throws(DVAEError) {
    pending += try jsonLine(entry)
    pendingCount += 1
    failed += entry.error == nil ? 0 : 1
  }

  /// Commits the added items, whose bytes must be on disk.
  ///
  /// - Parameters:
  ///   - bytes: the size of the output
  ///   - output: the file; nil for a folder
  /// - Throws: errors of the file system.
  func commit(bytes: Int, of output: OutputFile?) throws(DVAEError) {
    guard pendingCount > 0 || bytes != self.bytes else { return }
    try data?.grow(to: bytes) { (offset, count) throws(DVAEError) in
      try output?.read(at: offset, count: count) ?? []
    }
    done += pendingCount
    self.bytes = bytes
    hash.update(pending)
    let commit = try jsonLine(
      Commit(done: done, bytes: bytes, data: data?.sha256, after: hash))
    hash.update(commit)
    try file.append(pending + commit)
    try file.sync()
    pending = []
    pendingCount = 0
  }

  /// Returns the committed failures, in order.
  func failures() throws -> [Failure] {
    var failures: [Failure] = []
    try forEach { entry in
      if let error = entry.error { failures.append(Failure(key: entry.key, error: error)) }
    }
    return failures
  }

  /// Calls `body` with the committed items, in order.
  func forEach(_ body: (JournalEntry) throws -> Void) throws {
    var lines = LineReader(file)
    while let line = try lines.next() {
      if let entry = try? decodedJSON(JournalEntry.self, line), entry.isPlausible {
        try body(entry)
      }
    }
  }
}

/// The bytes of an unfinished output that its journal vouches for.
struct CommittedBytes {
  /// The path of the unfinished output.
  let path: String
  private var size: Int
  private var hash = FileHash()

  /// Starts with no bytes.
  ///
  /// - Parameters:
  ///   - path: the path of the unfinished output
  ///   - start: the number of bytes at its start that are written last
  init(_ path: String, from start: Int) {
    self.path = path
    size = start
  }

  /// The hash of the bytes.
  var sha256: String { hash.finished() }

  /// Adds the bytes up to an offset, or to the end of the file.
  mutating func grow(
    to end: Int, read: (_ offset: Int, _ count: Int) throws(DVAEError) -> [UInt8]
  ) throws(DVAEError) {
    size += try hash.update(size..<max(size, end), read: read)
  }
}
