import DVAEFiles
import DVAEModel
import Foundation
import Testing

@Suite("The architecture")
struct ArchitectureTests {
  @Test("The released model has the released number of parameters")
  func parameterCounts() {
    let released = Architecture.released
    #expect(released.encoder.parameterCount == 53_786_240)
    #expect(released.decoder.parameterCount == 43_829_766)
    #expect(released.encoder.parameterShapes.count == 74)
    #expect(released.decoder.parameterShapes.count == 76)
    #expect(released.encoder.gain == 0.015625)
  }

  @Test("The released model costs what its layers cost")
  func multiplyAdds() {
    func giga(_ plan: NetworkPlan, _ size: Int) -> Int {
      Int((Double(plan.multiplyAdds(height: size, width: size)) / 1e6).rounded())
    }
    #expect(giga(Architecture.released.encoder, 256) == 136_147)
    #expect(giga(Architecture.released.encoder, 112) == 26_059)
    #expect(giga(Architecture.released.decoder, 256) == 153_981)
    let layers = Architecture.released.encoder.layers
    #expect(layers[0].multiplyAdds(height: 256, width: 256) == 2_466_250_752)
    #expect(layers[layers.count - 1].multiplyAdds(height: 256, width: 256) == 17_179_869_184)
  }

  @Test("Layers have the state dict's names, in its order")
  func names() throws {
    let tiny = try Architecture(hidden: 16, blocksPerGroup: 1, vocabulary: 128)
    #expect(
      tiny.encoder.parameterShapes.prefix(6).map(\.name) == [
        "encoder.blocks.input.w", "encoder.blocks.input.b",
        "encoder.blocks.group_1.block_1.res_path.conv_1.w",
        "encoder.blocks.group_1.block_1.res_path.conv_1.b",
        "encoder.blocks.group_1.block_1.res_path.conv_2.w",
        "encoder.blocks.group_1.block_1.res_path.conv_2.b",
      ])
    let decoder = Dictionary(
      uniqueKeysWithValues: Architecture.released.decoder.parameterShapes.map { ($0.0, $0.1) })
    #expect(decoder["decoder.blocks.input.w"] == [128, 8192, 1, 1])
    #expect(decoder["decoder.blocks.group_1.block_1.id_path.w"] == [2048, 128, 1, 1])
    #expect(decoder["decoder.blocks.group_1.block_1.res_path.conv_1.w"] == [512, 128, 1, 1])
    #expect(decoder["decoder.blocks.group_3.block_2.res_path.conv_4.w"] == [512, 128, 3, 3])
    #expect(decoder["decoder.blocks.group_3.block_2.id_path.w"] == nil)
    #expect(decoder["decoder.blocks.output.conv.b"] == [6])
    let encoder = Dictionary(
      uniqueKeysWithValues: Architecture.released.encoder.parameterShapes.map { ($0.0, $0.1) })
    #expect(encoder["encoder.blocks.input.w"] == [256, 3, 7, 7])
    #expect(encoder["encoder.blocks.group_1.block_1.id_path.w"] == nil)
    #expect(encoder["encoder.blocks.group_4.block_1.id_path.w"] == [2048, 1024, 1, 1])
    #expect(encoder["encoder.blocks.group_4.block_1.res_path.conv_1.w"] == [512, 1024, 3, 3])
    #expect(encoder["encoder.blocks.group_4.block_2.res_path.conv_4.w"] == [2048, 512, 1, 1])
    #expect(encoder["encoder.blocks.output.conv.w"] == [8192, 2048, 1, 1])
  }

  @Test("Impossible numbers are refused by name")
  func validation() {
    #expect(throws: DVAEError.hiddenNotMultipleOfFour(30)) {
      try Architecture(hidden: 30)
    }
    #expect(
      throws: DVAEError.outOfRange(name: "vocab_size", value: 1, limits: 2...1_048_576)
    ) { try Architecture(vocabulary: 1) }
    #expect(throws: DVAEError.self) { try Architecture(hidden: 1 << 40) }
    #expect(throws: DVAEError.self) { try Architecture(blocksPerGroup: 0) }
    let error = DVAEError.outOfRange(name: "n_init", value: -1, limits: 1...65_536)
    #expect("\(error)" == "n_init is -1; it must be from 1 to 65536")
  }

  @Test("JSON has the reference's names, and is checked when read")
  func json() throws {
    let architecture = try Architecture(hidden: 64, vocabulary: 1024, initial: 32)
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let text = String(decoding: try encoder.encode(architecture), as: UTF8.self)
    #expect(
      text == #"{"input_channels":3,"n_blk_per_group":2,"n_hid":64,"n_init":32,"#
        + #""output_channels":3,"vocab_size":1024}"#)
    #expect(try JSONDecoder().decode(Architecture.self, from: Data(text.utf8)) == architecture)
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode(Architecture.self, from: Data("{}".utf8))
    }
    let mismatch = #expect(throws: JSONMismatch.self) {
      try decodedJSON(
        [String: Architecture].self,
        Array("{\"a\": \(text.replacing("\"n_hid\":64", with: "\"n_hid\":6"))}".utf8))
    }
    #expect(mismatch?.path == "a" && mismatch?.description.contains("n_hid is 6") == true)
  }
}
