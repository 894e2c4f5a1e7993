import DVAECPUEngine
import DVAEFiles
import DVAEImages
import DVAEModel
import DVAETensors
import DVAETestSupport
import DVAETokens
import DVAETransformer
import Foundation
import Testing

/// Training on token files, and the example's program.
@Suite struct LearningTests {
  let folder = TemporaryFolder()

  private func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: Program.product("DVAENextToken"))
    process.arguments = arguments
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: text, as: UTF8.self))
  }

  /// Writes sixty grids of 16 codes, the tokens 100, 103, …: each is its left neighbour plus one,
  /// or occasionally random.
  private func write(lawful: Bool, side: Int = 8) throws -> String {
    let path = folder("\(lawful)-\(side).npy")
    var provenance = testProvenance(count: 60)
    provenance.grid = [side, side]
    let writer = try TokenWriter(path, format: .npy, provenance: provenance)
    var noise = SeededGenerator(seed: UInt64(side))
    for image in 0..<60 {
      var codes: [UInt16] = []
      for _ in 0..<side * side {
        let follows =
          lawful && codes.count % side > 0 && Int.random(in: 0..<4, using: &noise) > 0
        codes.append(
          follows ? (codes[codes.count - 1] + 1) % 16 : .random(in: 0..<16, using: &noise))
      }
      let grid = TokenGrid(height: side, width: side, tokens: codes.map { 100 + 3 * $0 })
      try writer.append(TokenRecord(key: "\(image)", .tokens(grid)))
    }
    try writer.finish()
    return path
  }

  private func number(after text: String, in output: String) throws -> Double {
    let rest = try #require(output.range(of: text, options: .backwards)).upperBound
    return try #require(Double(output[rest...].prefix { $0 == "." || $0.isNumber }))
  }

  private let small = ["--width", "32", "--heads", "2", "--layers", "1", "--report-every", "1000"]

  @Test func aLawIsLearnedAndDrawn() throws {
    let model = folder("model.safetensors")
    let learned = try run(
      ["train", try write(lawful: true), try write(lawful: true, side: 9), "--output", model]
        + ["--updates", "400", "--learning-rate", "0.005"] + small)
    try #require(learned.status == 0, "\(learned.output)")
    #expect(learned.output.contains("114 pictures of 16 codes to learn from, 3 held out"))
    // ln 16 is 2.773; the law leaves 1.28 of it, and 1.46 with the first column.
    #expect(try number(after: "uniform ", in: learned.output) == 2.773)
    #expect(abs(try number(after: "by frequency ", in: learned.output) - 2.773) < 0.03)
    let loss = try number(after: "held out ", in: learned.output)
    #expect(loss > 1.3 && loss < 1.7, "\(learned.output)")

    let drawn = try run(["sample", model, "--output", folder("new.npy"), "--count", "12"])
    try #require(drawn.status == 0, "\(drawn.output)")
    let grids = try TokenReader(contentsOf: folder("new.npy")).map { try $0.get().grid }
    #expect(grids.count == 12 && Set(grids).count == 12)
    let pairs = grids.flatMap { grid in
      (0..<8).flatMap { row in (1..<8).map { (grid[row, $0 - 1], grid[row, $0]) } }
    }
    let following = pairs.count { ($0 - 100) / 3 + 1 == ($1 - 100) / 3 }
    // 76 % of 15 in 16.
    #expect((0.6...0.82).contains(Double(following) / Double(pairs.count)))
  }

  @Test func nothingIsLearnedWhereThereIsNothing() throws {
    let run = try run(
      ["train", try write(lawful: false), "--output", folder("model.safetensors")]
        + ["--updates", "40"] + small)
    #expect(run.status == 0)
    #expect(try number(after: "held out ", in: run.output) > 2.7, "\(run.output)")
  }

  @Test func completionsKeepTheUpperHalf() throws {
    let tokens = try write(lawful: true)
    let model = folder("model.safetensors")
    let learned = try run(["train", tokens, "--output", model, "--updates", "2"] + small)
    try #require(learned.status == 0, "\(learned.output)")
    let arguments = [
      "sample", model, "--complete", tokens, "--skip", "1", "--count", "2", "--columns", "3",
    ]
    let drawn = try run(
      arguments + ["--output", folder("a.npy"), "--sheet", folder("sheet.png"), "--seed", "3"])
    try #require(drawn.status == 0, "\(drawn.output)")
    #expect(!drawn.output.contains("did not occur"))
    let given = try TokenReader(contentsOf: tokens).map { try $0.get().grid }
    let grids = try TokenReader(contentsOf: folder("a.npy")).map { try $0.get().grid }
    #expect(
      grids.map { Array($0.tokens[..<32]) }
        == [1, 1, 1, 2, 2, 2].map { Array(given[$0].tokens[..<32]) })
    #expect(Set(grids.map { Array($0.tokens[32...]) }).count == 6)
    // Rows of the original, its upper half and three drawings, 64 pixels each with gaps of 4.
    let sheet = try PixelImage(contentsOf: folder("sheet.png"))
    #expect(sheet.width == 5 * 68 - 4 && sheet.height == 2 * 68 - 4)
    #expect(sheet[68 + 10, 40] == (200, 200, 200))

    let again = try run(
      arguments + ["--output", folder("b.npy"), "--threads", "1", "--seed", "3"])
    #expect(again.status == 0)
    let bytes = { (name: String) in try Data(contentsOf: URL(fileURLWithPath: folder(name))) }
    #expect(try bytes("a.npy") == bytes("b.npy"))
  }

  @Test func givenTokensThatDidNotOccurAreCounted() throws {
    let model = folder("model.safetensors")
    let learned = try run(
      ["train", try write(lawful: true), "--output", model, "--updates", "2"] + small)
    try #require(learned.status == 0, "\(learned.output)")
    var provenance = testProvenance(count: 1)
    provenance.grid = [8, 8]
    let writer = try TokenWriter(folder("other.npy"), format: .npy, provenance: provenance)
    let tokens = [UInt16](repeating: 103, count: 62) + [999, 4]
    try writer.append(
      TokenRecord(key: "a", .tokens(TokenGrid(height: 8, width: 8, tokens: tokens))))
    try writer.finish()
    let drawn = try run(
      ["sample", model, "--complete", folder("other.npy"), "--output", folder("a.npy")])
    #expect(drawn.status == 0)
    #expect(drawn.output.contains("2 tokens of the given pictures did not occur"))
  }

  @Test func aRunThatWasStoppedGoesOnToTheSameBits() throws {
    let tokens = try write(lawful: true)
    let pictures = try TokenPictures([tokens])
    let transformer = try Transformer(
      TransformerShape(codes: 16, rows: 8, columns: 8, width: 16, heads: 2, layers: 1))
    let settings = LearningSettings(
      updates: 6, batchSize: 3, learningRate: 0.01, weightDecay: 0.1, hidden: 0.2, seed: 5)
    func save(_ learner: Learner, _ name: String) throws -> Data {
      try ModelFile(
        transformer, learner.state, tokens: pictures.tokens, provenance: pictures.provenance
      ).write(to: folder(name))
      return try Data(contentsOf: URL(fileURLWithPath: folder(name)))
    }
    func learner(_ state: LearningState? = nil, threads: Int) throws -> Learner {
      let start = LearningState(
        settings,
        parameters: transformer.initialParameters(frequencies: pictures.frequencies, seed: 5))
      return Learner(state ?? start, transformer, pictures, try CPUEngine(threads: threads))
    }
    var whole = try learner(threads: 1)
    for _ in 0..<6 { _ = whole.update() }
    var half = try learner(threads: 2)
    for _ in 0..<3 { _ = half.update() }
    let middle = try save(half, "half.safetensors")
    var rest = try learner(ModelFile(contentsOf: folder("half.safetensors")).state, threads: 2)
    for _ in 0..<3 { _ = rest.update() }
    let end = try save(whole, "whole.safetensors")
    #expect(try save(rest, "rest.safetensors") == end)
    #expect(middle != end)
  }

  @Test func damagedModelsAndForeignTokensAreRefused() throws {
    let tokens = try write(lawful: true)
    let model = folder("model.safetensors")
    #expect(try run(["train", tokens, "--output", model, "--updates", "2"] + small).status == 0)
    // Settings that differ from the file's.
    let other = try run(["train", tokens, "--output", model, "--updates", "3"] + small)
    #expect(other.status != 0 && other.output.contains("learned from other tokens or with other"))
    let bytes = try Data(contentsOf: URL(fileURLWithPath: model))
    // Replacements of the same length, so that the rest of the file keeps its position.
    for (old, new) in [
      ("next-token model 1", "next-token model 9"), (#"layers\":1"#, #"layers\":2"#),
      (#"heads\":2"#, #"heads\":3"#), (#"width\":32"#, #"width\":-1"#),
      (#"update\":2"#, #"update\":3"#),
      ("parameters.norm.gain", "parameters.morn.gain"),
    ] {
      var damaged = bytes
      damaged.replaceSubrange(
        try #require(damaged.range(of: Data(old.utf8)), "\(old)"), with: Data(new.utf8))
      try damaged.write(to: URL(fileURLWithPath: folder("damaged.safetensors")))
      #expect(throws: DVAEError.self, "\(new)") {
        try ModelFile(contentsOf: folder("damaged.safetensors"))
      }
    }
  }
}
