import DVAETestSupport
import DVAEKit
import DVAETraining
import Foundation
import DVAETensors
import Testing

/// Complete runs of `dvae train`, small enough for a test.
@Suite struct TrainCommandTests {
  let folder = TemporaryFolder()
  private var run: String { folder("run") }

  static let small = [
    "--preset", "tiny", "--n-hid", "8", "--vocab-size", "32", "--n-init", "8", "--batch-size", "2",
    "--resolution", "32", "--validation-images", "1", "--validation-resolution", "32",
    "--checkpoint-every", "2", "--validate-every", "3",
  ]

  private func train(_ arguments: [String]) async -> (status: Int32, output: String, errors: String)
  {
    await dvae(["train", "--output", run] + arguments)
  }

  private func start(_ more: String...) async -> (status: Int32, output: String, errors: String) {
    await train(["--data"] + Fixture.imageFiles + Self.small + ["--updates", "6"] + more)
  }

  private func rows(_ name: String) throws -> [Int] {
    try String(decoding: bytes(run + "/" + name), as: UTF8.self).split(separator: "\n").dropFirst()
      .compactMap { Int($0.prefix { $0 != "," }) }
  }

  @Test(arguments: ["tiny", "starter"])
  func presetsTrainOneUpdate(_ preset: String) async throws {
    let result = await train(
      ["--data"] + Fixture.imageFiles + [
        "--preset", preset, "--updates", "1", "--batch-size", "1", "--resolution", "32",
        "--validation-images", "1", "--validation-resolution", "32",
      ])
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.output == run + "/weights.safetensors\n")
    for name in ["config.json", "report.html", "model-card.md", "images/000000001.png"] {
      #expect(FileManager.default.fileExists(atPath: run + "/" + name), "\(name)")
    }
    let names = try FileManager.default.contentsOfDirectory(atPath: run)
    #expect(names.contains { $0.hasPrefix("events.out.tfevents.") })
    #expect(try rows("metrics.csv") == [1])
    #expect(try rows("validation.csv") == [1])
    let saved = try #require(try RunFolder(run).latest { _ in })
    #expect(saved.update == 1 && saved.configuration.preset == preset)

    let model = try await DiscreteVAE.load(WeightsLocation(run + "/weights.safetensors"))
    #expect(model.architecture == saved.configuration.architecture)
    let training = await dvae("weights", "info", run + "/weights.safetensors")
    #expect(training.output.contains("\"preset\":\"\(preset)\""))
    let state = await dvae("weights", "info", run + "/checkpoints/000000001.safetensors")
    #expect(state.status == 65 && state.errors.contains("use weights.safetensors in the run's"))
    let lines = training.output.split(separator: "\n").dropFirst()
    #expect(lines.allSatisfy { $0.count <= 80 }, "\(training.output)")
  }

  @Test func aRunGoesOnByItself() async throws {
    let first = await start()
    #expect(first.status == 0, "\(first.errors)")
    // More updates need no other setting again; the schedules stay.
    let second = await train(["--updates", "8"])
    #expect(second.status == 0, "\(second.errors)")
    #expect(second.errors.contains("resuming after update 6"))
    #expect(try rows("metrics.csv") == Array(1...8))
    #expect(try rows("validation.csv") == [3, 6, 8])
    let saved = try #require(try RunFolder(run).latest { _ in })
    #expect(saved.update == 8 && saved.configuration.learningRate.updates == 6)
    // Updates that are done cannot be undone, and no later run speaks of fewer.
    let fewer = await train(["--updates", "7"])
    #expect(fewer.status == 0 && fewer.errors.contains("asked for 7 updates, but 8 are done"))
    let settings = try TrainingConfiguration(
      json: Data(bytes(run + "/config.json")), path: "config.json")
    #expect(settings.updates == 8)
    // The same command again has nothing left to do.
    let third = await train([])
    #expect(third.status == 0 && third.errors.contains("all updates are done (8 of 8)"))
    #expect(String(decoding: try bytes(run + "/report.html"), as: UTF8.self).contains("<img"))
  }

  @Test func rowsBeyondTheCheckpointAreCutOff() async throws {
    #expect(await start().status == 0)
    try FileManager.default.removeItem(atPath: run + "/checkpoints/000000006.safetensors")
    let before = try bytes(run + "/metrics.csv")
    try write(before + Array("7,half of a ro".utf8), to: run + "/metrics.csv")
    #expect(await train([]).status == 0)
    #expect(try rows("metrics.csv") == Array(1...6))
    #expect(try rows("validation.csv") == [3, 6])
  }

  /// The number is beyond what a chart's axis can hold.
  @Test func impossibleUpdatesInATableAreNotDrawn() async throws {
    #expect(await start().status == 0)
    try FileManager.default.removeItem(atPath: run + "/checkpoints/000000006.safetensors")
    let table = try String(decoding: bytes(run + "/validation.csv"), as: UTF8.self)
    let changed = table.replacing("\n3,", with: "\n\(Int.min),")
    try write(Array(changed.utf8), to: run + "/validation.csv")
    #expect(changed != table)
    #expect(await train([]).status == 0)
    #expect(!String(decoding: try bytes(run + "/report.html"), as: UTF8.self).contains("-92233"))
  }

  @Test func changedSettingsAreRefusedByName() async throws {
    #expect(await start().status == 0)
    for (flags, field) in [
      (["--learning-rate", "0.5"], "learning_rate.start"), (["--seed", "1"], "seed 0 → 1"),
      (["--preset", "paper"], "preset 'tiny' → 'paper'"),
      (["--batch-size", "4"], "batch_size 2 → 4"),
      (["--freeze", "encoder"], "freeze [] → ['encoder']"),
    ] {
      let result = await train(flags)
      #expect(result.status == 64)
      #expect(result.errors.contains(field), "\(result.errors)")
    }
    let other = await train(["--data", Fixture.imageFiles[0]])
    #expect(other.status == 65 && other.errors.contains("3 images then, 1 now"))
    #expect(await train(["--keep", "1", "--validation", Fixture.imageFiles[1]]).status == 0)
  }

  @Test func fineTuningStartsFromWeights() async throws {
    #expect(await start().status == 0)
    let weights = run + "/weights.safetensors"
    let tuned = folder("tuned")
    let result = await dvae(
      ["train", "--output", tuned, "--init", weights, "--freeze", "encoder", "--data"]
        + Fixture.imageFiles + [
          "--preset", "tiny", "--updates", "2", "--batch-size", "1", "--resolution", "32",
          "--validation-images", "1", "--validation-resolution", "32",
        ])
    #expect(result.status == 0, "\(result.errors)")
    let (before, after) = (
      try WeightsFiles(WeightsLocation(weights)).model,
      try WeightsFiles(WeightsLocation(tuned + "/weights.safetensors")).model
    )
    #expect(before.architecture == after.architecture)
    for (a, b) in zip(
      try #require(before.encoder).parameters, try #require(after.encoder).parameters)
    {
      #expect(a.values.elements.elementsEqual(b.values.elements), "\(a.name)")
    }
    let changed = zip(
      try #require(before.decoder).parameters, try #require(after.decoder).parameters
    ).contains { !$0.values.elements.elementsEqual($1.values.elements) }
    #expect(changed)
  }

  @Test func mistakesAreNamed() async throws {
    let nothing = await train([])
    #expect(nothing.status == 64 && nothing.errors.contains("--data"))
    let missing = await train(["--data", folder("none.tar")])
    #expect(missing.status == 66)
    let preset = await start("--preset", "huge")
    #expect(preset.status == 64 && preset.errors.contains("paper, starter, tiny"))
    let freeze = await start("--freeze", "encodr")
    #expect(freeze.status == 64 && freeze.errors.contains("'encodr'"))
    try write(Array(#"{"batch": 1}"#.utf8), to: folder("c.json"))
    let config = await start("--config", folder("c.json"))
    #expect(config.status == 64 && config.errors.contains("'batch'"))
    let file = await start("--config", folder("none.json"))
    #expect(file.status == 66)
    for flag in ["--batch-size", "--micro-batch"] {
      let zero = await train(["--data"] + Fixture.imageFiles + [flag, "0"])
      #expect(zero.status == 64 && zero.errors.contains("is 0"), "\(flag): \(zero.errors)")
    }
    try write(Array(#"{"init": "none.safetensors"}"#.utf8), to: folder("i.json"))
    let weights = await start("--config", folder("i.json"))
    #expect(weights.status == 66 && weights.errors.contains("none.safetensors"))
    try write(Array(#"{"updates": 1.5}"#.utf8), to: folder("u.json"))
    let fraction = await start("--config", folder("u.json"))
    #expect(fraction.status == 64 && fraction.errors.contains("1.5"), "\(fraction.errors)")
    for (text, told) in [
      (#"{"updates": "5"}"#, "'updates' must be a number, not '5'"),
      (#"{"learning_rate": {"start": "x"}}"#, "'learning_rate.start' must be a number"),
      (#"{"data": "a.tar"}"#, "'data' must be a list, not 'a.tar'"),
      (#"{"preset": 1, "init": false}"#, "'init' must be a text, not false"),
    ] {
      try write(Array(text.utf8), to: folder("u.json"))
      let result = await start("--config", folder("u.json"))
      #expect(result.status == 64 && result.errors.contains(told), "\(result.errors)")
    }
    let inside = await dvae(
      ["train", "--preset", "tiny", "--data", folder.path, "--output", folder("run-inside")])
    #expect(inside.status == 64 && inside.errors.contains("lies in the input folder"))
  }

  @Test func aSettingsFileIsTakenBelowTheFlags() async throws {
    try write(Array(#"{"seed": 7, "updates": 3, "keep": 1}"#.utf8), to: folder("c.json"))
    let result = await train(
      ["--data"] + Fixture.imageFiles + Self.small + [
        "--config", folder("c.json"), "--keep", "2",
      ])
    #expect(result.status == 0, "\(result.errors)")
    let saved = try #require(try RunFolder(run).latest { _ in }).configuration
    #expect(saved.seed == 7 && saved.updates == 3 && saved.keep == 2)
  }

  @Test func mistakesLeaveNothingBehind() async throws {
    try write(Array("no image".utf8), to: folder("bad.png"))
    for arguments in [
      ["--data", Fixture.imageFiles[0], "--resolution", "30"],
      ["--data", Fixture.imageFiles[0], "--preset", "huge"],
      ["--data", Fixture.imageFiles[0], "--init", folder("none")],
      ["--data", Fixture.imageFiles[0], "--config", folder("none.json")],
      ["--data", Fixture.imageFiles[0], "--freeze", "encodr"],
      ["--data", Fixture.imageFiles[0], "--threads", "100000"],
      ["--data", Fixture.imageFiles[0], "--updates", "9223372036854775807"],
      ["--data", folder("none.tar")], ["--data", folder("bad.png")],
      ["--data", Fixture.imageFiles[0], "--validation", folder("bad.png")], [],
    ] {
      #expect(await train(["--preset", "tiny"] + arguments).status != 0, "\(arguments)")
      #expect(!FileManager.default.fileExists(atPath: run), "\(arguments)")
    }
  }

  @Test func settingsArePrinted() async throws {
    let result = await dvae("train", "--preset", "tiny", "--updates", "500", "--print-config")
    #expect(result.status == 0, "\(result.errors)")
    let printed = try TrainingConfiguration(json: Data(result.output.utf8), path: "printed")
    #expect(printed == TrainingConfiguration.tiny.scaled(toUpdates: 500))
    // The settings of a run, with the changes of the flags.
    #expect(await start().status == 0)
    let own = await train(["--keep", "5", "--print-config"])
    let saved = try TrainingConfiguration(json: Data(own.output.utf8), path: "printed")
    #expect(saved.keep == 5 && saved.updates == 6 && saved.data == Fixture.imageFiles)
    #expect(await dvae("train", "--preset", "tiny").status == 64)
  }

  @Test func resultsArePrintedAsJSON() async throws {
    let result = await start("--json")
    #expect(result.status == 0, "\(result.errors)")
    struct Report: Decodable {
      struct Validation: Decodable { var update: Int, psnr: Double, used_codes: Int }
      var output: String, weights: String, update: Int, updates: Int, finished: Bool
      var validation: Validation
    }
    let report = try JSONDecoder().decode(Report.self, from: Data(result.output.utf8))
    #expect(report.output == run && report.weights == run + "/weights.safetensors")
    #expect(report.update == 6 && report.updates == 6 && report.finished)
    #expect(report.validation.update == 6 && report.validation.used_codes > 0)
  }

  @Test func theFileOfARunStartsAnotherOne() async throws {
    #expect(await start("--warm-up", "3").status == 0)
    let first = try #require(try RunFolder(run).latest { _ in }).configuration
    let result = await dvae(
      "train", "--config", run + "/config.json", "--output", folder("other"), "--updates", "4")
    #expect(result.status == 0, "\(result.errors)")
    for name in ["learning_rate", "temperature", "warm_up"] {
      #expect(result.errors.contains("sets the span of \(name)"), "\(result.errors)")
    }
    let other = try #require(try RunFolder(folder("other")).latest { _ in }).configuration
    var expected = first
    expected.updates = 4
    #expect(other == expected)
  }

  @Test func anEditedSettingsFileOfARunCounts() async throws {
    #expect(await start().status == 0)
    func edit(_ old: String, _ new: String) throws {
      let text = String(decoding: try bytes(run + "/config.json"), as: UTF8.self)
      let edited = text.replacingOccurrences(of: old, with: new)
      #expect(edited != text)
      try write(Array(edited.utf8), to: run + "/config.json")
    }
    try edit("\"updates\" : 6,\n  \"valid", "\"updates\" : 8,\n  \"valid")
    let longer = await train([])
    #expect(longer.status == 0 && longer.errors.contains("updates 6 → 8"), "\(longer.errors)")
    #expect(try rows("metrics.csv") == Array(1...8))
    try edit("\"seed\" : 0", "\"seed\" : 5")
    let other = await train([])
    #expect(other.status == 64 && other.errors.contains("seed 0 → 5"), "\(other.errors)")
    try write(Array("{".utf8), to: run + "/config.json")
    let broken = await train([])
    #expect(broken.status == 64 && broken.errors.contains("config.json"), "\(broken.errors)")
  }

  @Test func tokensOfARunAreDecodedByOneThatKeepsItsEncoder() async throws {
    #expect(await start().status == 0)
    let weights = run + "/weights.safetensors"
    func tune(_ name: String, from weights: String, _ freeze: [String]) async -> String {
      let result = await dvae(
        [
          "train", "--output", folder(name), "--init", weights, "--preset", "tiny", "--updates",
          "2",
        ]
          + freeze + ["--batch-size", "1", "--resolution", "32", "--validation-images", "1"]
          + ["--validation-resolution", "32", "--data"] + Fixture.imageFiles)
      #expect(result.status == 0, "\(result.errors)")
      return folder(name) + "/weights.safetensors"
    }
    let kept = await tune("kept", from: weights, ["--freeze", "encoder"])
    let keptTwice = await tune("twice", from: kept, ["--freeze", "encoder"])
    let trained = await tune("trained", from: weights, ["--freeze", "decoder"])
    func tokens(of weights: String, _ name: String) async -> String {
      let result = await dvae(
        "tokenize", Fixture.imageFiles[1], "--weights", weights, "--output", folder(name))
      #expect(result.status == 0, "\(result.errors)")
      return folder(name)
    }
    let first = await tokens(of: weights, "first.npy")
    let second = await tokens(of: kept, "second.npy")
    let other = await tokens(of: trained, "other.npy")
    for (tokens, weights, isWarned) in [
      (first, weights, false), (first, kept, false), (first, keptTwice, false),
      (second, weights, false), (second, keptTwice, false), (first, trained, true),
      (other, kept, true),
    ] {
      let result = await dvae(
        "decode", tokens, "--weights", weights, "--output", folder("pictures"), "--overwrite")
      #expect(result.status == 0)
      #expect(
        result.errors.contains("other weights") == isWarned, "\(tokens) by \(weights)")
    }
  }
}
