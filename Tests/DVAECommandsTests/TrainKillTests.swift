import DVAETestSupport
import Foundation
import Testing

/// `dvae train` as a separate process: killed at any moment and started again.
@Suite struct TrainKillTests {
  let folder = TemporaryFolder()

  private func arguments(_ name: String) -> [String] {
    ["train", "--output", folder(name), "--data"] + Fixture.imageFiles + TrainCommandTests.small
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

  /// Starts a run through a shell command that ends in `exec "$0" "$@"`, and waits until it
  /// computes.
  private func launch(_ name: String, by shell: String) throws -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", shell, Program.path] + arguments(name)
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    // After the first checkpoint, the signal handlers are installed.
    while process.isRunning, checkpoints(name).isEmpty { Thread.sleep(forTimeInterval: 0.01) }
    return process
  }

  private func checkpoints(_ name: String) -> [String] {
    let path = folder(name) + "/checkpoints"
    return (try? FileManager.default.contentsOfDirectory(atPath: path))?.sorted() ?? []
  }

  /// Returns the updates in the table of a run.
  private func updates(_ name: String) throws -> [Int] {
    String(decoding: try bytes(folder(name) + "/metrics.csv"), as: UTF8.self)
      .split(separator: "\n").dropFirst().compactMap { Int($0.prefix { $0 != "," }) }
  }

  #if os(Linux)
  // On one core, computing leaves no other thread any time.
  static let shells = ["exec \"$0\" \"$@\"", "exec taskset -c 0 \"$0\" \"$@\""]
  #else
  static let shells = ["exec \"$0\" \"$@\""]
  #endif

  @Test(arguments: [SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2], shells)
  func askedToStopItWritesACheckpoint(_ signal: Int32, _ shell: String) throws {
    let process = try launch("stopped", by: shell)
    kill(process.processIdentifier, signal)
    process.waitUntilExit()
    #expect(process.terminationStatus == 128 + signal)
    let last = try #require(try updates("stopped").last)
    #expect(last < 60)
    #expect(checkpoints("stopped").contains(String(format: "%09d.safetensors", last)))
  }

  @Test func theSecondSignalEndsAtOnce() throws {
    let process = try launch("stopped", by: Self.shells[0])
    // While stopped, the process receives both before it continues.
    kill(process.processIdentifier, SIGSTOP)
    kill(process.processIdentifier, SIGTERM)
    kill(process.processIdentifier, SIGINT)
    kill(process.processIdentifier, SIGCONT)
    process.waitUntilExit()
    #expect([128 + SIGINT, 128 + SIGTERM].contains(process.terminationStatus))
    // No weights: the run did not end normally.
    #expect(!FileManager.default.fileExists(atPath: folder("stopped/weights.safetensors")))
  }

  @Test(arguments: [(SIGHUP, "HUP"), (SIGINT, "INT")])
  func ignoredSignalsStayIgnored(_ signal: Int32, _ name: String) throws {
    let process = try launch("ignoring", by: "trap '' \(name); exec \"$0\" \"$@\"")
    kill(process.processIdentifier, signal)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    #expect(try updates("ignoring") == Array(1...60))
  }

  @Test func aRunGoesOnFromAnotherFolder() throws {
    let photos = folder("photos")
    try FileManager.default.createDirectory(atPath: photos, withIntermediateDirectories: true)
    for path in Fixture.imageFiles {
      try FileManager.default.copyItem(
        atPath: path, toPath: photos + "/" + URL(fileURLWithPath: path).lastPathComponent)
    }
    func run(_ arguments: [String], in place: String) throws -> [UInt8] {
      let result = try Program.run(
        ["train", "--quiet", "--output", folder("run")] + arguments, in: place)
      #expect(result.status == 0, "\(result.errors)")
      return try bytes(folder("run/weights.safetensors"))
    }
    let settings = ["--data", "photos"] + TrainCommandTests.small
    _ = try run(settings + ["--updates", "2"], in: folder.path)
    let resumed = try run(["--updates", "4"], in: photos)
    // The image paths given again, relative to this folder.
    _ = try run(["--updates", "5", "--data", "."], in: photos)
    _ = try run(["--updates", "6"], in: folder.path)
    // The weights do not contain the folder.
    #expect(!String(decoding: resumed, as: UTF8.self).contains(folder.path))
    let other = try Program.run(
      ["train", "--quiet", "--output", folder("b"), "--config", folder("run/config.json")],
      in: NSTemporaryDirectory())
    #expect(other.status == 0, "\(other.errors)")
  }
}
