package import Foundation

/// The program that the build puts beside the tests.
package enum Program {
  /// The program's path; `swift build --build-tests` makes it, and without it tests fail.
  package static let path = product("dvae")

  /// Returns the path of an executable product of this package.
  package static func product(_ name: String) -> String {
    URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
      .appendingPathComponent(name).path
  }

  /// Starts the program.
  package static func launch(
    _ arguments: [String], in folder: String? = nil, input: Any? = FileHandle.nullDevice,
    output: Any? = FileHandle.nullDevice, errors: Pipe
  ) throws -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    if let folder { process.currentDirectoryURL = URL(fileURLWithPath: folder) }
    process.standardInput = input
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    return process
  }

  /// Runs the program to its end.
  package static func run(
    _ arguments: [String], in folder: String? = nil, input: Any? = FileHandle.nullDevice,
    output: Any? = FileHandle.nullDevice
  ) throws -> (status: Int32, errors: String) {
    let errors = Pipe()
    let process = try launch(
      arguments, in: folder, input: input, output: output, errors: errors)
    let text = errors.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: text, as: UTF8.self))
  }
}
