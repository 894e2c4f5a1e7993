import DVAEModel
import DVAETensors
import Testing

@Suite("Parameter sets")
struct ParameterSetTests {
  let architecture: Architecture

  init() throws { architecture = try Architecture(hidden: 16, blocksPerGroup: 1, vocabulary: 128) }

  private var plans: [NetworkPlan] { [architecture.encoder, architecture.decoder] }

  @Test("One arena holds all parameters in order, without gaps")
  func arena() throws {
    let set = ParameterSet(plans)
    let arena = try #require(set.arena)
    #expect(arena.count == plans.reduce(0) { $0 + $1.parameterCount })
    var next = arena.pointer
    for parameter in set.parameters {
      #expect(parameter.values.pointer == next, "\(parameter.name)")
      #expect(parameter.values.count == parameter.shape.reduce(1, *), "\(parameter.name)")
      next += parameter.values.count
    }
    #expect(arena.elements.allSatisfy { $0 == 0 })
    #expect(set["decoder.blocks.output.conv.b"]?.shape == [6])
    #expect(set["blocks.output.conv.b"] == nil)
  }

  @Test("Weights start as N(0, 1/fan-in), biases at zero, the same for the same seed")
  func initialisation() throws {
    let set = ParameterSet(plans, initialisedBy: 7)
    for parameter in set.parameters {
      let values = parameter.values.elements.map(Double.init)
      guard parameter.shape.count == 4 else {
        #expect(values.allSatisfy { $0 == 0 }, "\(parameter.name)")
        continue
      }
      let fanIn = Double(parameter.shape.dropFirst().reduce(1, *))
      let count = Double(values.count)
      let mean = values.reduce(0, +) / count
      let variance = values.reduce(0) { $0 + $1 * $1 } / count
      // Five standard errors of the mean and of the variance.
      #expect(abs(mean) < 5 / (fanIn * count).squareRoot(), "\(parameter.name)")
      #expect(abs(variance * fanIn - 1) < 5 * (2 / count).squareRoot(), "\(parameter.name)")
    }
    func values(_ set: ParameterSet) throws -> [Float] {
      try #require(set.arena).tensor.array
    }
    #expect(try values(set) == values(ParameterSet(plans, initialisedBy: 7)))
    #expect(try values(set) != values(ParameterSet(plans, initialisedBy: 8)))
    // Two parameters of one shape differ.
    let (first, second) = try (
      #require(set["encoder.blocks.group_1.block_1.res_path.conv_2.w"]),
      #require(set["encoder.blocks.group_1.block_1.res_path.conv_3.w"])
    )
    #expect(!first.values.elements.elementsEqual(second.values.elements))
  }

  @Test("A copy has the values, and memory of its own")
  func copies() throws {
    let encoder = ParameterSet([architecture.encoder], initialisedBy: 1)
    let decoder = ParameterSet([architecture.decoder], initialisedBy: 2)
    let copy = ParameterSet(copying: encoder, decoder)
    #expect(copy.parameters.map(\.name) == ParameterSet(plans).parameters.map(\.name))
    for source in encoder.parameters + decoder.parameters {
      let values = try #require(copy[source.name]).values
      #expect(values.elements.elementsEqual(source.values.elements))
    }
    let name = "encoder.blocks.input.w"
    let before = try #require(encoder[name]).values.elements[0]
    try #require(copy[name]).values.elements[0] = before + 1
    #expect(encoder[name]?.values.elements[0] == before)
  }

  @Test("A part shares its memory")
  func parts() throws {
    let all = ParameterSet(plans, initialisedBy: 1)
    let decoder = all.filter { $0.hasPrefix("decoder.") }
    #expect(decoder.parameters.count == architecture.decoder.parameterShapes.count)
    #expect(decoder["encoder.blocks.input.w"] == nil)
    #expect(
      decoder["decoder.blocks.input.w"]?.values.pointer
        == all["decoder.blocks.input.w"]?.values.pointer)
  }
}
