import Foundation

/// The program that the build has put beside the tests.
enum Program {
  static let path: String? = {
    let folder = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    let path = folder.appendingPathComponent("dvae").path
    return FileManager.default.isExecutableFile(atPath: path) ? path : nil
  }()

  /// Starts the program.
  static func launch(
    _ arguments: [String], in folder: String? = nil, output: Any? = FileHandle.nullDevice,
    errors: Pipe
  ) throws -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path ?? "dvae")
    process.arguments = arguments
    if let folder { process.currentDirectoryURL = URL(fileURLWithPath: folder) }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    return process
  }

  /// Runs the program to its end.
  static func run(
    _ arguments: [String], in folder: String? = nil, output: Any? = FileHandle.nullDevice
  ) throws -> (status: Int32, errors: String) {
    let errors = Pipe()
    let process = try launch(arguments, in: folder, output: output, errors: errors)
    let text = errors.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: text, as: UTF8.self))
  }
}
