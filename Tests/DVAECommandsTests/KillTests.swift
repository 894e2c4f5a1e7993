import DVAEFiles
import DVAETestSupport
import Foundation
import Testing

/// The program itself, killed at ten moments of a bulk run and resumed.
@Suite struct KillTests {
  let folder = TemporaryFolder()
  private let count = 24

  private func arguments(_ output: String, _ more: [String]) -> [String] {
    [
      "tokenize", "@" + folder("list.txt"), "--output", folder(output), "--weights", Fixture.tiny,
      "--resolution", "128",
    ] + more
  }

  // TokenFileTests resumes the other forms after every commit.
  @Test(arguments: ["t.npy", "t.tar", "t-{0..2}.tar"])
  func resumedRunsGiveTheSameFile(_ name: String) throws {
    // One of the items is bad, so that failures are resumed too.
    var paths = (0..<count).map { Fixture.imageFiles[$0 % 3] }
    paths[5] = folder("missing.png")
    try write(Array((paths.joined(separator: "\n") + "\n").utf8), to: folder("list.txt"))
    let start = ContinuousClock.now
    let (status, _) = try Program.run(arguments("whole-" + name, []))
    let duration = ContinuousClock.now - start
    #expect(status == 65)
    let whole = try contents("whole-" + name)
    var (kills, resumptions) = (0, 0)
    for moment in 0..<10 {
      let output = "\(moment)-" + name
      let errors = Pipe()
      let process = try Program.launch(arguments(output, []), errors: errors)
      if moment % 2 == 0 {
        Thread.sleep(forTimeInterval: duration / .seconds(1) * (Double(moment) + 0.5) / 10)
      } else {
        wait(
          for: moment,
          in: folder(output).replacing("{0..2}", with: "\(moment % 3)") + ".partial.journal",
          while: process)
      }
      kill(process.processIdentifier, SIGKILL)
      _ = errors.fileHandleForReading.readDataToEndOfFile()
      process.waitUntilExit()
      if process.terminationReason == .uncaughtSignal {
        kills += 1
        let (status, text) = try Program.run(arguments(output, ["--resume"]))
        #expect(status == 65, "\(text)")
        resumptions += text.contains("resuming after") ? 1 : 0
      }
      #expect(try contents(output) == whole, "killed at moment \(moment)")
    }
    // On a machine that has become faster, the last moments may come too late.
    #expect(kills >= 5)
    #expect(resumptions >= 1)
  }

  /// Returns when this many items are committed, however slow the machine is.
  private func wait(for count: Int, in journal: String, while process: Process) {
    while process.isRunning {
      let text = FileManager.default.contents(atPath: journal).map {
        String(decoding: $0, as: UTF8.self)
      }
      if let text, text.components(separatedBy: "\"key\":").count > count { return }
      Thread.sleep(forTimeInterval: 0.001)
    }
  }

  private func contents(_ name: String) throws -> [[UInt8]] {
    try NumberedNames.expanded([folder(name)]).flatMap { path in
      let sidecar = path + ".json"
      return try [
        bytes(path), FileManager.default.fileExists(atPath: sidecar) ? bytes(sidecar) : [],
      ]
    }
  }

  @Test func interruptionSaysHowToGoOn() throws {
    try write(Array((Fixture.imageFiles[0] + "\n").utf8), to: folder("list.txt"))
    let errors = Pipe()
    let process = try Program.launch(
      [
        "tokenize", "@" + folder("list.txt"), "--output", folder("t.npy"), "--weights",
        Fixture.tiny, "--resolution", "2048", "--upscale",
      ], errors: errors)
    while !FileManager.default.fileExists(atPath: folder("t.npy.partial")), process.isRunning {
      Thread.sleep(forTimeInterval: 0.01)
    }
    process.interrupt()
    let text = errors.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    #expect(process.terminationReason == .uncaughtSignal && process.terminationStatus == SIGINT)
    #expect(String(decoding: text, as: UTF8.self).contains("--resume"))
  }

  @Test func readersThatGoAwayAreNoFailure() throws {
    let output = Pipe()
    try output.fileHandleForReading.close()
    let run = try Program.run(["weights", "info", Fixture.tiny], output: output)
    #expect(run.status == 0)
    #expect(run.errors == "")
  }

  @Test(.enabled(if: FileManager.default.fileExists(atPath: "/dev/full")))
  func resultsThatCannotBeWrittenAreAFailure() throws {
    let full = try #require(FileHandle(forWritingAtPath: "/dev/full"))
    for arguments in [["weights", "info", Fixture.tiny], ["--help"]] {
      #expect(try Program.run(arguments, output: full).status == 74)
    }
  }
}
