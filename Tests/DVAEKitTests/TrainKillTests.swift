import Foundation
import Testing

/// `dvae train` as a process of its own: killed at any moment and started again.
@Suite(.enabled(if: Program.path != nil)) struct TrainKillTests {
  let folder = TemporaryFolder()

  private func arguments(_ name: String) -> [String] {
    ["train", "--output", folder(name), "--data"] + Fixtures.imageFiles + TrainCommandTests.small
      + ["--updates", "60", "--quiet"]
  }

  private func launch(_ name: String) throws -> Process {
    try Program.launch(arguments(name), errors: Pipe())
  }

  @Test func killedRunsEndWithTheSameBits() throws {
    let start = ContinuousClock.now
    #expect(try Program.run(arguments("whole")).status == 0)
    let duration = (ContinuousClock.now - start) / .seconds(1)
    let expected = try bytes(folder("whole/weights.safetensors"))
    var kills = 0
    for moment in 0..<5 {
      let process = try launch("killed")
      Thread.sleep(forTimeInterval: duration * (0.2 + 0.1 * Double(moment)))
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
      kills += process.terminationReason == .uncaughtSignal ? 1 : 0
    }
    #expect(kills > 0)
    #expect(try Program.run(arguments("killed")).status == 0)
    #expect(try bytes(folder("killed/weights.safetensors")) == expected)
    let updates = String(decoding: try bytes(folder("killed/metrics.csv")), as: UTF8.self)
      .split(separator: "\n").dropFirst().compactMap { Int($0.prefix { $0 != "," }) }
    #expect(updates == Array(1...60))
  }

  @Test(arguments: [SIGTERM, SIGINT])
  func askedToStopItWritesACheckpoint(_ signal: Int32) throws {
    let process = try launch("stopped")
    let checkpoints = folder("stopped/checkpoints")
    // Once there is a checkpoint, the signals are listened to.
    while process.isRunning,
      (try? FileManager.default.contentsOfDirectory(atPath: checkpoints))?.isEmpty != false
    {
      Thread.sleep(forTimeInterval: 0.01)
    }
    kill(process.processIdentifier, signal)
    process.waitUntilExit()
    #expect(process.terminationStatus == 128 + signal)
    let last = String(decoding: try bytes(folder("stopped/metrics.csv")), as: UTF8.self)
      .split(separator: "\n").last?.prefix { $0 != "," }
    let update = try #require(last.flatMap { Int($0) })
    let name = String(format: "%09d.safetensors", update)
    #expect(try FileManager.default.contentsOfDirectory(atPath: checkpoints).contains(name))
  }
}
