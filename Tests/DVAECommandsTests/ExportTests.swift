import DVAETestSupport
import DVAEKit
import DVAEModel
import DVAETensors
import DVAEWeights
import Foundation
import Testing

/// A minimal reader of Protocol Buffers messages: fields by number.
private struct Message {
  var numbers: [Int: [Int]] = [:]
  var contents: [Int: [ArraySlice<UInt8>]] = [:]

  init(_ bytes: ArraySlice<UInt8>) throws {
    var rest = bytes
    func number() throws -> Int {
      var (value, shift) = (0, 0)
      while true {
        guard let byte = rest.popFirst() else { throw CocoaError(.fileReadCorruptFile) }
        value |= Int(byte & 0x7F) << shift
        if byte < 0x80 { return value }
        shift += 7
      }
    }
    while !rest.isEmpty {
      let key = try number()
      let value = try number()
      switch key & 7 {
      case 0: numbers[key >> 3, default: []].append(value)
      case 2:
        try #require(value <= rest.count)
        contents[key >> 3, default: []].append(rest.prefix(value))
        rest = rest.dropFirst(value)
      default: Issue.record("a field of kind \(key & 7)")
      }
    }
  }

  func texts(_ field: Int) -> [String] {
    (contents[field] ?? []).map { String(decoding: $0, as: UTF8.self) }
  }
  func messages(_ field: Int) throws -> [Message] { try (contents[field] ?? []).map(Message.init) }
}

@Suite struct ExportTests {
  let folder = TemporaryFolder()

  private func export(_ name: String, _ arguments: String...) async throws -> [UInt8] {
    let path = folder(name)
    let run = await dvae(
      ["export", "--weights", Fixture.tiny, "--output", path] + arguments)
    #expect(run.status == 0 && run.output == path + "\n", "\(run.errors)")
    return try bytes(path)
  }

  /// Returns the names of values with their types and dimensions, 0 for dynamic ones.
  private func values(_ messages: [Message]) throws -> [String: [Int]] {
    try Dictionary(
      uniqueKeysWithValues: messages.map { value in
        let tensor = try #require(value.messages(2).first?.messages(1).first)
        let extents = try #require(try tensor.messages(2).first).messages(1).map {
          $0.numbers[1]?.first ?? 0
        }
        return (value.texts(1)[0], try #require(tensor.numbers[1]) + extents)
      })
  }

  @Test func theLicenceIsExported() async throws {
    let weights = try weightsOfOpenAI(folder("openai.safetensors"))
    let path = folder("encoder.onnx")
    let run = await dvae(
      "export", "--half", "encoder", "--weights", weights, "--output", path)
    #expect(run.status == 0, "\(run.errors)")
    let properties = try Message(bytes(path)[...]).messages(14)
    #expect(properties.contains { $0.texts(1) == ["licence"] && $0.texts(2)[0].contains("OpenAI") })
  }

  @Test(arguments: [
    ("x.pt", "onnx"), ("x.onnx", "pytorch"), ("x.mlir", "onnx"), ("x.txt", "onnx"),
    ("x", "stablehlo"),
  ])
  func otherExtensionsAreRefused(_ name: String, _ format: String) async {
    let run = await dvae(
      "export", "--half", "decoder", "--format", format, "--output", folder(name))
    #expect(run.status == 64 && run.errors.contains("the extension of"), "\(run.errors)")
  }

  @Test(arguments: [
    (
      "encoder", "--logits", ["pixels": [2, 0, 0, 0, 3]],
      ["tokens": [7, 0, 0, 0], "logits": [1, 0, 0, 0, 128]]
    ),
    (
      "decoder", "--statistics", ["tokens": [7, 0, 0, 0]],
      ["pixels": [2, 0, 0, 0, 3], "statistics": [1, 0, 0, 0, 6]]
    ),
  ])
  func onnx(half: String, flag: String, inputs: [String: [Int]], outputs: [String: [Int]])
    async throws
  {
    let model = try Message(await export("\(half).onnx", "--half", half, flag)[...])
    #expect(model.numbers[1] == [8])
    #expect(try model.messages(8).map { $0.numbers[2] } == [[17]])
    let properties = try Dictionary(
      uniqueKeysWithValues: model.messages(14).map { ($0.texts(1)[0], $0.texts(2)[0]) })
    #expect(properties["half"] == half)
    #expect(properties["weights"] == "\(half).pkl")
    #expect(
      try properties["weights_sha256"]
        == WeightsFiles(WeightsLocation(Fixture.tiny)).provenance(
          of: half == "encoder" ? .encoder : .decoder
        )
        .sha256)
    #expect(properties["licence"] == nil)

    let graph = try #require(try model.messages(7).first)
    #expect(try values(graph.messages(11)) == inputs)
    #expect(try values(graph.messages(12)) == outputs)
    // A grid of tokens has an eighth of the picture's sides.
    for value in try graph.messages(11) + graph.messages(12) {
      let isReduced = ["tokens", "logits"].contains(value.texts(1)[0])
      let tensor = try #require(value.messages(2).first?.messages(1).first)
      let names = try #require(try tensor.messages(2).first).messages(1).prefix(3).map {
        $0.texts(2)
      }
      #expect(names == (isReduced ? [["N"], ["h"], ["w"]] : [["N"], ["H"], ["W"]]))
    }
    // Every value is produced once, before it is read; every constant is read.
    var known = Set(inputs.keys)
    var constants: Set<String> = []
    for tensor in try graph.messages(5) {
      let elements = (tensor.numbers[1] ?? []).reduce(1, *)
      let size = tensor.numbers[2] == [7] ? 8 : 4
      #expect(tensor.contents[9]?.first?.count == elements * size)
      #expect(constants.insert(tensor.texts(8)[0]).inserted)
    }
    var read: Set<String> = []
    for node in try graph.messages(1) {
      let arguments = node.texts(1).filter { !$0.isEmpty }
      #expect(known.union(constants).isSuperset(of: arguments), "\(node.texts(4)) \(arguments)")
      read.formUnion(arguments)
      for output in node.texts(2) { #expect(known.insert(output).inserted) }
    }
    #expect(known.isSuperset(of: outputs.keys))
    #expect(constants.isSubset(of: read))
    // All parameters of the part, except those that a table replaces.
    let parameters = constants.filter { $0.hasPrefix(half + ".") }
    #expect(parameters.count == (half == "encoder" ? 42 : 40))
    let kinds = try graph.messages(1).map { $0.texts(4)[0] }
    #expect(kinds.count { $0 == "Conv" } == (half == "encoder" ? 21 : 20))
    let checks = ["sides_must_be_multiples_of_8", "tokens_must_be_in_the_vocabulary"]
    #expect(
      try graph.messages(1).flatMap { $0.texts(3) }.filter(checks.contains)
        == [half == "encoder" ? checks[0] : checks[1]])
  }

  @Test func stateDictsAreReadAgain() async throws {
    for names in ["official", "flava"] {
      for half in ModelHalf.allCases {
        let name = "\(names)-\(half).pt"
        _ = try await export(
          name, "--format", "pytorch", "--half", half.rawValue, "--names", names)
        let file = try WeightsFile.open(folder(name))
        #expect(file["blocks.input." + (names == "official" ? "w" : "weight")] != nil)
        let written = try #require(
          half == .encoder ? ModelWeights(file).encoder : ModelWeights(file).decoder)
        let original = try #require(
          try WeightsFiles(WeightsLocation(Fixture.tiny)).parameters(half))
        #expect(written.parameters.map(\.name) == original.parameters.map(\.name))
        for (a, b) in zip(written.parameters, original.parameters) {
          #expect(a.shape == b.shape && Array(a.values.elements) == Array(b.values.elements))
        }
      }
    }
    let flava = try WeightsFile.open(folder("flava-encoder.pt"))
    #expect(flava["blocks.group_1.group.block_1.res_path.path.conv_1.weight"] != nil)
  }

  @Test func stableHLOIsText() async throws {
    let text = String(
      decoding: try await export(
        "encoder.mlir", "--format", "stablehlo", "--half", "encoder", "--batch", "2", "--height",
        "64", "--width", "32", "--precision", "bfloat16"), as: UTF8.self)
    #expect(text.contains("// argument 0: encoder.blocks.input.w [16, 3, 7, 7]\n"))
    #expect(text.contains("// argument 42: pixels [2, 64, 32, 3]\n"))
    #expect(text.contains("// result 0: tokens [2, 8, 4]\n"))
    #expect(text.contains("tensor<2x64x32x16xbf16>"))
  }

  @Test func wrongUsageIsRefused() async throws {
    let path = folder("x.onnx")
    for (arguments, status) in [
      (["--half", "decoder", "--logits"], 64), (["--half", "encoder", "--statistics"], 64),
      (["--half", "encoder", "--height", "100"], 64), (["--half", "neither"], 64), ([], 64),
      (["--half", "decoder", "--weights", Fixture.tiny + "/encoder.pkl"], 66),
    ] as [([String], Int32)] {
      let run = await dvae(["export", "--output", path, "--weights", Fixture.tiny] + arguments)
      #expect(run.status == status, "\(arguments): \(run.errors)")
      #expect(!FileManager.default.fileExists(atPath: path))
    }
    try write([1], to: path)
    let arguments = ["export", "--half", "encoder", "--output", path, "--weights", Fixture.tiny]
    let refused = await dvae(arguments)
    #expect(refused.status == 73 && refused.errors.contains("--overwrite"))
    #expect(try bytes(path) == [1])
    #expect(await dvae(arguments + ["--overwrite"]).status == 0)
    #expect(try bytes(path).count > 1000)
  }
}
