import Dispatch
import Synchronization

/// The SHA-256 of a file, computed by another thread while the caller does something else.
package final class PendingHash: Sendable {
  private let result = Mutex<Result<String, DVAEError>?>(nil)
  private let work = DispatchGroup()

  /// Takes a hash that is known.
  package init(known hash: String) { result.withLock { $0 = .success(hash) } }

  /// Begins to read a file.
  package init(of path: String) {
    DispatchQueue.global().async(group: work) {
      let hash = Result { () throws(DVAEError) in try FileHash.of(path) }
      self.result.withLock { $0 = hash }
    }
  }

  /// Returns the hash, as `FileHash.of(_:)` does; waits for it.
  ///
  /// - Throws: if the file cannot be read
  package func value() throws(DVAEError) -> String {
    work.wait()
    guard let hash = result.withLock(\.self) else { preconditionFailure("no hash") }
    return try hash.get()
  }
}
