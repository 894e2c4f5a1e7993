import DVAEKit
import DVAETestSupport
import DVAETraining
import Foundation
import Testing

/// The folder of `dvae train`: a run replaces only the files of a run.
@Suite struct TrainFolderTests {
  let folder = TemporaryFolder()
  private var run: String { folder("run") }

  private func train(_ arguments: [String]) async -> (status: Int32, output: String, errors: String)
  {
    await dvae(["train"] + TrainCommandTests.small + ["--updates", "2"] + arguments)
  }

  @Test(arguments: [
    ["config.json"], ["images/a.jpg"], ["checkpoints/1.safetensors"], ["checkpoints/epoch.pt"],
    ["weights.safetensors"], ["report.html"], ["metrics.csv"], ["model-card.md", "notes.txt"],
  ])
  func filesOfOthersAreKept(_ names: [String]) async throws {
    for name in names {
      let path = URL(fileURLWithPath: run + "/" + name)
      try FileManager.default.createDirectory(
        at: path.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(#"{"model": "mine"}"#.utf8).write(to: path)
    }
    let before = try FileManager.default.subpathsOfDirectory(atPath: run).sorted()
    for more in [[], ["--overwrite"]] {
      let result = await train(["--data"] + Fixture.imageFiles + ["--output", run] + more)
      #expect(result.status == 73, "\(result.errors)")
      #expect(result.errors.contains("'\(names[0].prefix { $0 != "/" })'"), "\(result.errors)")
      #expect(try FileManager.default.subpathsOfDirectory(atPath: run).sorted() == before)
      for name in names {
        #expect(try bytes(run + "/" + name) == Array(#"{"model": "mine"}"#.utf8), "\(name)")
      }
    }
  }

  /// A kill in the last moment leaves unfinished pages in a finished run.
  @Test func unfinishedPagesOfAFinishedRunGo() async throws {
    let job = ["--data"] + Fixture.imageFiles + ["--output", run]
    #expect(await train(job).status == 0)
    let before = try FileManager.default.subpathsOfDirectory(atPath: run).sorted()
    // So that a log of the second start has another name.
    try await Task.sleep(for: .seconds(1))
    for name in [".report.html.partial", ".model-card.md.partial"] {
      try write([7], to: run + "/" + name)
    }
    #expect(await train(job).status == 0)
    #expect(try FileManager.default.subpathsOfDirectory(atPath: run).sorted() == before)
  }

  /// Without checkpoints, which take room, a finished run cannot go on; its weights stay.
  @Test func weightsWithoutCheckpointsAreKept() async throws {
    let job = ["--data"] + Fixture.imageFiles + ["--output", run]
    #expect(await train(job).status == 0)
    try FileManager.default.removeItem(atPath: run + "/checkpoints")
    let before = try bytes(run + "/weights.safetensors")
    let again = await train(job + ["--seed", "5"])
    #expect(again.status == 65 && again.errors.contains("none of its checkpoints to go on from"))
    #expect(try bytes(run + "/weights.safetensors") == before)
    #expect(await train(job + ["--overwrite", "--seed", "5"]).status == 0)
    #expect(try bytes(run + "/weights.safetensors") != before)
  }

  /// Checkpoints that cannot be listed are not taken for missing, nor a renamed one for another.
  @Test func checkpointsAreWhatTheyAre() async throws {
    let job = ["--data"] + Fixture.imageFiles + ["--output", run]
    #expect(await train(job).status == 0)
    let checkpoints = run + "/checkpoints"
    let name = try #require(try FileManager.default.contentsOfDirectory(atPath: checkpoints).first)
    try FileManager.default.copyItem(
      atPath: checkpoints + "/" + name, toPath: checkpoints + "/000000009.safetensors")
    let renamed = await train(job)
    #expect(renamed.status == 0 && renamed.errors.contains("is that after update 2"))
    try FileManager.default.removeItem(atPath: run + "/weights.safetensors")
    try FileManager.default.moveItem(atPath: checkpoints, toPath: folder("kept"))
    try write([], to: checkpoints)
    let metrics = try bytes(run + "/metrics.csv")
    let unlisted = await train(job + ["--seed", "5"])
    #expect(unlisted.status != 0 && unlisted.errors.contains(checkpoints), "\(unlisted.errors)")
    #expect(try bytes(run + "/metrics.csv") == metrics)
  }

  /// A damaged row does not take those behind it along, nor a damaged first line all.
  @Test func rowsBehindADamagedOneStay() async throws {
    let job = ["--data"] + Fixture.imageFiles + ["--output", run]
    #expect(await train(job).status == 0)
    let table = run + "/metrics.csv"
    let lines = String(decoding: try bytes(table), as: UTF8.self).split(separator: "\n")
    #expect(lines.count == 3)
    let damaged = [lines[0], "x" + lines[1], lines[2], ""].joined(separator: "\n")
    try write(Array((damaged + "y,1").utf8), to: table)
    #expect(await train(job).status == 0)
    #expect(try bytes(table) == Array(damaged.utf8))
    let renamed = Array(("step" + damaged.dropFirst(6)).utf8)
    try write(renamed, to: table)
    let refused = await train(job)
    #expect(refused.status == 65 && refused.errors.contains("metrics.csv: does not begin"))
    #expect(try bytes(table) == renamed)
  }

  @Test func aRunIsReplacedAndOtherFilesStay() async throws {
    #expect(await train(["--data"] + Fixture.imageFiles + ["--output", run]).status == 0)
    let others = [
      "notes.txt", "images/notes.txt", "images/a.png", "checkpoints/kept/9.safetensors",
    ]
    for name in others { try write(Array("mine".utf8), to: run + "/" + name) }
    let again = await train(
      ["--data"] + Fixture.imageFiles + ["--output", run + "/./", "--overwrite", "--seed", "5"])
    #expect(again.status == 0, "\(again.errors)")
    for name in others { #expect(try bytes(run + "/" + name) == Array("mine".utf8), "\(name)") }
    #expect(try #require(try RunFolder(run).latest { _ in }).configuration.seed == 5)
    // The name is the folder's own, not the last part of the path.
    let card = String(decoding: try bytes(run + "/model-card.md"), as: UTF8.self)
    #expect(card.contains("# Model card: run\n"), "\(card.prefix(300))")
  }

  @Test func inputsInsideTheRunAreNotRemoved() async throws {
    #expect(await train(["--data"] + Fixture.imageFiles + ["--output", run]).status == 0)
    let before = try FileManager.default.subpathsOfDirectory(atPath: run).sorted()
    let weights = run + "/weights.safetensors"
    for inputs in [
      ["--data", run + "/images"], ["--data"] + Fixture.imageFiles + ["--init", weights],
      ["--data"] + Fixture.imageFiles + ["--validation", run + "/images/000000002.png"],
    ] {
      let result = await dvae(
        ["train", "--preset", "tiny", "--updates", "1", "--output", run, "--overwrite"] + inputs)
      #expect(result.status == 64 && result.errors.contains(run), "\(result.errors)")
      #expect(result.errors.contains("would be removed"), "\(result.errors)")
      #expect(try FileManager.default.subpathsOfDirectory(atPath: run).sorted() == before)
    }
  }

  /// Settings may come from a folder inside the run that they replace.
  @Test func settingsFromInsideTheRunAreTaken() async throws {
    #expect(await train(["--data"] + Fixture.imageFiles + ["--output", run]).status == 0)
    try Data(#"{"folder": "\#(run)/images"}"#.utf8).write(
      to: URL(fileURLWithPath: folder("c.json")))
    let again = await train(
      ["--config", folder("c.json"), "--output", run, "--overwrite", "--data"]
        + Fixture.imageFiles)
    #expect(again.status == 0, "\(again.errors)")
  }

  /// Settings can be looked at while the run goes on, and looking changes nothing.
  @Test func printingSettingsLeavesTheRunAlone() async throws {
    #expect(await train(["--data"] + Fixture.imageFiles + ["--output", run]).status == 0)
    let open = try RunFolder(run)
    try Data("torn".utf8).write(to: URL(fileURLWithPath: open.checkpoint(9)))
    let printed = await dvae("train", "--output", run, "--keep", "9", "--print-config")
    #expect(printed.status == 0, "\(printed.errors)")
    #expect(printed.output.contains("\"keep\" : 9"))
    #expect(try open.checkpoints() == [9, 2])
  }

  /// Weights and card are passed on, and local paths are private.
  @Test func weightsAndCardNameNoFolder() async throws {
    #expect(await train(["--data"] + Fixture.imageFiles + ["--output", run]).status == 0)
    let result = await train(
      [
        "--init", run + "/weights.safetensors", "--output", folder("tuned"), "--validation",
        Fixture.imageFiles[1], "--data", Fixture.images + "/",
      ])
    #expect(result.status == 0, "\(result.errors)")
    for name in ["weights.safetensors", "model-card.md"] {
      let text = String(decoding: try bytes(folder("tuned") + "/" + name), as: UTF8.self)
      #expect(!text.contains(Fixture.images) && !text.contains(folder.path), "\(name)")
      #expect(text.contains("kodim23.png") && text.contains("weights.safetensors"), "\(name)")
    }
  }

  /// There is a run, but it is not to be resumed.
  @Test func aReplacementNeedsImages() async throws {
    let arguments = ["--output", run]
    #expect(await train(["--data"] + Fixture.imageFiles + arguments).status == 0)
    let replaced = await train(arguments + ["--overwrite"])
    #expect(replaced.status == 64)
    #expect(replaced.errors.contains("is to be replaced, not resumed"), "\(replaced.errors)")
    let new = await train(["--output", folder("other")])
    #expect(new.status == 64 && new.errors.contains("there is none in "), "\(new.errors)")
  }

  /// Also inputs whose names are a range.
  @Test func inputsInTheRunAreNotRemoved() async throws {
    #expect(await train(["--data"] + Fixture.imageFiles + ["--output", run]).status == 0)
    for number in 0..<2 {
      try write(bytes(Fixture.imageFiles[number]), to: run + "/a-\(number).png")
    }
    for input in ["/a-1.png", "/a-{0..1}.png"] {
      let result = await train(["--data", run + input, "--output", run, "--overwrite"])
      #expect(result.status == 64 && result.errors.contains("holds the input"), "\(result.errors)")
    }
  }

  /// A misspelt name is no other setting.
  @Test func unknownPresetsOfAResumedRunAreNamed() async throws {
    let job = ["--data"] + Fixture.imageFiles + ["--output", run]
    #expect(await train(job).status == 0)
    let misspelt = await dvae("train", "--output", run, "--preset", "tini")
    #expect(
      misspelt.status == 64 && misspelt.errors.contains("must be one of paper, starter, tiny"),
      "\(misspelt.errors)")
    let other = await dvae("train", "--output", run, "--preset", "starter")
    #expect(other.errors.contains("preset 'tiny' → 'starter'"), "\(other.errors)")
  }

  @Test func theLicenceOfTheInitialWeightsIsKept() async throws {
    func tuned(_ name: String, from weights: String) async throws -> String? {
      let result = await dvae(
        [
          "train", "--init", weights, "--freeze", "encoder", "--output", folder(name), "--preset",
          "tiny", "--updates", "1", "--batch-size", "1", "--resolution", "32",
          "--validation-images", "1", "--validation-resolution", "32", "--data",
        ] + Fixture.imageFiles)
      #expect(result.status == 0, "\(result.errors)")
      let weights = folder(name) + "/weights.safetensors"
      return try WeightsFiles(WeightsLocation(weights)).licence
    }
    #expect(await train(["--data"] + Fixture.imageFiles + ["--output", run]).status == 0)
    #expect(try await tuned("own", from: run + "/weights.safetensors") == nil)
    let openAIs = try weightsOfOpenAI(folder("openai.safetensors"))
    #expect(try await tuned("released", from: openAIs)?.contains("OpenAI") == true)
    let second = try await tuned("second", from: folder("released") + "/weights.safetensors")
    #expect(second?.contains("OpenAI") == true)
  }
}
