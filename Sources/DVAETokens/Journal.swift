import DVAEFiles

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

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
/// items of a batch, once their bytes are on disk, one line commits them. Everything after the last
/// commit is void: a resumed job truncates both files to it.
final class Journal {
  /// The number of committed items.
  private(set) var done = 0
  /// The number of failed items among them.
  private(set) var failed = 0
  /// The size of the output that holds them, in bytes.
  private(set) var bytes = 0

  // Larger numbers would overflow sums.
  private static let mostBytes = 1 << 53

  private let file: OutputFile
  private var pending: [UInt8] = []
  private var pendingCount = 0

  private struct Opening: Codable {
    var journal: Int
    var provenance: Provenance
  }

  private struct Commit: Codable {
    var done: Int
    var bytes: Int
  }

  /// Starts a journal and replaces an old one.
  init(starting path: String, _ provenance: Provenance) throws(DVAEError) {
    file = try Self.openLocked(path)
    try file.truncate(to: 0)
    try file.append(jsonLine(Opening(journal: 1, provenance: provenance)))
    try file.sync()
  }

  /// Continues a journal; nil if its first line is unreadable, so that nothing is committed.
  ///
  /// A journal of a job with other settings is an error.
  init?(continuing path: String, _ provenance: Provenance) throws {
    file = try Self.openLocked(path)
    var lines = LineReader(file)
    guard let first = try lines.next(),
      let opening = try? decodedJSON(Opening.self, first)
    else { return nil }
    guard opening.journal == 1 else {
      throw DVAEError.startOver(path: path, "a journal of kind \(opening.journal), expected 1")
    }
    if let difference = opening.provenance.difference(from: provenance) {
      throw DVAEError(
        .usage, code: .startOver, file: path, "the unfinished run had other \(difference)",
        advice: "run it with the same, or start over")
    }
    try readCommits(&lines)
  }

  private static func openLocked(_ path: String) throws(DVAEError) -> OutputFile {
    try OutputFile(path, emptied: false, locked: true)
  }

  private func readCommits(_ lines: inout LineReader) throws {
    var end = lines.position
    var (count, failures) = (0, 0)
    while let line = try lines.next() {
      if let entry = try? decodedJSON(JournalEntry.self, line), entry.isPlausible {
        count += 1
        failures += entry.error == nil ? 0 : 1
      } else if let commit = try? decodedJSON(Commit.self, line), commit.done == count,
        (bytes...Self.mostBytes).contains(commit.bytes)
      {
        (done, failed, bytes) = (count, failures, commit.bytes)
        end = lines.position
      } else {
        break
      }
    }
    try file.truncate(to: end)
  }

  /// The journal's own size in bytes, with the items that are not committed yet.
  var size: Int { file.size + pending.count }

  /// Adds an item, which is not committed yet.
  func note(_ entry: JournalEntry) throws(DVAEError) {
    pending += try jsonLine(entry)
    pendingCount += 1
    failed += entry.error == nil ? 0 : 1
  }

  /// Commits the added items; their bytes, `bytes` in all, must be on disk.
  func commit(bytes: Int) throws(DVAEError) {
    guard pendingCount > 0 || bytes != self.bytes else { return }
    done += pendingCount
    self.bytes = bytes
    try file.append(pending + jsonLine(Commit(done: done, bytes: bytes)))
    try file.sync()
    pending = []
    pendingCount = 0
  }

  /// Calls `body` with the committed items, in order.
  func forEach(_ body: (JournalEntry) throws -> Void) throws {
    var lines = LineReader(file)
    while let line = try lines.next() {
      if let entry = try? decodedJSON(JournalEntry.self, line) { try body(entry) }
    }
  }
}
