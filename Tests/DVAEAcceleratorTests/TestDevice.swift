import DVAETestSupport
import DVAEAccelerator
import DVAEFiles
import Foundation
import Testing

/// XLA's CPU plugin as the device of tests.
enum TestDevice {
  /// Whether the plugin is installed; without it the tests on a device are skipped.
  static let isInstalled = PluginSearch().find("cpu-xla") != nil

  static let advice: Comment =
    "XLA's CPU plugin is not installed, so nothing runs on a device: Scripts/install-device.sh cpu-xla"

  static func open(_ devices: Int = 1) throws -> Accelerator {
    try Accelerator(Plugin.load("cpu-xla"), devices: devices)
  }
}

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
