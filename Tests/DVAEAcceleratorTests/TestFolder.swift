import DVAEFiles
import Foundation

/// A temporary folder of one test.
final class TestFolder: Sendable {
  let path: String

  init() {
    path = NSTemporaryDirectory() + "/dvae-accelerator-" + UUID().uuidString
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Writes a file and creates its folder.
  func write(_ text: String, to name: String) throws -> String {
    let file = URL(filePath: path).appending(path: name)
    try FileManager.default.createDirectory(
      at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(text.utf8).write(to: file)
    return path + "/" + name
  }
}

/// Returns the error that a closure throws.
func error(_ body: () throws -> Void) -> DVAEError? {
  do {
    try body()
    return nil
  } catch {
    return error as? DVAEError
  }
}
