import DVAEFiles
import Synchronization

/// The most recently used archives, kept open because neighbouring rows share one.
final class ZipCache: Sendable {
  private let archives = Mutex(RecentlyUsed<Path, ZipArchive>(capacity: 8))

  /// Returns the bytes of an archive's member, at most `limit`.
  func contents(of member: String, in path: String, limit: Int) throws(DVAEError) -> [UInt8] {
    let archive = try open(Path(path))
    if let bytes = try archive.contents(of: member, limit: limit) { return bytes }
    throw DVAEError(.missing, code: .missing, file: path, "holds no \(member)")
  }

  private func open(_ path: Path) throws(DVAEError) -> ZipArchive {
    if let found = archives.withLock({ $0.value(of: path) }) { return found }
    let opened = try ZipArchive(MappedFile(path: path.text), for: .members)
    archives.withLock { $0.add(opened, path) }
    return opened
  }
}
