import DVAETestSupport
import DVAEAccelerator
import DVAEFiles
import Foundation
import Testing

/// `--device` and `dvae devices`.
@Suite struct DeviceCommandTests {
  let folder = TemporaryFolder()

  private func tokenize(on device: String) async -> (status: Int32, output: String, errors: String)
  {
    TestDevice.prepare()
    return await dvae(
      "tokenize", Fixture.images, "--weights", Fixture.tiny, "--output", folder("t.npy"),
      "--device", device, "--quiet")
  }

  @Test("A device that cannot be used is one line with its documented status")
  func refusals() async throws {
    let text = folder("text.so")
    try Data("no plugin".utf8).write(to: URL(filePath: text))
    for (device, status, reason) in [
      ("abacus", 64, "abacus: unknown device; known are cpu, cuda,"),
      ("", 64, "dvae: '': unknown device; known are cpu, cuda,"),
      (folder("absent.so"), 66, "expected a PJRT plugin, found no file"),
      (folder.path, 66, "expected a PJRT plugin, found a folder"),
      (text, 65, "text.so: cannot be loaded as a PJRT plugin, which is a shared library"),
    ] as [(String, Int32, String)] {
      let run = await tokenize(on: device)
      #expect(run.status == status, "\(device)")
      #expect(run.errors.contains(reason), "\(run.errors)")
      #expect(run.errors.filter(\.isNewline).count == 1)
      #expect(!FileManager.default.fileExists(atPath: folder("t.npy")))
    }
  }

  @Test(
    "A device whose plugin is not installed says how to install it",
    .enabled(if: PluginSearch().find("rocm") == nil, "the plugin for ROCm is installed"))
  func notInstalled() async {
    let run = await tokenize(on: "rocm")
    #expect(run.status == 66)
    #expect(run.errors.contains("Scripts/install-device.sh rocm"))
    let list = await dvae("devices")
    #expect(list.status == 0)
    #expect(list.output.contains("Scripts/install-device.sh rocm"))
  }

  @Test(
    "The tokens name the device that computed them",
    .enabled(if: TestDevice.isInstalled, TestDevice.advice))
  func provenance() async throws {
    let run = await tokenize(on: "cpu-xla")
    #expect(run.status == 0, "\(run.errors)")
    let sidecar = try String(contentsOfFile: folder("t.npy.json"), encoding: .utf8)
    #expect(sidecar.contains("cpu-xla"), "\(sidecar)")
    let list = await dvae("devices", "--json")
    #expect(list.status == 0)
    #expect(list.output.contains(try PluginSearch().plugin(of: "cpu-xla")), "\(list.output)")
  }

  @Test(
    "Micro-batches that devices cannot share are refused before the run begins",
    .enabled(if: TestDevice.isInstalled, TestDevice.advice))
  func shares() async {
    TestDevice.prepare()
    let run = await dvae(
      "train", "--preset", "tiny", "--data", Fixture.images, "--output", folder("run"),
      "--device", "cpu-xla", "--devices", "3", "--quiet")
    #expect(run.status == 64)
    #expect(
      run.errors.contains("which 3 processes or devices cannot share evenly"),
      "\(run.errors)")
    #expect(!FileManager.default.fileExists(atPath: folder("run/checkpoints")))
  }

  @Test(
    "A run moves to other devices and to the CPU, which is told and kept",
    .enabled(if: TestDevice.isInstalled, TestDevice.advice))
  func moves() async throws {
    TestDevice.prepare()
    // The noise of one image is no multiple of a block of the generator.
    func train(
      _ updates: Int, _ more: String...
    ) async -> (status: Int32, output: String, errors: String) {
      let first = [
        "--preset", "tiny", "--n-hid", "4", "--n-init", "8", "--vocab-size", "10", "--resolution",
        "24", "--batch-size", "2", "--micro-batch", "2", "--data", Fixture.images,
      ]
      return await dvae(
        ["train", "--output", folder("run"), "--updates", "\(updates)"]
          + (updates == 1 ? first : []) + more)
    }
    let one = await train(1, "--device", "cpu-xla")
    #expect(one.status == 0, "\(one.errors)")
    let two = await train(2, "--device", "cpu-xla", "--devices", "2")
    #expect(two.status == 0, "\(two.errors)")
    #expect(two.errors.contains("micro-batches of 1, before of 2"), "\(two.errors)")
    #expect(!two.errors.contains("computed by"), "\(two.errors)")
    let host = await train(3)
    #expect(host.status == 0, "\(host.errors)")
    #expect(
      host.errors.contains("computed by cpu-xla, the next ones are by cpu"), "\(host.errors)")
    let card = try String(contentsOfFile: folder("run/model-card.md"), encoding: .utf8)
    #expect(card.contains("after 2 updates by cpu-xla"), "\(card)")
  }

  @Test("A plugin that cannot be loaded is a line of the list, and the list goes on")
  func listing() async throws {
    let text = folder("mine.so")
    try Data("no plugin".utf8).write(to: URL(filePath: text))
    let others = ProcessInfo.processInfo.environment["PJRT_NAMES_AND_LIBRARY_PATHS"]
    setenv("PJRT_NAMES_AND_LIBRARY_PATHS", "mine:\(text)" + (others.map { "," + $0 } ?? ""), 1)
    defer {
      if let others {
        setenv("PJRT_NAMES_AND_LIBRARY_PATHS", others, 1)
      } else {
        unsetenv("PJRT_NAMES_AND_LIBRARY_PATHS")
      }
    }
    let list = await dvae("devices")
    #expect(list.status == 0)
    #expect(list.output.contains("mine      \(text): cannot be loaded"), "\(list.output)")
    #expect(list.output.contains("cpu-xla"))
  }

  @Test(
    "Sizes beyond all memory are one line, on the CPU and on devices",
    arguments: [
      ["benchmark", "--resolution", "8192", "--batch-size", "4096"],
      ["benchmark", "--resolution", "8192", "--batch-size", "4096", "--what", "train"],
      ["benchmark", "--n-hid", "65536", "--blocks", "1024"],
      ["train", "--preset", "tiny", "--batch-size", "1000000000", "--micro-batch", "1000000000"],
      ["train", "--preset", "tiny", "--resolution", "65536", "--batch-size", "4096"],
    ], ["cpu", "cpu-xla"]
  ) func absurd(_ arguments: [String], _ device: String) async throws {
    if device != "cpu", !TestDevice.isInstalled { return }
    TestDevice.prepare()
    let data =
      arguments[0] == "train" ? ["--data", Fixture.images, "--output", folder("run")] : []
    let run = await dvae(arguments + data + ["--device", device])
    #expect(run.status == 65, "\(run.errors)")
    #expect(run.errors.contains("of memory"))
    #expect(run.errors.filter(\.isNewline).count == 1, "\(run.errors)")
    #expect(!FileManager.default.fileExists(atPath: folder("run")))
  }

  @Test(
    "On a device decode, reconstruct and evaluate take images in batches, in order",
    .enabled(if: TestDevice.isInstalled, TestDevice.advice))
  func batches() async throws {
    TestDevice.prepare()
    let grids = (0..<5).map { #"{"key":"\#($0)","shape":[1,1],"tokens":[\#($0 == 2 ? 999 : $0)]}"# }
    let wide = #"{"key":"wide","shape":[1,2],"tokens":[1,2]}"#
    try (grids + [wide]).joined(separator: "\n").write(
      toFile: folder("t.jsonl"), atomically: true, encoding: .utf8)
    for precision in ["float32", "bfloat16"] {
      let decoded = await dvae(
        "decode", folder("t.jsonl"), "--output", folder(precision), "--weights", Fixture.tiny,
        "--device", "cpu-xla", "--precision", precision, "--quiet")
      // The wrong token costs its own image only.
      #expect(decoded.status == 65)
      #expect(decoded.errors.contains("2: token 999"), "\(decoded.errors)")
      let written = ["0", "1", "3", "4", "wide"].map { folder("\(precision)/\($0).png") + "\n" }
      #expect(decoded.output == written.joined())
    }
    for command in ["reconstruct", "evaluate"] {
      let outputs =
        command == "reconstruct"
        ? ["--output", folder("out"), "--crop", "none"] : ["--protocol", "native"]
      let arguments = [command, Fixture.images, "--weights", Fixture.tiny, "--json"] + outputs
      let onCPU = await dvae(arguments)
      let onDevice = await dvae(
        arguments + ["--device", "cpu-xla", "--batch-size", "3"]
          + (command == "reconstruct" ? ["--overwrite"] : []))
      #expect(onCPU.status == 0 && onDevice.status == 0, "\(onDevice.errors)")
      struct Report: Decodable {
        struct Image: Decodable { var key: String }
        var images: [Image]
      }
      let keys = try [onCPU, onDevice].map { run in
        try JSONDecoder().decode(Report.self, from: Data(run.output.utf8)).images.map(\.key)
      }
      #expect(keys[0] == keys[1] && keys[0].count > 1)
    }
    let onCPU = await dvae(
      "decode", folder("t.jsonl"), "--output", folder("x"), "--precision", "bfloat16")
    #expect(onCPU.status == 64)
    #expect(onCPU.errors.contains("--precision bfloat16 needs another --device than cpu"))
  }
}
