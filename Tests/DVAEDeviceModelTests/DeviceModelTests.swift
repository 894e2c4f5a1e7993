import DVAEDeviceModel
import DVAEFiles
import DVAEImages
import DVAEKit
import DVAEModel
import DVAEProgram
import DVAETestSupport
import DVAETokens
import Testing

/// A model on a device compared with the CPU engine.
@Suite("A model on XLA's CPU plugin", .enabled(if: TestDevice.isInstalled, TestDevice.advice))
struct DeviceModelTests {
  private let host: DiscreteVAE
  private let device: DiscreteVAE
  private let pictures = (0..<3).map { testPicture($0, width: 48, height: 32) }

  init() throws {
    host = try DiscreteVAE.load(WeightsLocation(Fixture.tiny))
    TestDevice.prepare()
    device = try DiscreteVAE.load(WeightsLocation(Fixture.tiny), device: "cpu-xla")
  }

  @Test("Tokens, the most likely ones, pictures and figures are the CPU engine's") func agrees()
    throws
  {
    let settings = try #require(SoftTokens.Settings(topK: 3, margin: true))
    let expected = try host.softTokens(of: pictures, settings)
    let found = try device.softTokens(of: pictures, settings)
    // A batch that is smaller than the program's is filled up.
    let tokens = try device.tokens(of: pictures) + device.tokens(of: [pictures[2]])
    #expect(tokens.map(\.height) == [4, 4, 4, 4] && tokens.map(\.width) == [6, 6, 6, 6])
    var compared = 0
    for (at, (a, b)) in zip(found, expected).enumerated() {
      let (margins, others) = (try #require(a.soft.margins), try #require(b.soft.margins))
      let (top, otherTop) = (try #require(a.soft.top), try #require(b.soft.top))
      for position in others.indices {
        // Sums of a few thousand products of numbers near 1 are off by some 1e-4.
        #expect(abs(margins[position] - others[position]) < 1e-3)
        guard others[position] > 1e-3 else { continue }
        compared += 1
        #expect(a.grid.tokens[position] == b.grid.tokens[position])
        #expect(tokens[at].tokens[position] == b.grid.tokens[position])
        if at == 2 { #expect(tokens[3].tokens[position] == b.grid.tokens[position]) }
      }
      for (mine, other) in zip(top.logProbabilities, otherTop.logProbabilities) {
        #expect(abs(mine - other) < 1e-3)
      }
    }
    #expect(compared > 60)

    let (back, other) = (try device.decode(expected[0].grid), try host.decode(expected[0].grid))
    #expect(back.width == 48 && back.height == 32)
    #expect(zip(back.pixels, other.pixels).allSatisfy { abs(Int($0) - Int($1)) <= 1 })

    let figures = try device.evaluate(pictures[0], by: .native, key: "a").figures
    let others = try host.evaluate(pictures[0], by: .native, key: "a").figures
    #expect(abs(try #require(figures.model.psnr) - #require(others.model.psnr)) < 0.05)
    let (bound, otherBound) = (figures.likelihood, others.likelihood)
    #expect(abs(bound.elboNatsPerDimension - otherBound.elboNatsPerDimension) < 1e-3)
    #expect(device.engineName.hasPrefix("cpu-xla"))
  }

  @Test("Of images of many sizes, only the programs of the last sizes stay in memory")
  func eviction() throws {
    let loaded = try WeightsFiles(WeightsLocation(Fixture.tiny)).model
    let model = try DeviceModel(
      loaded.architecture, halves: [.encoder: try #require(loaded.encoder)], device: "cpu-xla",
      .float32, keeping: 2)
    let images = [8, 16, 24].map { testPicture($0, width: $0, height: 8) }
    let tokens = try images.map { try model.tokens([$0]) }
    #expect(model.programCount == 2)
    // A program that was dropped is loaded again.
    #expect(try images.map { try model.tokens([$0]) } == tokens)
    #expect(tokens.map(\.count) == [1, 2, 3] && model.programCount == 2)
  }

  @Test("Batches of up to 32 images have few programs") func fewPrograms() throws {
    let loaded = try WeightsFiles(WeightsLocation(Fixture.tiny)).model
    let model = try DeviceModel(
      loaded.architecture, halves: [.encoder: try #require(loaded.encoder)], device: "cpu-xla",
      .float32)
    let images = (0..<9).map { testPicture($0, width: 8, height: 8) }
    let tokens = try images.map { try model.tokens([$0])[0] }
    for count in 2...9 {
      #expect(try model.tokens(Array(images.prefix(count))) == Array(tokens.prefix(count)))
    }
    // 1, 2, 4, 8 and 16.
    #expect(model.programCount == 5)
  }

  @Test("The figures of a batch are those of its images alone") func measures() throws {
    let alone = try pictures.map { try device.measured([$0], by: .native)[0] }
    let together = try device.measured(pictures, by: .native)
    for (index, (a, b)) in zip(alone, together).enumerated() {
      let other = try host.measured([pictures[index]], by: .native)[0]
      #expect(a.tokens == b.tokens && a.pictures.original == b.pictures.original)
      let figures = [a, b, other].map { $0.figures("a").likelihood }
      for found in figures {
        #expect(abs(found.elboNatsPerDimension - figures[2].elboNatsPerDimension) < 1e-3)
        #expect(abs(found.klNatsPerToken - figures[2].klNatsPerToken) < 1e-3)
      }
    }
    #expect(throws: DVAEError.self) {
      try device.measured([pictures[0], testPicture(1, width: 8, height: 8)], by: .native)
    }
  }

  @Test("Batches beyond the device's memory are refused before they are compiled") func tooLarge()
    throws
  {
    let loaded = try WeightsFiles(WeightsLocation(Fixture.tiny)).model
    let model = try DeviceModel(
      loaded.architecture, halves: [.decoder: try #require(loaded.decoder)], device: "cpu-xla",
      .float32)
    let refused = #expect(throws: DVAEError.self) {
      try model.pictures([0], batch: 1, height: 1 << 16, width: 1 << 16)
    }
    #expect(refused?.kind == .badData)
    #expect(refused?.description.contains("524288×524288 pixels need about") == true)
  }

  @Test("What a device cannot do is said") func refusals() throws {
    #expect(throws: DVAEError.self) {
      try DiscreteVAE.load(WeightsLocation(Fixture.tiny), precision: .int8, device: "cpu-xla")
    }
    #expect(throws: DVAEError.self) {
      try DiscreteVAE.load(WeightsLocation(Fixture.tiny), precision: .bfloat16)
    }
    let encoder = try DiscreteVAE.load(
      WeightsLocation(Fixture.tiny), only: .encoder, device: "cpu-xla")
    let grid = TokenGrid(height: 1, width: 1, tokens: [0])
    #expect(throws: DVAEError.self) { try encoder.decode(grid) }
    #expect(throws: DVAEError.self) {
      try device.decode(TokenGrid(height: 1, width: 1, tokens: [128]))
    }
    #expect(throws: DVAEError.self) { try device.patches(of: [128]) }
  }
}
