import DVAECommands
import Foundation
import Synchronization

/// Runs a command line in this process.
///
/// - Returns: the exit status and what was printed to both sides.
func dvae(_ arguments: String...) async -> (status: Int32, output: String, errors: String) {
  await dvae(arguments)
}

/// Runs a command line in this process.
func dvae(_ arguments: [String]) async -> (status: Int32, output: String, errors: String) {
  let printed = Mutex(("", ""))
  let console = Console(
    isTerminal: false,
    output: { text in
      printed.withLock { $0.0 += text }
      return true
    },
    errors: { text in
      printed.withLock { $0.1 += text }
      return true
    })
  let status = await Console.$current.withValue(console) { await DVAECommand.execute(arguments) }
  return printed.withLock { (status, $0.0, $0.1) }
}

/// The project's own test files.
enum Fixtures {
  static let folder =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().path + "/Fixtures"
  static let tiny = folder + "/tiny"
  static let images = folder + "/images"
  /// In the order of their names.
  static let names = ["kodim04", "kodim23", "odd_401x333"]
  static let imageFiles = ["kodim04.jpg", "kodim23.png", "odd_401x333.png"].map {
    images + "/" + $0
  }
}

/// The bytes of a file.
func bytes(_ path: String) throws -> [UInt8] {
  try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
}

/// Writes a file whose folder is there.
func write(_ bytes: [UInt8], to path: String) throws {
  try Data(bytes).write(to: URL(fileURLWithPath: path))
}
