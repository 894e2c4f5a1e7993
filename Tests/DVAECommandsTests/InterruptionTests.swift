import DVAEFiles
import DVAETestSupport
import Foundation
import Testing

/// Jobs that are interrupted before their first result, which leave nothing behind.
@Suite(.serialized) struct InterruptionTests {
  let folder = TemporaryFolder()

  private var names: [String] {
    get throws {
      try FileManager.default.subpathsOfDirectory(atPath: folder.path).sorted()
    }
  }

  /// A large image, which takes longer than the test waits.
  private func job(_ command: String) throws -> [String] {
    let side = 1024
    let tokens = [UInt16](repeating: 1, count: side * side)
    try write(NpyArray.encoded(tokens, shape: [1, side, side]), to: folder("t.npy"))
    let large = ["--resolution", "4096", "--upscale"]
    let photo = Fixture.imageFiles[0]
    let job =
      switch command {
      case "reconstruct": ["reconstruct", photo, "--output", folder("new/out")] + large
      case "decode": ["decode", folder("t.npy"), "--output", folder("new/out")]
      case "tokens mosaic":
        ["tokens", "mosaic", folder("t.npy"), "--output", folder("new/out.png")]
      case "evaluate":
        ["evaluate"] + (0..<400).map { _ in photo } + ["--html", folder("new/out.html")]
      default:
        ["weights", "convert", Fixture.tiny, "--output", folder("new/out.safetensors")]
          + ["--calibrate"] + (0..<400).map { _ in photo }
      }
    return command == "weights convert" ? job : job + ["--weights", Fixture.tiny, "--quiet"]
  }

  @Test(
    arguments: ["reconstruct", "decode", "tokens mosaic", "evaluate", "weights convert"],
    [SIGINT, SIGTERM, SIGQUIT])
  func nothingIsLeft(_ command: String, _ number: Int32) throws {
    let errors = Pipe()
    let process = try Program.launch(job(command), errors: errors)
    let before = try names
    // An output that is begun early is there by then; none is finished.
    let end = ContinuousClock.now + .milliseconds(1500)
    while ContinuousClock.now < end, !FileManager.default.fileExists(atPath: folder("new")) {
      Thread.sleep(forTimeInterval: 0.01)
    }
    Thread.sleep(forTimeInterval: 0.2)
    kill(process.processIdentifier, number)
    let text = errors.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    #expect(
      process.terminationReason == .uncaughtSignal && process.terminationStatus == number,
      "\(String(decoding: text, as: UTF8.self))")
    #expect(try names == before)
  }
}
