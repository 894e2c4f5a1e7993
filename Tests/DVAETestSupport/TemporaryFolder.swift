import Foundation

/// A temporary folder of one test.
package final class TemporaryFolder: Sendable {
  /// The folder.
  package let path: String

  /// Makes an empty folder.
  package init() {
    path = NSTemporaryDirectory() + "/dvae-tests-" + UUID().uuidString
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Returns the path of a name in the folder.
  package func callAsFunction(_ name: String) -> String { path + "/" + name }

  /// Writes a file of the folder and returns its path.
  package func write(_ text: String, to name: String) throws -> String {
    try DVAETestSupport.write(Array(text.utf8), to: self(name))
    return self(name)
  }

  /// Returns the bytes of each file in a folder of the folder.
  package func contents(_ name: String) throws -> [String: [UInt8]] {
    let files = try FileManager.default.contentsOfDirectory(atPath: self(name))
    return try Dictionary(
      uniqueKeysWithValues: files.map { ($0, try bytes(self(name) + "/" + $0)) })
  }
}

/// Calls `body` with a new empty folder, and removes it afterwards.
package func withFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
  let folder = TemporaryFolder()
  return try withExtendedLifetime(folder) { try body(folder.path) }
}

/// Returns the bytes of a file.
package func bytes(_ path: String) throws -> [UInt8] {
  [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
}

/// Writes a file and creates its folder if missing.
package func write(_ bytes: [UInt8], to path: String) throws {
  let url = URL(fileURLWithPath: path)
  try FileManager.default.createDirectory(
    at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
  try Data(bytes).write(to: url)
}
