import DVAETestSupport
import DVAEFiles
import DVAETensors
import Testing
import DVAEWeights

@Suite("Weights files")
struct WeightsFileTests {
  /// Returns the CRC-32 that Utilities/weights_digest.py prints.
  func digest(_ file: WeightsFile) throws -> UInt32 {
    var bytes: [UInt8] = []
    for tensor in file.tensors.sorted(by: { $0.name < $1.name }) {
      bytes += Array(
        "\(tensor.name)\n\(tensor.shape.map(String.init).joined(separator: ","))\n".utf8)
      bytes += try tensor.floats().flatMap { littleEndian($0.bitPattern) }
    }
    return bytes.withUnsafeBytes(ZipArchive.crc32)
  }

  @Test(
    "every container gives the values that Python reads",
    arguments: [
      ("encoder.pkl", 0xdc1d9727, WeightsFile.Format.pytorchZip),
      ("encoder_legacy.pkl", 0xdc1d9727, .pytorchLegacy),
      ("encoder_channels_last.pkl", 0xdc1d9727, .pytorchZip),
      ("encoder_state_dict.pt", 0xdc1d9727, .pytorchZip),
      ("encoder_float16.pkl", 0x30120ab7, .pytorchZip),
      ("decoder.pkl", 0x7f85a9e3, .pytorchZip),
      ("decoder_legacy.pkl", 0x7f85a9e3, .pytorchLegacy),
    ] as [(String, UInt32, WeightsFile.Format)])
  func values(name: String, expected: UInt32, format: WeightsFile.Format) throws {
    let file = try WeightsFile.open(Fixture.path("tiny/\(name)"))
    #expect(file.format == format)
    #expect(file.tensors.count == 42)
    #expect(try digest(file) == expected)
  }

  @Test("the FLAVA file, written by another library, holds the same values under its own names")
  func flava() throws {
    let official = try WeightsFile.open(Fixture.path("tiny/encoder.pkl"))
    let flava = try WeightsFile.open(Fixture.path("tiny/encoder_flava.safetensors"))
    #expect(flava.format == .safetensors)
    #expect(flava.tensors.count == official.tensors.count)
    for tensor in official.tensors {
      var parts = tensor.name.split(separator: ".").map(String.init)
      parts[parts.count - 1] = parts.last == "w" ? "weight" : "bias"
      if let index = parts.firstIndex(where: { $0.hasPrefix("group_") }) {
        parts.insert("group", at: index + 1)
      }
      if let index = parts.firstIndex(of: "res_path") { parts.insert("path", at: index + 1) }
      let other = try #require(flava[parts.joined(separator: ".")])
      #expect(other.shape == tensor.shape)
      #expect(try other.floats() == tensor.floats())
    }
  }

  @Test("float16 weights are the float32 ones to half precision")
  func halfPrecision() throws {
    let full = try WeightsFile.open(Fixture.path("tiny/encoder.pkl"))
    let half = try WeightsFile.open(Fixture.path("tiny/encoder_float16.pkl"))
    for tensor in half.tensors {
      #expect(tensor.elementType == .float16)
      let expected = try #require(full[tensor.name])
      for (value, exact) in zip(try tensor.floats(), try expected.floats()) {
        #expect(abs(value - exact) <= max(abs(exact) * 0x1p-11, 0x1p-25))
      }
    }
  }

  @Test("a module's tensors carry the names of its state dict, in its order")
  func names() throws {
    let module = try WeightsFile.open(Fixture.path("tiny/encoder.pkl"))
    let state = try WeightsFile.open(Fixture.path("tiny/encoder_state_dict.pt"))
    #expect(module.tensors.map(\.name) == state.tensors.map(\.name))
    #expect(module.tensors.first?.name == "blocks.input.w")
    #expect(module["blocks.group_1.block_1.res_path.conv_1.w"]?.shape == [4, 16, 3, 3])
    #expect(module["blocks.output.conv.b"]?.shape == [128])
    #expect(module["blocks.output"] == nil)
    #expect(module.metadata["class"] == "dall_e.encoder.Encoder")
    #expect(module.metadata["n_hid"] == "16")
    #expect(module.metadata["vocab_size"] == "128")
  }

  @Test("a module's own tensors come before its children's, temporary buffers do not come at all")
  func moduleOrder() throws {
    typealias P = PickleBuilder
    let tensor = P.tensor(
      P.storage("FloatStorage", key: "0", count: 1), shape: [1], strides: [1])
    func module(_ name: String, _ state: [(String, [UInt8])]) -> [UInt8] {
      P.global("torch.nn.modules.module", name) + [0x29, 0x81] + P.dictionary(state)
        + Array("b".utf8)
    }
    let child = module("Child", [("_parameters", P.dictionary([("w", tensor), ("b", [0x4E])]))])
    let temporary =
      P.global("builtins", "set") + P.tuple([Array("](".utf8) + P.text("scratch") + [0x65]])
      + Array("R".utf8)
    let root = module(
      "Root",
      [
        ("_modules", P.dictionary([("child", child), ("none", [0x4E])])),
        ("_buffers", P.dictionary([("scratch", tensor), ("mean", tensor)])),
        ("_parameters", P.dictionary([("gain", tensor)])),
        ("_non_persistent_buffers_set", temporary),
        ("hooks", P.dictionary([("not", tensor)])),
      ])
    let file = try WeightsFile.parse(
      P.archive(root, ["0": [0, 0, 0x80, 0x3F]]), path: "module.pkl")
    #expect(file.tensors.map(\.name) == ["gain", "mean", "child.w"])
  }

  @Test("channels-last tensors keep their strides and read in row-major order")
  func strides() throws {
    let strided = try WeightsFile.open(Fixture.path("tiny/encoder_channels_last.pkl"))
    let plain = try WeightsFile.open(Fixture.path("tiny/encoder.pkl"))
    let name = "blocks.group_1.block_1.res_path.conv_1.w"
    let tensor = try #require(strided[name])
    #expect(tensor.strides == [144, 1, 48, 16])
    #expect(!tensor.isContiguous)
    #expect(tensor.tensor().array == (try plain[name]?.floats()))
  }

  @Test("aligned float32 is mapped: two tensors of it are one memory, and it outlives the file")
  func zeroCopy() throws {
    func load() throws -> (Tensor, Tensor, [Float]) {
      let file = try WeightsFile.open(Fixture.path("tiny/encoder.pkl"))
      let stored = try #require(file["blocks.input.w"])
      return (stored.tensor(), stored.tensor(), try stored.floats())
    }
    let (first, second, expected) = try load()
    #expect(first.pointer == second.pointer)
    #expect(first.shape == Shape(1, 1, 1, 16 * 3 * 7 * 7))
    #expect(first.array == expected)
    // Copy-on-write: writing to the tensor does not change the file.
    first.pointer[0] += 1
    #expect(try load().2 == expected)
  }

  @Test("storages may be shared, offset, strided, repeated and of any type")
  func views() throws {
    let numbers = (0..<12).flatMap { littleEndian(Float($0).bitPattern) }
    let storage = PickleBuilder.storage("FloatStorage", key: "0", count: 12)
    let long = PickleBuilder.storage("LongStorage", key: "1", count: 2)
    let bytes = PickleBuilder.archive(
      PickleBuilder.dictionary([
        ("whole", PickleBuilder.tensor(storage, shape: [3, 4], strides: [4, 1])),
        ("transposed", PickleBuilder.tensor(storage, shape: [4, 3], strides: [1, 4])),
        ("column", PickleBuilder.tensor(storage, offset: 1, shape: [3, 1], strides: [4, 1])),
        ("repeated", PickleBuilder.tensor(storage, offset: 7, shape: [2, 2], strides: [0, 1])),
        ("loose", PickleBuilder.tensor(storage, offset: 2, shape: [1, 2], strides: [1 << 62, 3])),
        ("none", PickleBuilder.tensor(storage, shape: [0, 1 << 40, 1 << 40], strides: [1, 1, 1])),
        ("scalar", PickleBuilder.tensor(storage, offset: 11, shape: [], strides: [])),
        ("steps", PickleBuilder.tensor(long, shape: [2], strides: [1])),
      ]), ["0": numbers, "1": littleEndian(Int64(-5)) + littleEndian(Int64.max)])
    let file = try WeightsFile.parse(bytes, path: "views.pt")
    func floats(_ name: String) throws -> [Float] { try #require(file[name]).floats() }
    #expect(try floats("whole") == (0..<12).map { Float($0) })
    #expect(try floats("transposed") == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11])
    #expect(try floats("column") == [1, 5, 9])
    #expect(try floats("repeated") == [7, 8, 7, 8])
    #expect(try floats("loose") == [2, 5])
    #expect(try floats("none") == [])
    #expect(try floats("scalar") == [11])
    #expect(try floats("steps") == [-5, 0x1p63])
    #expect(try file["steps"]?.int64s() == [-5, .max])
    #expect(file["none"]?.tensor().count == 0)
    #expect(throws: DVAEError.self) { try file["whole"]?.int64s() }
  }

  @Test("a state dict inside a trainer's dictionary is found, other nesting becomes a path")
  func wrapped() throws {
    let storage = PickleBuilder.storage("DoubleStorage", key: "a", count: 1)
    let tensor = PickleBuilder.tensor(storage, shape: [1], strides: [1])
    let value = littleEndian((0.1).bitPattern)
    let state = PickleBuilder.dictionary([("w", tensor)])
    let wrapped = PickleBuilder.archive(
      PickleBuilder.dictionary([("epoch", PickleBuilder.integer(3)), ("state_dict", state)]),
      ["a": value])
    #expect(try WeightsFile.parse(wrapped, path: "").tensors.map(\.name) == ["w"])
    let nested = PickleBuilder.archive(
      PickleBuilder.dictionary([("encoder", state)]), ["a": value])
    let file = try WeightsFile.parse(nested, path: "")
    #expect(try file["encoder.w"]?.floats() == [0.1])
  }

  @Test("Zip64 archives are read")
  func zip64() throws {
    var zip = ZipBuilder(zip64: true)
    let storage = PickleBuilder.storage("BFloat16Storage", key: "0", count: 2)
    let tensor = PickleBuilder.tensor(storage, shape: [2], strides: [1])
    zip.add("x/data.pkl", PickleBuilder.program(PickleBuilder.dictionary([("w", tensor)])))
    zip.add("x/data/0", [0x80, 0x3F, 0x20, 0xC0])
    let file = try WeightsFile.parse(zip.archive(), path: "zip64.pt")
    #expect(try file["w"]?.floats() == [1, -2.5])
  }

  @Test("a file that shrinks after it was opened is an error, not a crash")
  func shrunk() throws {
    try withFolder { folder in
      let path = folder + "/w.safetensors"
      let values = [Float](repeating: 1, count: 1 << 16)
      try writeSafetensors(path, tensors: [SafetensorsEntry("w", shape: [1 << 16], floats: values)])
      let file = try WeightsFile.open(path)
      // In place, as in a download that starts again.
      try write([1, 2, 3], to: path)
      #expect(throws: DVAEError.changed(path: path)) { try file["w"]?.floats() }
    }
  }
}
