import DVAEFiles
import DVAEModel
import DVAETestSupport
import Foundation
import DVAETensors
import Testing
import DVAEWeights

@Suite("Weights as parameters")
struct ModelWeightsTests {
  /// Returns a safetensors file of zeros in memory.
  private func file(
    _ tensors: [(name: String, shape: [Int])], type: String = "F32"
  ) throws -> WeightsFile {
    var entries: [String] = []
    var offset = 0
    for (name, shape) in tensors {
      let end = offset + shape.reduce(1, *) * 4
      entries.append(
        "\"\(name)\":{\"dtype\":\"\(type)\",\"shape\":\(shape),\"data_offsets\":[\(offset),\(end)]}"
      )
      offset = end
    }
    let header = Array("{\(entries.joined(separator: ","))}".utf8)
    let length = withUnsafeBytes(of: UInt64(header.count).littleEndian, Array.init)
    return try WeightsFile.parse(
      length + header + Array(repeating: 0, count: offset), path: "a.safetensors")
  }

  private let tiny: Architecture
  private var encoder: [(name: String, shape: [Int])] {
    tiny.encoder.parameterShapes.map { (String($0.name.dropFirst("encoder.".count)), $0.shape) }
  }

  init() throws {
    tiny = try Architecture(
      hidden: 8, blocksPerGroup: 2, vocabulary: 12, initial: 5, inputChannels: 1,
      outputChannels: 2)
  }

  private func mismatch(
    _ file: WeightsFile, sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> String {
    let error = #expect(throws: DVAEError.self, sourceLocation: sourceLocation) {
      try ModelWeights(file)
    }
    return try #require(error).problem
  }

  @Test(
    "Names behind what trainers put before them",
    arguments: [
      "module.", "model.", "state_dict.", "ema.", "module.encoder.", "ema.module.encoder.",
    ])
  func prefixes(_ prefix: String) throws {
    // Other tensors of a checkpoint are ignored.
    let optimizer = [(name: "optimizer.step", shape: [1])]
    let named = encoder.map { (name: prefix + $0.name, shape: $0.shape) }
    let weights = try ModelWeights(file(optimizer + named))
    #expect(weights.architecture.hidden == tiny.hidden && weights.decoder == nil)
    #expect(weights.encoder?.parameters.map(\.name) == tiny.encoder.parameterShapes.map(\.name))
    // Encoder and decoder after one prefix.
    let outer = prefix.hasSuffix("encoder.") ? String(prefix.dropLast("encoder.".count)) : prefix
    let both = (tiny.encoder.parameterShapes + tiny.decoder.parameterShapes).map {
      (name: outer + $0.name, shape: $0.shape)
    }
    #expect(try ModelWeights(file(both)).architecture == tiny)
  }

  @Test(
    "Halves that were wrapped apart, and their short names",
    arguments: [
      ("encoder.module.", "decoder.module."), ("enc.", "dec."), ("vae.enc.", "vae.dec."),
      ("model.enc._orig_mod.module.", "model.dec._orig_mod.module."),
    ])
  func wrappedHalves(_ first: String, _ second: String) throws {
    let both = (tiny.encoder.parameterShapes + tiny.decoder.parameterShapes).map { name, shape in
      let front = name.hasPrefix("encoder.") ? first : second
      return (name: front + name.dropFirst("encoder.".count), shape: shape)
    }
    let weights = try ModelWeights(file(both))
    #expect(weights.architecture == tiny)
    #expect(weights.encoder?.parameters.map(\.name) == tiny.encoder.parameterShapes.map(\.name))
    #expect(weights.decoder?.parameters.map(\.name) == tiny.decoder.parameterShapes.map(\.name))
  }

  @Test("Values that are not finite are refused", arguments: [Float.nan, .infinity, -.infinity])
  func finiteValues(_ value: Float) throws {
    let parameters = ParameterSet([tiny.encoder])
    try parameters.checkFinite(in: "a.pt")
    let last = try #require(parameters.parameters.last)
    last.values.pointer[last.values.count - 1] = value
    let error = #expect(throws: DVAEError.self) { try parameters.checkFinite(in: "a.pt") }
    #expect(error?.file == "a.pt" && error?.kind == .badData)
    #expect(error?.problem.hasSuffix("1 of the 12 in encoder.blocks.output.conv.b") == true)
    last.values.pointer[last.values.count - 1] = .greatestFiniteMagnitude
    try parameters.checkFinite(in: "a.pt")
  }

  @Test("Averaged weights beside the others are not chosen among") func severalModels() throws {
    let copies = ["model.", "ema."].flatMap { prefix in
      encoder.map { (name: prefix + $0.name, shape: $0.shape) }
    }
    let problem = try mismatch(file(copies))
    #expect(problem.contains("'ema.', 'model.'"), "\(problem)")
    let plain = encoder + encoder.map { (name: "ema." + $0.name, shape: $0.shape) }
    #expect(try mismatch(file(plain)).contains("no prefix, 'ema.'"))
  }

  @Test(
    "Every container and naming gives the same parameters",
    arguments: [
      "encoder_legacy.pkl", "encoder_channels_last.pkl", "encoder_state_dict.pt",
      "encoder_flava.safetensors",
    ])
  func containers(name: String) throws {
    let expected = try ModelWeights(Fixture.weights("tiny/encoder.pkl"))
    let actual = try ModelWeights(Fixture.weights("tiny/\(name)"), expecting: .encoder)
    #expect(actual.architecture == expected.architecture)
    #expect(actual.decoder == nil)
    let (a, b) = try (#require(actual.encoder), #require(expected.encoder))
    #expect(a.parameters.map(\.name) == b.parameters.map(\.name))
    for (left, right) in zip(a.parameters, b.parameters) {
      #expect(left.values.elements.elementsEqual(right.values.elements), "\(left.name)")
    }
  }

  @Test("Half precision gives the parameters rounded to it")
  func halfPrecision() throws {
    let expected = try ModelWeights(Fixture.weights("tiny/encoder.pkl")).encoder
    let actual = try ModelWeights(Fixture.weights("tiny/encoder_float16.pkl")).encoder
    for (a, b) in zip(try #require(actual).parameters, try #require(expected).parameters) {
      // Half the last place of float16's 11 bits, or of its smallest numbers.
      expectClose(
        a.values.elements.map(Double.init), b.values.elements.map(Double.init),
        bound: { max(abs(Double(b.values.elements[$0])) * 0x1p-11, 0x1p-25) }, a.name)
    }
  }

  @Test("Architectures are read from the shapes")
  func inference() throws {
    let fixture = try ModelWeights(
      encoder: Fixture.weights("tiny/encoder.pkl"), decoder: Fixture.weights("tiny/decoder.pkl"))
    #expect(
      try fixture.architecture
        == Architecture(hidden: 16, blocksPerGroup: 1, vocabulary: 128, initial: 128))
    let both = tiny.encoder.parameterShapes + tiny.decoder.parameterShapes
    let combined = try ModelWeights(file(both))
    #expect(combined.architecture == tiny)
    #expect(combined.encoder?.parameters.map(\.name) == tiny.encoder.parameterShapes.map(\.name))
    #expect(combined.decoder?.parameters.map(\.name) == tiny.decoder.parameterShapes.map(\.name))
    let alone = try ModelWeights(file(encoder))
    #expect(
      try alone.architecture
        == Architecture(
          hidden: 8, blocksPerGroup: 2, vocabulary: 12, inputChannels: 1, outputChannels: 1))
  }

  @Test("Missing, unexpected and mis-shaped tensors are all named, with both shapes")
  func strictness() throws {
    var tensors = encoder
    tensors.removeAll { $0.name == "blocks.group_2.block_1.id_path.b" }
    tensors.append(("blocks.group_2.block_2.id_path.b", [16]))
    tensors.append(("step", [1]))
    let index = try #require(
      tensors.firstIndex { $0.name == "blocks.group_1.block_2.res_path.conv_2.w" })
    tensors[index].shape = [2, 2, 1, 9]
    let mismatch = try mismatch(file(tensors))
    let line = """
      the tensors do not fit the model; \
      1 missing: "encoder.blocks.group_2.block_1.id_path.b"; \
      2 unexpected: "blocks.group_2.block_2.id_path.b", "step"; \
      1 mis-shaped: encoder.blocks.group_1.block_2.res_path.conv_2.w is [2, 2, 1, 9], \
      expected [2, 2, 3, 3]
      """
    #expect(mismatch == line)
  }

  @Test("A file without the last layer, or of integers, is refused; so is a name given twice")
  func incomplete() throws {
    let missing = try mismatch(file(encoder.filter { !$0.name.hasPrefix("blocks.output") }))
    #expect(missing.hasSuffix(#"1 missing: "encoder.blocks.output.conv.w""#))
    let integers = try mismatch(file(encoder, type: "I32"))
    #expect(integers.contains("\(encoder.count) mis-shaped: "))
    #expect(integers.contains(" is int32 [8, 1, 7, 7], expected floating point [8, 1, 7, 7]"))
    #expect(integers.hasSuffix(" and \(encoder.count - 6) more"))
    let twice = try mismatch(file(encoder + [("encoder.blocks.input.b", [8])]))
    #expect(twice.hasSuffix(#"1 unexpected: "encoder.blocks.input.b""#))
  }

  @Test("The other half is recognised by its first layer")
  func swapped() throws {
    let decoder = try Fixture.weights("tiny/decoder.pkl")
    let error = #expect(throws: DVAEError.self) {
      try ModelWeights(decoder, expecting: .encoder)
    }
    #expect(
      error == .wrongHalf(path: decoder.path, expected: .encoder, found: .decoder))
    #expect(
      "\(try #require(error))" == "\(decoder.path): this looks like a decoder, an encoder was "
        + "expected; are the two files swapped?")
  }

  @Test("Files of no model, of an impossible one and of two models are told apart")
  func others() throws {
    let foreign = try file([("a\\nb", [2]), ("c", [1])])
    let error = #expect(throws: DVAEError.self) { try ModelWeights(foreign) }
    #expect(
      "\(try #require(error))" == "a.safetensors: expected a dVAE's tensors (blocks.input.w, …), "
        + #"found "a\nb", "c""#)
    let odd = try file([
      ("blocks.input.w", [6, 3, 7, 7]), ("blocks.output.conv.w", [12, 48, 1, 1]),
    ])
    #expect(
      throws: DVAEError.architecture(
        path: "a.safetensors", .hiddenNotMultipleOfFour(6))
    ) { try ModelWeights(odd) }
    let other = try file(encoder)
    let decoder = try Fixture.weights("tiny/decoder.pkl")
    #expect(
      throws: DVAEError.disagreement(
        encoder: "a.safetensors", decoder: decoder.path, name: "n_hid", 8, 16)
    ) { try ModelWeights(encoder: other, decoder: decoder) }
  }

  @Test("A first layer of a wrong shape is told with it") func firstLayer() throws {
    for shape in [[3, 3], [8, 1, 5, 5], []] {
      let problem = try mismatch(file([(name: "blocks.input.w", shape: shape)]))
      #expect(
        problem
          == "expected a 7×7 or 1×1 convolution as blocks.input.w, found one of shape \(shape)")
    }
  }
}
