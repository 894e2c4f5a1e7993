import DVAEFiles
import DVAETestSupport
import Testing
import DVAEWeights

/// Tensors that PyTorch loads with `weights_only`, beside or instead of plain ones.
@Suite("Tensors of other kinds")
struct OtherTensorTests {
  typealias P = PickleBuilder

  private static let plain = P.tensor(
    P.storage("FloatStorage", key: "0", count: 2), shape: [2], strides: [1])

  private static func call(_ module: String, _ name: String, _ arguments: [[UInt8]]) -> [UInt8] {
    P.global(module, name) + P.tuple(arguments) + Array("R".utf8)
  }

  /// A tensor of a storage of bytes, as PyTorch saves types without a storage class of their own.
  private static func typed(_ type: String, bytes: Int, shape: [Int]) -> [UInt8] {
    call(
      "torch._utils", "_rebuild_tensor_v3",
      [
        P.storage("UntypedStorage", module: "torch.storage", key: "1", count: bytes), P.integer(0),
        P.tuple(shape.map(P.integer)), P.tuple(shape.map { _ in P.integer(1) }), [0x89],
        call("collections", "OrderedDict", []), P.global("torch", type),
      ])
  }

  private func read(_ items: [(String, [UInt8])]) throws(DVAEError) -> WeightsFile {
    let storages = ["0": [UInt8](repeating: 0, count: 8), "1": [1, 0, 1, 2, 0, 0, 0, 1]]
    return try WeightsFile.parse(P.archive(P.dictionary(items), storages), path: "some.pkl")
  }

  @Test("a tensor may state its type beside a storage of bytes")
  func typedTensors() throws {
    let file = try read([("x", Self.typed("uint16", bytes: 8, shape: [4]))])
    #expect(file.tensors[0].elementType == .uint16)
    #expect(try file.tensors[0].int64s() == [1, 513, 0, 256])
    let beyond = weightsError(
      P.archive(
        P.dictionary([("x", Self.typed("uint32", bytes: 8, shape: [3]))]),
        ["1": [UInt8](repeating: 0, count: 8)]))
    #expect(beyond?.description.contains("reaches beyond its storage") == true)
  }

  /// Beside `None` and marks that are not set, a tensor is as any other.
  @Test("a view may be marked as not negated")
  func marksThatAreNotSet() throws {
    for marks in [[0x4E], P.dictionary([("neg", [0x89]), ("conj", [0x89])])] {
      #expect(try read([("x", Self.marked(marks))]).tensors[0].shape == [2])
    }
  }

  /// A view that states whether its elements are to be negated.
  private static func marked(_ marks: [UInt8]) -> [UInt8] {
    call(
      "torch._utils", "_rebuild_tensor_v2",
      [
        P.storage("FloatStorage", key: "0", count: 2), P.integer(0), P.tuple([P.integer(2)]),
        P.tuple([P.integer(1)]), [0x89], call("collections", "OrderedDict", []), marks,
      ])
  }

  private static let others: [(kind: String, value: [UInt8])] = [
    ("a sparse tensor", call("torch._utils", "_rebuild_sparse_tensor", [plain])),
    ("a quantized tensor", call("torch._utils", "_rebuild_qtensor", [plain])),
    ("a tensor without values", call("torch._utils", "_rebuild_meta_tensor_no_storage", [])),
    ("a tensor with its elements negated", marked(P.dictionary([("neg", [0x88])]))),
    ("a tensor with its elements negated", marked([0x88])),
    ("a nested tensor", call("torch._utils", "_rebuild_nested_tensor", [plain])),
    ("a tensor of float8_e4m3fn elements", typed("float8_e4m3fn", bytes: 8, shape: [8])),
    (
      "a tensor of ComplexFloat elements",
      P.tensor(P.storage("ComplexFloatStorage", key: "1", count: 1), shape: [1], strides: [1])
    ),
    (
      "a sparse tensor",
      call(
        "torch._tensor", "_rebuild_from_type_v2",
        [
          P.global("torch._utils", "_rebuild_sparse_tensor"),
          P.global("torch.sparse", "FloatTensor"),
          P.tuple([plain]), P.dictionary([]),
        ])
    ),
  ]

  @Test("tensors that are not read are named, and cost no other tensor", arguments: others)
  func otherTensors(kind: String, value: [UInt8]) throws {
    let file = try read([("w", Self.plain), ("x", value)])
    #expect(file.tensors.map(\.name) == ["w"])
    #expect(file.others.map(\.description) == ["'x' (\(kind))"])
    let parameter = Self.call("torch._utils", "_rebuild_parameter", [value, [0x88]])
    let alone = #expect(throws: DVAEError.self) { try read([("x", parameter)]) }
    #expect(alone?.description.contains("such as 'x' (\(kind))") == true)
    #expect(alone?.description.contains("do not open") == false)
  }

  @Test(
    "names of types and of quantization are data",
    arguments: [
      "complex64", "float8_e4m3fn", "uint16", "quint8", "per_tensor_affine", "int4",
      "ComplexFloatStorage", "FloatTensor",
    ])
  func names(_ name: String) throws {
    #expect(try read([("w", Self.plain), ("x", P.global("torch", name))]).tensors.count == 1)
  }

  /// Python encodes half of a surrogate pair, which a file's name may have.
  @Test("lone surrogates are escaped")
  func surrogates() throws {
    let text: [UInt8] = [0x58, 4, 0, 0, 0, 0xED, 0xA0, 0x81, UInt8(ascii: "x")]
    let dictionary = Array("}(".utf8) + text + Self.plain + Array("u".utf8)
    let file = try WeightsFile.parse(
      P.archive(dictionary, ["0": [UInt8](repeating: 0, count: 8)]), path: "some.pkl")
    #expect(file.tensors.map(\.name) == ["\\uD801x"])
    for broken in [[0xED, 0xA0], [0xED, 0xA0, 0x81, 0xFF]] as [[UInt8]] {
      let text = [0x58] + littleEndian(UInt32(broken.count)) + broken
      #expect(weightsError(P.archive(text))?.description.contains("not UTF-8") == true)
    }
  }
}
