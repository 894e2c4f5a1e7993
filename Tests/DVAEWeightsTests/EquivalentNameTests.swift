import DVAEFiles
import DVAETestSupport
import Testing
import DVAEWeights

/// Names that Unicode takes for equal but whose bytes differ: `é` as one scalar and as two.
@Suite("Equivalent names")
struct EquivalentNameTests {
  typealias P = PickleBuilder

  static let names = ["\u{E9}", "e\u{301}"]

  static func tensor(_ key: String) -> [UInt8] {
    P.tensor(P.storage("ByteStorage", key: key, count: 2), shape: [2], strides: [1])
  }

  static let object = P.dictionary([("a", tensor(names[0])), ("b", tensor(names[1]))])

  func expectApart(_ bytes: [UInt8]) throws {
    let file = try WeightsFile.parse(bytes, path: "some.pt")
    #expect(try file["a"]?.int64s() == [1, 2])
    #expect(try file["b"]?.int64s() == [3, 4])
  }

  @Test("storages of the zip container are told apart")
  func zipStorages() throws {
    var zip = ZipBuilder()
    zip.add("archive/data.pkl", P.program(Self.object))
    zip.add("archive/data/" + Self.names[0], [1, 2])
    zip.add("archive/data/" + Self.names[1], [3, 4])
    try expectApart(zip.archive())
  }

  @Test("storages of the legacy container are told apart")
  func legacyStorages() throws {
    try expectApart(
      Legacy.file(object: Self.object, keys: Self.names) + littleEndian(Int64(2)) + [1, 2]
        + littleEndian(Int64(2)) + [3, 4])
  }

  @Test("a buffer is left out only under its own name")
  func temporaryBuffers() throws {
    let set =
      P.global("builtins", "set") + P.tuple([P.tuple([P.text(Self.names[0])])]) + Array("R".utf8)
    let buffers = P.dictionary(Self.names.map { ($0, Self.tensor("0")) })
    let state = P.dictionary([("_buffers", buffers), ("_non_persistent_buffers_set", set)])
    let module = P.global("torch.nn.modules.linear", "Identity") + [0x29, 0x81] + state + [0x62]
    let file = try WeightsFile.parse(P.archive(module, ["0": [1, 2]]), path: "some.pt")
    #expect(file.tensors.map { Key($0.name) } == [Key(Self.names[1])])
  }

  @Test("attributes of a module and metadata are told apart; long texts are left out")
  func metadata() throws {
    let long = String(repeating: "x", count: 2000)
    let state = P.dictionary(
      [("w", P.text(long)), ("n_hid", P.integer(8))]
        + Self.names.enumerated().map {
          ($1, P.integer($0))
        } + [("_parameters", P.dictionary([("w", Self.tensor("0"))]))])
    let module = P.global("torch.nn.modules.linear", "Identity") + [0x29, 0x81] + state + [0x62]
    let pickled = try WeightsFile.parse(P.archive(module, ["0": [1, 2]]), path: "some.pt").metadata
    #expect(pickled[Self.names[0]] == "0" && pickled[Self.names[1]] == "1")
    #expect(pickled["n_hid"] == "8" && pickled["w"] == nil)

    let texts = "\"\(Self.names[0])\":\"0\",\"\(Self.names[1])\":\"1\""
    let header = "{\"__metadata__\":{\(texts)}}"
    let found = try WeightsFile.parse(SafetensorsTests.file(header, data: 0), path: "").metadata
    #expect(found.count == 2 && found[Self.names[1]] == "1")
    let twice = "{\"__metadata__\":{\"a\":\"0\",\"a\":\"1\"}}"
    #expect(weightsError(SafetensorsTests.file(twice, data: 0))?.code == .malformed)
  }
}
