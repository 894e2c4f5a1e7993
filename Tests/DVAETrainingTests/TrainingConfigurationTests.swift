import DVAEFiles
import DVAEModel
import DVAETraining
import Foundation
import Testing

@Suite struct TrainingConfigurationTests {
  static let presets = TrainingConfiguration.presets.values.sorted { $0.preset < $1.preset }

  @Test(arguments: [
    ("paper", 97_616_006, 3_000_000), ("starter", 7_785_318, 5_600), ("tiny", 243_678, 1_000),
  ])
  func presetsAreSound(_ name: String, _ parameters: Int, _ updates: Int) throws {
    let preset = try #require(TrainingConfiguration.presets[name])
    try preset.validate()
    #expect(preset.preset == name)
    #expect(
      preset.architecture.encoder.parameterCount + preset.architecture.decoder.parameterCount
        == parameters)
    #expect(preset.updates == updates)
    #expect(TrainingConfiguration.presets.count == 3)
  }

  @Test func paperIsAsPublished() {
    let paper = TrainingConfiguration.paper
    #expect(paper.architecture == .released)
    #expect(paper.updates == 3_000_000 && paper.batchSize == 512 && paper.resolution == 256)
    #expect(paper.learningRate == Schedule(from: 1e-4, to: 1.25e-6, over: 1_200_000))
    #expect(paper.klWeight == Schedule(from: 0, to: 6.6, over: 5_000))
    #expect(paper.temperature == Schedule(from: 1, to: 0.0625, over: 150_000))
    #expect(paper.beta1 == 0.9 && paper.beta2 == 0.999 && paper.epsilon == 1e-8)
    #expect(paper.weightDecay == 1e-4 && paper.averageDecay == 0.999)
    #expect(paper.warmUp == 0 && paper.clipNorm == 0)
  }

  /// Token files have 16 bits for a token.
  @Test(arguments: [65_536, 65_537]) func everyTokenFitsIntoAFile(_ vocabulary: Int) throws {
    var configuration = TrainingConfiguration.tiny
    configuration.architecture = try Architecture(vocabulary: vocabulary)
    if vocabulary == 65_536 { return try configuration.validate() }
    let error = #expect(throws: DVAEError.self) { try configuration.validate() }
    #expect(error?.problem.contains("must be at most 65536") == true)
  }

  @Test func starterFitsIntoThePackage() {
    let architecture = TrainingConfiguration.starter.architecture
    #expect(architecture.vocabulary == 8192)
    #expect(
      2 * (architecture.encoder.parameterCount + architecture.decoder.parameterCount) < 25_000_000)
  }

  @Test(arguments: presets)
  func jsonHoldsEverything(_ preset: TrainingConfiguration) throws {
    var configuration = preset
    configuration.seed = .max
    configuration.data = ["a b.tar", "ü/\"x\""]
    configuration.frozen = ["encoder"]
    let read = try TrainingConfiguration(json: configuration.json(), path: "config.json")
    #expect(read == configuration)
    #expect(try read.changes(from: configuration).isEmpty)
  }

  /// Every field with a value that differs from `tiny`'s, and whether a run may resume with it.
  static let others: [(field: String, json: String, isHarmless: Bool)] = [
    ("preset", #"{"preset": "other"}"#, false),
    ("architecture.n_hid", #"{"architecture": {"n_hid": 20}}"#, false),
    ("architecture.n_blk_per_group", #"{"architecture": {"n_blk_per_group": 2}}"#, false),
    ("architecture.vocab_size", #"{"architecture": {"vocab_size": 77}}"#, false),
    ("architecture.n_init", #"{"architecture": {"n_init": 7}}"#, false),
    ("architecture.input_channels", #"{"architecture": {"input_channels": 1}}"#, false),
    ("architecture.output_channels", #"{"architecture": {"output_channels": 1}}"#, false),
    ("updates", #"{"updates": 7}"#, true),
    ("batch_size", #"{"batch_size": 16}"#, false),
    ("micro_batch", #"{"micro_batch": 2}"#, true),
    ("resolution", #"{"resolution": 72}"#, false),
    ("learning_rate.start", #"{"learning_rate": {"start": 0.5}}"#, false),
    ("learning_rate.end", #"{"learning_rate": {"end": 0.5}}"#, false),
    ("learning_rate.updates", #"{"learning_rate": {"updates": 5}}"#, false),
    ("warm_up", #"{"warm_up": 3}"#, false),
    ("kl_weight.start", #"{"kl_weight": {"start": 0.5}}"#, false),
    ("kl_weight.end", #"{"kl_weight": {"end": 0.5}}"#, false),
    ("kl_weight.updates", #"{"kl_weight": {"updates": 5}}"#, false),
    ("temperature.start", #"{"temperature": {"start": 0.5}}"#, false),
    ("temperature.end", #"{"temperature": {"end": 0.5}}"#, false),
    ("temperature.updates", #"{"temperature": {"updates": 5}}"#, false),
    ("beta_1", #"{"beta_1": 0.5}"#, false),
    ("beta_2", #"{"beta_2": 0.5}"#, false),
    ("epsilon", #"{"epsilon": 0.5}"#, false),
    ("weight_decay", #"{"weight_decay": 0.5}"#, false),
    ("ema_decay", #"{"ema_decay": 0.5}"#, false),
    ("clip_norm", #"{"clip_norm": 0.5}"#, false),
    ("seed", #"{"seed": 18446744073709551615}"#, false),
    ("code_spread", #"{"code_spread": 0.5}"#, false),
    ("init", #"{"init": "w.safetensors"}"#, false),
    ("freeze", #"{"freeze": ["encoder"]}"#, false),
    ("data", #"{"data": ["x"]}"#, true),
    ("validation", #"{"validation": ["x"]}"#, true),
    ("validation_images", #"{"validation_images": 5}"#, true),
    ("validation_resolution", #"{"validation_resolution": 72}"#, true),
    ("validate_every", #"{"validate_every": 5}"#, true),
    ("checkpoint_every", #"{"checkpoint_every": 5}"#, true),
    ("keep", #"{"keep": 5}"#, true),
  ]

  @Test(arguments: others)
  func everyFieldCanBeChangedAndIsNoticed(
    _ other: (field: String, json: String, isHarmless: Bool)
  ) throws {
    let tiny = TrainingConfiguration.tiny
    let changed = try tiny.overlaid(json: Data(other.json.utf8), path: "f.json")
    #expect(try changed.changes(from: tiny).map(\.field) == [other.field])
    if other.isHarmless {
      try changed.checkResumes(tiny, run: "run")
    } else {
      let error = try #require(throws: DVAEError.self) {
        try changed.checkResumes(tiny, run: "run")
      }
      #expect("\(error)".contains(" \(other.field) "))
    }
  }

  @Test func theListOfFieldsIsComplete() throws {
    let json = String(decoding: try TrainingConfiguration.tiny.json(), as: UTF8.self)
    let values = json.split(separator: "\n").filter { $0.contains("\" : ") && !$0.hasSuffix("{") }
    #expect(values.count == Self.others.count)
    #expect(Set(Self.others.map(\.field)).count == Self.others.count)
  }

  @Test(arguments: [
    (#"{"batchsize": 3}"#, "batchsize"),
    (#"{"learning_rate": {"begin": 1}}"#, "learning_rate.begin"),
    (#"{"batch_size": "many"}"#, "batch_size"), (#"[1]"#, "object"), (#"{"#, "is not JSON"),
    (#"{"batch_size": null}"#, "batch_size"),
  ])
  func badFilesAreNamed(_ json: String, _ word: String) throws {
    let error = try #require(throws: DVAEError.self) {
      _ = try TrainingConfiguration.tiny.overlaid(json: Data(json.utf8), path: "f.json")
    }
    #expect("\(error)".hasPrefix("f.json: ") && "\(error)".contains(word), "\(error)")
  }

  @Test(arguments: [
    #"{"updates": 0}"#, #"{"micro_batch": 3}"#, #"{"micro_batch": 0}"#, #"{"resolution": 12}"#,
    #"{"resolution": 0}"#, #"{"validation_resolution": 4}"#, #"{"warm_up": -1}"#,
    #"{"learning_rate": {"start": -1}}"#, #"{"temperature": {"end": 0}}"#,
    #"{"kl_weight": {"updates": -1}}"#, #"{"beta_1": 1}"#, #"{"beta_2": -0.1}"#,
    #"{"ema_decay": 1}"#, #"{"weight_decay": -1}"#, #"{"clip_norm": -1}"#, #"{"code_spread": -1}"#,
    #"{"epsilon": 0}"#,
    #"{"freeze": ["encode"]}"#, #"{"freeze": ["encoder", "decoder"]}"#, #"{"keep": 0}"#,
    #"{"architecture": {"input_channels": 1}}"#, #"{"validate_every": 0}"#,
    #"{"checkpoint_every": 0}"#, #"{"validation_images": 0}"#,
  ])
  func impossibleValuesAreRefused(_ json: String) throws {
    let configuration = try TrainingConfiguration.tiny.overlaid(
      json: Data(json.utf8), path: "f.json")
    let error = try #require(throws: DVAEError.self) { try configuration.validate() }
    let match = try #require(error.problem.firstMatch(of: #/^setting '(\w+)' /#), "\(error)")
    #expect(json.contains("\"\(match.1)\""))
  }

  @Test func partsAreFrozenByWholeComponentsOfNames() {
    var configuration = TrainingConfiguration.tiny
    configuration.frozen = ["encoder.blocks.group_1", "decoder.blocks.input.b"]
    #expect(configuration.isFrozen("encoder.blocks.group_1.block_1.id_path.w"))
    #expect(!configuration.isFrozen("encoder.blocks.group_10.block_1.id_path.w"))
    #expect(configuration.isFrozen("decoder.blocks.input.b"))
    #expect(!configuration.isFrozen("decoder.blocks.input.w"))
  }

  @Test func everyPurposeHasItsOwnSeed() {
    var seeds: Set<UInt64> = []
    for seed: UInt64 in [0, 1] {
      var configuration = TrainingConfiguration.tiny
      configuration.seed = seed
      for purpose in [
        TrainingConfiguration.Randomness.parameters, .noise, .order, .augmentation,
      ] {
        seeds.insert(configuration.seed(for: purpose))
      }
    }
    #expect(seeds.count == 8)
  }

  private func newRun(
    _ json: String, preset: String? = nil, updates: Int? = nil
  ) throws -> TrainingConfiguration {
    try TrainingConfiguration.newRun(
      preset: preset, updates: updates, json: Array(json.utf8), path: "c.json")
  }

  @Test func aFileMayNameThePreset() throws {
    let tiny = try newRun(#"{"preset": "tiny", "seed": 3}"#)
    #expect(tiny.preset == "tiny" && tiny.architecture == TrainingConfiguration.tiny.architecture)
    #expect(tiny.seed == 3)
    // The command line takes precedence.
    let paper = try newRun(#"{"preset": "tiny"}"#, preset: "paper")
    #expect(paper == .paper)
    #expect(try newRun("{}").preset == "starter")
    let error = try #require(throws: DVAEError.self) { try newRun(#"{"preset": "huge"}"#) }
    #expect("\(error)".contains("'huge'") && "\(error)".contains("paper, starter, tiny"))
  }

  @Test func onlySchedulesOfThePresetScale() throws {
    let preset = TrainingConfiguration.starter
    // Wherever the number of updates comes from, the preset's schedules scale with it.
    for scaled in [
      try newRun("{}", updates: 560), try newRun(#"{"updates": 560}"#),
      try newRun(#"{"updates": 9}"#, updates: 560), try newRun(#"{"updates": 560.0}"#),
      try newRun(#"{"updates": 5.6e2}"#),
    ] { #expect(scaled == preset.scaled(toUpdates: 560)) }
    // A span in the file is not scaled; its other values do not fix the span.
    let json = #"{"temperature": {"updates": 900}, "learning_rate": {"start": 0.5}, "warm_up": 56}"#
    let fixed = try newRun(json, updates: 560)
    #expect(fixed.updates == 560 && fixed.temperature.updates == 900 && fixed.warmUp == 56)
    #expect(fixed.learningRate == Schedule(from: 0.5, to: 1.25e-5, over: 560))
  }

  @Test func theFileOfARunIsItsConfiguration() throws {
    var configuration = TrainingConfiguration.tiny.scaled(toUpdates: 70)
    configuration.data = ["photos"]
    configuration.folder = "/somewhere"
    let json = String(decoding: try configuration.json(), as: UTF8.self)
    #expect(try newRun(json) == configuration)
  }

  @Test(arguments: [Int.max, Int.min, 0, -1])
  func impossibleNumbersOfUpdatesAreRefused(_ updates: Int) throws {
    let configuration = TrainingConfiguration.starter.scaled(toUpdates: updates)
    #expect(throws: DVAEError.self) { try configuration.validate() }
    var schedule = TrainingConfiguration.tiny
    schedule.temperature.updates = .max
    #expect(throws: DVAEError.self) { try schedule.scaled(toUpdates: 1 << 20).validate() }
    schedule.temperature.updates = 1
    schedule.warmUp = .max
    #expect(throws: DVAEError.self) { try schedule.scaled(toUpdates: 1 << 20).validate() }
  }

  @Test func relativePathsStartWhereTheRunBegan() {
    let here = FileManager.default.currentDirectoryPath
    var configuration = TrainingConfiguration.tiny
    configuration.setPaths(data: ["/a.tar", "b.tar", "@c.txt"])
    #expect(configuration.data == ["/a.tar", "b.tar", "@c.txt"])
    #expect(configuration.folder == here)
    #expect(configuration.data.map(configuration.located) == configuration.data)

    configuration.folder = "/elsewhere"
    #expect(
      configuration.data.map(configuration.located)
        == ["/a.tar", "/elsewhere/b.tar", "@/elsewhere/c.txt"])
    // New paths are relative to the current folder.
    configuration.setPaths(validation: ["v.tar", "@v.txt"])
    #expect(configuration.validation == [here + "/v.tar", "@\(here)/v.txt"])

    var absolute = TrainingConfiguration.tiny
    absolute.setPaths(data: ["/a.tar"], initialWeights: "starter")
    #expect(absolute.folder == nil && absolute.initialWeights == "starter")
  }
}
