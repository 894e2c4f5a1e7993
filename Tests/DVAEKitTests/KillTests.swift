import Foundation
import Testing

/// The program that the build has put beside the tests.
private let program: String? = {
  let folder = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
  let path = folder.appendingPathComponent("dvae").path
  return FileManager.default.isExecutableFile(atPath: path) ? path : nil
}()

/// The program itself, killed at ten moments of a bulk run and resumed.
@Suite(.enabled(if: program != nil)) struct KillTests {
  let folder = TemporaryFolder()
  private let count = 16

  private func launch(_ output: String, _ arguments: [String]) throws -> (Process, Pipe) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try #require(program))
    process.arguments =
      [
        "tokenize", "@" + folder("list.txt"), "--output", folder(output), "--weights",
        Fixtures.tiny, "--resolution", "64",
      ] + arguments
    let errors = Pipe()
    process.standardError = errors
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    return (process, errors)
  }

  private func finish(_ output: String, _ arguments: [String]) throws -> (Int32, String) {
    let (process, errors) = try launch(output, arguments)
    let text = errors.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: text, as: UTF8.self))
  }

  @Test(arguments: ["t.npy", "t.safetensors", "t.jsonl", "t.tar"])
  func resumedRunsGiveTheSameFile(_ name: String) throws {
    // One of the items is bad, so that failures are resumed too.
    var paths = (0..<count).map { Fixtures.imageFiles[$0 % 3] }
    paths[5] = folder("missing.png")
    try write(Array((paths.joined(separator: "\n") + "\n").utf8), to: folder("list.txt"))
    let start = ContinuousClock.now
    let (status, _) = try finish("whole-" + name, [])
    let duration = ContinuousClock.now - start
    #expect(status == 65)
    let whole = try contents("whole-" + name)
    var (kills, resumptions) = (0, 0)
    for moment in 0..<10 {
      let output = "\(moment)-" + name
      let (process, errors) = try launch(output, [])
      Thread.sleep(forTimeInterval: duration / .seconds(1) * (Double(moment) + 0.5) / 10)
      kill(process.processIdentifier, SIGKILL)
      _ = errors.fileHandleForReading.readDataToEndOfFile()
      process.waitUntilExit()
      if process.terminationReason == .uncaughtSignal {
        kills += 1
        let (status, text) = try finish(output, ["--resume"])
        #expect(status == 65 || text.contains("complete already"))
        resumptions += text.contains("resuming after") ? 1 : 0
      }
      #expect(try contents(output) == whole, "killed at moment \(moment)")
    }
    // The last moments may come too late on a machine that has become faster meanwhile.
    #expect(kills >= 5)
    #expect(resumptions >= 1)
  }

  private func contents(_ name: String) throws -> [[UInt8]] {
    let sidecar = folder(name) + ".json"
    return try [
      bytes(folder(name)),
      FileManager.default.fileExists(atPath: sidecar) ? bytes(sidecar) : [],
    ]
  }
}
