import DVAEFiles
import Synchronization
import DVAEWeights

/// The most recently used archives, kept open because neighbouring rows share one.
final class ZipCache: Sendable {
  private let archives = Mutex<[(path: String, archive: ZipMembers)]>([])
  private static let most = 8

  /// Returns the bytes of an archive's member, at most `limit`.
  func contents(of member: String, in path: String, limit: Int) throws(Drop) -> [UInt8] {
    do throws(DVAEError) {
      let archive = try open(path)
      if let bytes = try archive.contents(of: member, limit: limit) { return bytes }
    } catch {
      let kind =
        switch error.code {
        case .missing: "missing-file"
        case .limitExceeded: "too-large"
        default: "unreadable"
        }
      throw Drop(.image, kind, error.description)
    }
    throw Drop(.image, "missing-file", "\(path): holds no \(member)")
  }

  private func open(_ path: String) throws(DVAEError) -> ZipMembers {
    let found = archives.withLock { archives -> ZipMembers? in
      guard let place = archives.firstIndex(where: { $0.path == path }) else { return nil }
      let entry = archives.remove(at: place)
      archives.append(entry)
      return entry.archive
    }
    if let found { return found }
    let opened = try ZipMembers(path: path)
    archives.withLock { archives in
      archives.append((path, opened))
      if archives.count > Self.most { archives.removeFirst() }
    }
    return opened
  }
}
