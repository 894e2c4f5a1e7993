#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The SHA-256 of large files that were read and verified before, and are still the same.
///
/// A file is the same if its place, size and times are. Nothing sets the time of a status change but the
/// system's clock, so a file that was changed or replaced has another, unless a memory map changed it.
package struct VerifiedFiles: Sendable {
  /// A file as it is.
  package struct State: Sendable, Equatable {
    fileprivate let text: String
    fileprivate let isSettled: Bool

    /// Examines a file; nil if it is missing.
    ///
    /// - Parameters:
    ///   - path: the file
    ///   - now: the time in seconds since 1970
    package init?(_ path: String, now: Double = Date().timeIntervalSince1970) {
      guard let status = try? SystemFile.status(at: path, followingLinks: true) else { return nil }
      text = "\(status.identity) \(status.size) \(status.changed) \(status.statusChanged)"
      // Two changes within the clock's resolution have the same time.
      isSettled = status.statusChanged + 2 < now
    }

    /// Two examinations of an unchanged file are equal.
    package static func == (a: State, b: State) -> Bool { a.text == b.text }
  }

  private let cache: DiskCache
  private let smallest: Int

  /// Opens the list in a folder; by default `dvae/verified` in the user's cache folder.
  ///
  /// - Parameters:
  ///   - folder: the folder
  ///   - smallest: the size in bytes of the smallest files; others are soon read
  package init(_ folder: String? = nil, smallest: Int = 1 << 26) {
    cache = DiskCache(folder ?? UserFolder.cache.path() + "/verified", capacity: 256)
    self.smallest = smallest
  }

  /// Returns the SHA-256 of a file that was verified in this state; nil if it was not.
  package func hash(_ state: State) -> String? {
    guard let bytes = cache.read(Self.name(state), limit: 128), bytes.count == 64,
      bytes.allSatisfy({ $0.hexadecimalValue != nil })
    else { return nil }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Notes the SHA-256 of a file that was verified, unless it has changed since it was in this state.
  package func add(_ path: String, _ state: State, _ sha256: String) {
    guard state.isSettled, State(path) == state, FileSystem.size(path) ?? 0 >= smallest else {
      return
    }
    cache.write(Array(sha256.utf8), Self.name(state))
  }

  private static func name(_ state: State) -> String { FileHash.of(Array(state.text.utf8)) }
}
