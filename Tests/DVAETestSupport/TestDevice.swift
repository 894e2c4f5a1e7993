package import DVAEAccelerator
package import DVAEFiles
import Foundation
package import Testing

/// XLA's CPU plugin as a test device.
package enum TestDevice {
  /// Whether the plugin is installed; without it the tests on a device are skipped.
  package static let isInstalled = PluginSearch().find("cpu-xla") != nil

  /// The reason for a skipped test.
  package static let advice: Comment = """
    XLA's CPU plugin is not installed, so nothing runs on a device: Scripts/install-device.sh cpu-xla
    """

  /// Opens this many devices, which share the processor.
  package static func open(_ devices: Int = 1) throws -> Accelerator {
    prepare()
    return try Accelerator(Plugin.load("cpu-xla"), devices: devices)
  }

  /// Makes the plugin, which reads the environment when it is loaded, optimise little: the tests
  /// spend most of their time in its compiler.
  package static func prepare() { _ = flags }

  private static let flags: Int32 = setenv(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true", 0)
}

extension DeviceProgram {
  /// Runs the program on one device and waits.
  package func callAsFunction(_ arguments: [DeviceBuffer]) throws(DVAEError) -> [DeviceBuffer] {
    let run = try run([arguments])
    try run.wait()
    return run.results[0]
  }
}
