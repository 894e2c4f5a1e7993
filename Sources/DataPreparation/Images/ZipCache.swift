import Synchronization
import WeightFiles

/// The archives that were used last, kept open: neighbouring rows share one.
final class ZipCache: Sendable {
  private let archives = Mutex<[(path: String, archive: StoredZip)]>([])
  private static let most = 8

  /// The bytes of an archive's member.
  func contents(of member: String, in path: String) throws(Drop) -> [UInt8] {
    do throws(WeightsFileError) {
      let archive = try open(path)
      if let bytes = try archive.contents(of: member) { return bytes }
    } catch {
      if case .missing = error { throw Drop(.image, "missing-file", error.description) }
      throw Drop(.image, "unreadable", error.description)
    }
    throw Drop(.image, "missing-file", "\(path): holds no \(member)")
  }

  private func open(_ path: String) throws(WeightsFileError) -> StoredZip {
    let found = archives.withLock { archives -> StoredZip? in
      guard let place = archives.firstIndex(where: { $0.path == path }) else { return nil }
      let entry = archives.remove(at: place)
      archives.append(entry)
      return entry.archive
    }
    if let found { return found }
    let opened = try StoredZip(path: path)
    archives.withLock { archives in
      archives.append((path, opened))
      if archives.count > Self.most { archives.removeFirst() }
    }
    return opened
  }
}
