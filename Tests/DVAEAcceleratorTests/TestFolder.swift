import DVAEFiles
import Foundation

/// A folder of a test's own, removed with it.
final class TestFolder: Sendable {
  let path: String

  init() {
    path = NSTemporaryDirectory() + "/dvae-accelerator-" + UUID().uuidString
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Makes a file, and the folders above it.
  func write(_ text: String, to name: String) throws -> String {
    let file = URL(filePath: path).appending(path: name)
    try FileManager.default.createDirectory(
      at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(text.utf8).write(to: file)
    return path + "/" + name
  }
}

/// The error that a closure throws.
func error(_ body: () throws -> Void) -> DVAEError? {
  do {
    try body()
    return nil
  } catch {
    return error as? DVAEError
  }
}
