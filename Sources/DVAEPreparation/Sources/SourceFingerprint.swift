import DVAEImages
import DVAEFiles

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What a source looked like when a job began: a job that goes on counts its rows again, and they
/// must be the same.
struct SourceFingerprint: Codable, Hashable {
  let path: String
  /// Files that rows may come from, and their bytes.
  private(set) var files = 0
  private(set) var bytes = 0
  /// Of a file the time when it was changed, of a folder a hash over the names and sizes below it.
  private(set) var mark = ""

  /// Looks at a file, or at all names below a folder.
  init(_ path: String) {
    self.path = path
    guard FileSystem.kind(path) == .folder else {
      files = 1
      bytes = FileSystem.size(path) ?? 0
      mark = FileSystem.changed(path).map { "\($0)" } ?? ""
      return
    }
    var hash = FileHash()
    var visited: Set<FileIdentity> = []
    add(path, to: &hash, &visited)
    mark = hash.finished()
  }

  private mutating func add(
    _ folder: String, to hash: inout FileHash, _ visited: inout Set<FileIdentity>
  ) {
    guard let identity = FileIdentity(folder), visited.insert(identity).inserted else { return }
    guard let contents = try? FileSystem.entries(of: folder) else { return hash.add("unreadable") }
    for entry in contents where !FolderWalk.isPassedOver(entry) {
      let inner = (Path(folder) / entry.name).text
      if entry.isFolder {
        hash.add(entry.name + "/")
        add(inner, to: &hash, &visited)
        hash.add("..")
      } else if Self.isRead(entry.name) {
        let size = FileSystem.size(inner) ?? 0
        files += 1
        bytes += size
        hash.add(entry.name)
        hash.add("\(size)")
      }
    }
  }

  private static func isRead(_ name: String) -> Bool {
    Path(name).hasImageExtension || Path(name).hasOtherImageExtension || Path(name).isArchive
      || ImageSource.companions.contains(Path(name).fileExtension)
  }

  /// How it differs from what an unfinished run saw; nil if it does not.
  func change(since earlier: SourceFingerprint) -> String? {
    guard self != earlier else { return nil }
    let (then, now) = (earlier.size, size)
    return "\(path): has changed since the unfinished run, "
      + (then == now
        ? "in a name or in time: it has \(now) as before" : "from \(then) to \(now)")
  }

  private var size: String { "\(files) file\(files == 1 ? "" : "s") of \(bytes) bytes" }
}
