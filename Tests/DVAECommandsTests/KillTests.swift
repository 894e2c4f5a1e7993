import DVAEFiles
import DVAEImages
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
    // Where commits are rare, ten kills may all miss the moments between the first one and the end.
    for moment in 0..<60 where moment < 10 || resumptions == 0 {
      let output = "\(moment)-" + name
      let errors = Pipe()
      let process = try Program.launch(arguments(output, []), errors: errors)
      if moment % 2 == 0 {
        Thread.sleep(forTimeInterval: duration / .seconds(1) * (Double(moment % 10) + 0.5) / 10)
      } else {
        wait(
          for: moment % 10,
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

  /// ssh and others make pipes non-blocking; a slow reader loses nothing.
  @Test func slowReadersOfNonBlockingPipesGetAll() throws {
    let output = Pipe()
    let end = output.fileHandleForWriting.fileDescriptor
    #expect(fcntl(end, F_SETFL, fcntl(end, F_GETFL) | O_NONBLOCK) == 0)
    var filled = 0
    while case let count = Foundation.write(end, "x", 1), count > 0 { filled += count }
    let errors = Pipe()
    let process = try Program.launch(["--help"], output: output, errors: errors)
    try output.fileHandleForWriting.close()
    Thread.sleep(forTimeInterval: 0.3)
    let text = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    let help = String(decoding: text.dropFirst(filled), as: UTF8.self)
    #expect(help.hasPrefix("OVERVIEW") && help.contains("'dvae help <subcommand>'"))
  }

  /// Runs the program in a shell that has set limits.
  private func run(limits: String, _ arguments: [String]) throws -> (status: Int32, errors: String)
  {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", limits + "; exec \"$0\" \"$@\"", Program.path] + arguments
    let errors = Pipe()
    process.standardError = errors
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    let text = errors.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: text, as: UTF8.self))
  }

  @Test func tooFewOpenFilesAreTold() throws {
    // With 4, the first thread of a task could not be made.
    for count in [4, 5, 8, 16, 31] {
      let run = try run(limits: "ulimit -n \(count)", ["weights", "info", Fixture.tiny])
      #expect(run.status == 70 && run.errors.contains("ulimit -n"), "\(count): \(run.errors)")
    }
    #expect(try run(limits: "ulimit -n 32", ["weights", "info", Fixture.tiny]).status == 0)
    // The usual soft limit is raised.
    #expect(try run(limits: "ulimit -S -n 8", ["weights", "info", Fixture.tiny]).status == 0)
  }

  #if os(Linux)
  @Test func tooLittleMemoryIsTold() throws {
    // With the lesser, the first thread of a task would be waited for without end.
    for kilobytes in [120_000, 195_000] {
      let run = try run(limits: "ulimit -v \(kilobytes)", ["weights", "info", Fixture.tiny])
      #expect(run.status == 70 && run.errors.contains("ulimit -v"), "\(run.errors)")
      #expect(run.errors.split(separator: "\n").count == 1)
    }
  }

  /// Threads whose stacks find no room end the program; it does not wait for them.
  @Test(.timeLimit(.minutes(5))) func littleMemoryEndsWhatItDoesNotSuffice() throws {
    for kilobytes in stride(from: 200_000, through: 300_000, by: 10_000) {
      let run = try run(limits: "ulimit -v \(kilobytes)", ["weights", "info", Fixture.tiny])
      #expect([0, 70].contains(run.status), "\(kilobytes): \(run.status) \(run.errors)")
    }
  }
  #endif

  /// Connections leave enough files for the outputs.
  @Test func fetchesFitTheLimitOfOpenFiles() throws {
    let jpeg = try encodeJPEG(testPicture(1), quality: 80)
    let server = try LoopbackServer { _, _ in
      Thread.sleep(forTimeInterval: 0.1)
      return .init(body: jpeg)
    }
    let rows = (0..<100).map { "picture \($0) of a dog\t\(server.base)/\($0)\n" }
    try write(Array(rows.joined().utf8), to: folder("t.tsv"))
    let run = try run(
      limits: "ulimit -n 100",
      [
        "prepare", folder("t.tsv"), "--output", folder("out"), "--preset", "none", "--quiet",
        "--exact-duplicates", "off", "--per-host", "64", "--host-delay", "0",
        "--allow-private-addresses", "--header", "no", "--caption-column", "1", "--image-column",
        "2",
      ])
    #expect(run.status == 0, "\(run.errors)")
    #expect(server.requests.count == 100)
  }

  /// Bytes written before the disk is full are right, and the next download goes on behind them.
  @Test func aDownloadGoesOnAfterAFullDisk() throws {
    let whole = try bytes(Fixture.tiny + "/encoder.pkl")
    let server = try LoopbackServer { request, _ in
      guard let body = try? bytes(Fixture.tiny + request.path) else { return .init(status: "404") }
      return .file(body, for: request)
    }
    let arguments = ["weights", "download", "--output", folder("w"), "--base-url", server.base]
    // A limit of the size of files, in units of 512 or 1024 bytes, stands for the disk's.
    let full = try run(limits: "trap '' XFSZ; ulimit -f 200", arguments)
    #expect(full.status == 74, "\(full.errors)")
    let part = try bytes(folder("w/encoder.pkl.partial"))
    #expect(part.count >= 100 << 10 && part.count < whole.count && whole.starts(with: part))
    let again = try run(limits: "true", arguments)
    #expect(again.status == 0, "\(again.errors)")
    #expect(try bytes(folder("w/encoder.pkl")) == whole)
    #expect(server.requests[1].headers["range"] == "bytes=\(part.count)-")
  }

  /// The disk is full within the files of one item; none of them stays.
  @Test(arguments: ["--resume", "--restart"])
  func aFolderGoesOnAfterAFullDisk(_ option: String) throws {
    for name in ["a", "b"] {
      try write(bytes(Fixture.imageFiles[1]), to: folder("in/\(name).png"))
      try write([UInt8](repeating: 0x61, count: 40_000), to: folder("in/\(name).txt"))
    }
    let arguments = [
      "tokenize", folder("in"), "--output", folder("t"), "--weights", Fixture.tiny, "--resolution",
      "16", "--quiet",
    ]
    let full = try run(limits: "trap '' XFSZ; ulimit -f 16", arguments)
    #expect(full.status == 74, "\(full.errors)")
    let again = try run(limits: "true", arguments + [option])
    #expect(again.status == 0, "\(again.errors)")
    #expect(try bytes(folder("t/b.txt")).count == 40_000)
  }

  /// The figures are printed before the page, which may not fit on the disk.
  @Test func figuresOutliveAFullDisk() throws {
    let full = try run(
      limits: "trap '' XFSZ; ulimit -f 16; exec > '\(folder("figures"))'",
      [
        "evaluate", Fixture.imageFiles[1], "--html", folder("q.html"), "--weights", Fixture.tiny,
      ])
    #expect(full.status == 74 && full.errors.contains("q.html"), "\(full.errors)")
    #expect(String(decoding: try bytes(folder("figures")), as: UTF8.self).contains("PSNR dB"))
    #expect(!FileManager.default.fileExists(atPath: folder("q.html")))
  }

  @Test(
    .enabled(if: FileManager.default.fileExists(atPath: "/dev/full"), "there is no /dev/full here"))
  func resultsThatCannotBeWrittenAreAFailure() throws {
    let full = try #require(FileHandle(forWritingAtPath: "/dev/full"))
    for arguments in [["weights", "info", Fixture.tiny], ["--help"]] {
      #expect(try Program.run(arguments, output: full).status == 74)
    }
  }
}
