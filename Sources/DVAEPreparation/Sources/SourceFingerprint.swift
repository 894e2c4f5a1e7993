import DVAEImages
import DVAEFiles

/// The identity of a source when a job began: a resumed job counts its rows again, so they must be
/// the same.
struct SourceFingerprint: Codable, Hashable {
  let path: String
  /// The number of files with rows.
  private(set) var files = 0
  private(set) var bytes = 0
  /// A file's modification time, or a hash of the names and sizes in a folder.
  private(set) var mark = ""

  /// Examines a file, or all names in a folder.
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
      } else if Self.isRead(entry, in: folder) {
        let size = FileSystem.size(inner) ?? 0
        files += 1
        bytes += size
        hash.add(entry.name)
        hash.add("\(size)")
      }
    }
  }

  private static func isRead(_ entry: FolderEntry, in folder: String) -> Bool {
    let name = Path(entry.name)
    return name.hasImageExtension || name.hasOtherImageExtension || name.isArchive
      || ImageSource.sidecars.contains(name.fileExtension)
      || FolderWalk.isUnnamedImage(entry, in: folder)
  }

  /// Describes the difference from an unfinished run's source; nil if there is none.
  func change(since earlier: SourceFingerprint) -> String? {
    guard self != earlier else { return nil }
    let (then, now) = (earlier.size, size)
    return "\(path): has changed since the unfinished run, "
      + (then == now
        ? "in a name or in time: it has \(now) as before" : "from \(then) to \(now)")
  }

  private var size: String { "\(counted(files, "file")) of \(bytes) bytes" }
}
