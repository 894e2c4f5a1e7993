import DVAETestSupport
import DVAEFiles
import Testing
import DVAEWeights

/// Pickles that would do harm, or never end, under Python.
@Suite("The restricted pickle machine")
struct PickleMachineTests {
  typealias P = PickleBuilder

  static let storage = P.storage("FloatStorage", key: "0", count: 2)
  static let tensor = P.tensor(storage, shape: [2], strides: [1])
  static let data = ["0": [UInt8](repeating: 0, count: 8)]

  func error(_ value: [UInt8], _ storages: [String: [UInt8]] = data) -> DVAEError? {
    weightsError(P.archive(value, storages))
  }

  @Test(
    "names that are not on the list are refused by name",
    arguments: [
      ("os", "system"), ("posix", "system"), ("nt", "system"), ("builtins", "eval"),
      ("__builtin__", "exec"), ("builtins", "getattr"), ("subprocess", "Popen"),
      ("torch", "load"), ("torch.serialization", "load"), ("torch._utils", "__builtins__"),
      ("torch.nn", "Module.__init__"), ("collections", "namedtuple"), ("functools", "reduce"),
      ("dall_e", "load_model"), ("dall_evil", "x"), ("torch.hub", "load"), ("webbrowser", "open"),
      ("torch.jit", "_script"), ("copyreg", "_reconstructor"), ("runpy", "_run_code"),
    ])
  func refusedNames(module: String, name: String) {
    let refused = DVAEError.refusedName(path: "some.pkl", name: "\(module).\(name)")
    let call = P.global(module, name) + P.tuple([P.text("touch /tmp/x")]) + Array("R".utf8)
    #expect(error(call) == refused)
    #expect(error(P.dictionary([("w", Self.tensor), ("x", call)])) == refused)
    // The same through STACK_GLOBAL, and in the legacy container.
    #expect(error(P.text(module) + P.text(name) + [0x93]) == refused)
    #expect(weightsError(Legacy.file(object: call, keys: [])) == refused)
    #expect(refused.description.contains("'\(module).\(name)'"))
  }

  @Test("a text pickle that runs a command is refused by name too")
  func protocolZero() {
    #expect(
      weightsError(Array("cos\nsystem\n(S'echo pwned'\ntR.".utf8))
        == .refusedName(path: "some.pkl", name: "os.system"))
    #expect(
      weightsError(Array("(cposix\nsystem\np0\n".utf8))
        == .refusedName(path: "some.pkl", name: "posix.system"))
    // A harmless name is no reason to warn of the file.
    let harmless = weightsError(Array("ccollections\nOrderedDict\np0\n(tRp1\n.".utf8))
    #expect(harmless?.code == .unrecognised)
  }

  /// Names that `torch.save` uses for parameters with attributes; both are on torch's own safe
  /// list.
  @Test("parameters with attributes are read")
  func parametersWithAttributes() throws {
    let none: [UInt8] = Array("N".utf8)
    let call = Array("R".utf8)
    let withState =
      P.global("torch._utils", "_rebuild_parameter_with_state")
      + P.tuple([Self.tensor, [0x88], none, P.dictionary([])]) + call
    // The arguments of `_rebuild_tensor_v2`, without its call.
    let arguments = P.tuple([
      Self.storage, [0x4B, 0], P.tuple([[0x4B, 2]]), P.tuple([[0x4B, 1]]),
    ])
    let withType =
      P.global("torch._tensor", "_rebuild_from_type_v2")
      + P.tuple([
        P.global("torch._utils", "_rebuild_tensor_v2"), P.global("torch", "Tensor"), arguments,
        P.dictionary([]),
      ]) + call
    for parameter in [withState, withType] {
      let file = try WeightsFile.parse(
        P.archive(P.dictionary([("w", parameter)]), Self.data), path: "some.pkl")
      #expect(file.tensors.map(\.name) == ["w"] && file.tensors[0].shape == [2])
    }
    // Nesting one in another, or any other name, is refused.
    let nested =
      P.global("torch._tensor", "_rebuild_from_type_v2")
      + P.tuple([
        P.global("torch._tensor", "_rebuild_from_type_v2"), P.global("torch", "Tensor"), arguments,
        none,
      ]) + call
    #expect(error(nested)?.code == .malformed)
  }

  // A learning rate's milestones are a Counter; all of these are on torch's own safe list.
  @Test(
    "values beside the tensors are passed over",
    arguments: [
      ("collections", "Counter"), ("builtins", "bytearray"), ("__builtin__", "complex"),
      ("_codecs", "encode"), ("torch.serialization", "_get_layout"),
    ])
  func valuesBesideTheTensors(module: String, name: String) throws {
    let value = P.global(module, name) + P.tuple([P.dictionary([])]) + Array("R".utf8)
    let file = try WeightsFile.parse(
      P.archive(P.dictionary([("w", Self.tensor), ("x", value)]), Self.data), path: "some.pkl")
    #expect(file.tensors.map(\.name) == ["w"])
  }

  /// A long text costs its length each time it is used as a name.
  @Test("long names are refused")
  func longNames() {
    let long = String(repeating: "k", count: 5000)
    let key = P.tensor(P.storage("FloatStorage", key: long, count: 2), shape: [2], strides: [1])
    let cases: [[UInt8]] = [
      P.dictionary([(long, Self.tensor)]), P.dictionary([("w", key)]),
      P.text("torch.nn") + P.text(long) + [0x93],
    ]
    for value in cases { #expect(error(value)?.code == .limitExceeded) }
  }

  @Test("instructions that torch.save does not write are refused")
  func refusedInstructions() {
    let known =
      Array("(.N\u{4B}MJGXUTct)]}aesuqrhjQRb".utf8)
      + [0x80, 0x95, 0x88, 0x89, 0x8A, 0x8C, 0x93, 0x8F, 0x85, 0x86, 0x87, 0x90, 0x94, 0x81]
    for opcode in UInt8.min...UInt8.max where !known.contains(opcode) {
      #expect(
        error([opcode]) == .refusedInstruction(path: "some.pkl", opcode: opcode, offset: 2))
    }
  }

  @Test(
    "malformed programs are errors",
    arguments: [
      ("nothing on the stack", []),
      ("pop below a mark", Array("N(R".utf8)),
      ("no mark", Array("Nt".utf8)),
      ("tuple of too few", [0x4E, 0x86]),
      ("unknown memo", [0x68, 7]),
      ("memo of nothing", [0x71, 7]),
      ("append to nothing", Array("NNa".utf8)),
      ("append to a tuple", Array(")Na".utf8)),
      ("odd items", Array("}(Nu".utf8)),
      ("items of a list", Array("](NNu".utf8)),
      ("call of no name", Array("N)R".utf8)),
      ("call without a tuple", P.global("collections", "OrderedDict") + Array("NR".utf8)),
      ("a storage called", P.global("torch", "FloatStorage") + Array(")R".utf8)),
      ("a tensor of nothing", P.global("torch._utils", "_rebuild_tensor_v2") + Array(")R".utf8)),
      ("a parameter of nothing", P.global("torch._utils", "_rebuild_parameter") + Array(")R".utf8)),
      ("a persistent nothing", Array("NQ".utf8)),
      ("a persistent unknown", P.tuple([P.text("file"), P.text("/etc/passwd")]) + Array("Q".utf8)),
      ("text that is not UTF-8", [0x58, 1, 0, 0, 0, 0xFF]),
      ("a name that is none", Array("cos system\nx\n".utf8)),
      ("a name without an end", Array("cos".utf8)),
      ("a line without an end", [0x63] + [UInt8](repeating: 0x61, count: 100_000)),
      ("a string beyond the end", [0x58, 0xFF, 0xFF, 0xFF, 0x7F]),
      (
        "a dictionary of no pairs",
        P.global("collections", "OrderedDict")
          + P.tuple([Array("](Ne".utf8)]) + Array("R".utf8)
      ),
      ("unknown protocol", [0x80, 9]),
    ] as [(String, [UInt8])])
  func malformed(what: String, value: [UInt8]) {
    #expect(error(value) != nil, "\(what)")
    #expect(weightsError(Legacy.file(object: value, keys: [])) != nil, "\(what)")
  }

  @Test(
    "tensors that do not fit their storage are refused",
    arguments: [
      (0, [3], [1]), (1, [2], [1]), (0, [2], [2]), (-1, [1], [1]), (0, [2], [-1]),
      (0, [2, 2], [1, 1 << 62]), (0, [1 << 62, 1 << 62], [0, 0]), (0, [1 << 40], [0]),
      (0, [2], [1, 1]), (.max, [2], [1]), (.max, [], []), (0, [-1], [1]), (3, [0], [1]),
    ] as [(Int, [Int], [Int])])
  func outside(offset: Int, shape: [Int], strides: [Int]) {
    let tensor = P.tensor(Self.storage, offset: offset, shape: shape, strides: strides)
    #expect(error(P.dictionary([("w", tensor)])) != nil)
    #expect(error(P.dictionary([("w", Self.tensor)])) == nil)
  }

  @Test("storages that are missing, too short, too long or contradictory are refused")
  func storages() {
    let value = P.dictionary([("w", Self.tensor)])
    #expect(error(value, [:]) != nil)
    #expect(error(value, ["0": [1, 2, 3, 4]]) != nil)
    #expect(error(value, ["0": [UInt8](repeating: 0, count: 12)]) != nil)
    #expect(error(value, ["1": [UInt8](repeating: 0, count: 8)]) != nil)
    let half = P.tensor(P.storage("HalfStorage", key: "0", count: 2), shape: [2], strides: [1])
    #expect(error(P.dictionary([("w", Self.tensor), ("h", half)])) != nil)
    let huge = P.tensor(P.storage("FloatStorage", key: "0", count: .max), shape: [2], strides: [1])
    #expect(error(P.dictionary([("w", huge)])) != nil)
    #expect(weightsError(Legacy.file(object: P.dictionary([("w", huge)]), keys: ["0"])) != nil)
  }

  @Test("equal names, no tensors, and a pickle of something else are said as such")
  func content() {
    #expect(
      error(P.dictionary([("w", Self.tensor), ("w", Self.tensor)]))
        == .duplicateTensor(path: "some.pkl", tensor: "w"))
    #expect(error(P.dictionary([])) == .noTensors(path: "some.pkl"))
    #expect(error(Array("N".utf8)) == .noTensors(path: "some.pkl"))
    let plain = weightsError([0x80, 4, 0x4E, 0x2E])
    #expect(plain?.description.contains("torch.save did not write") == true)
  }

  /// Programs that make more than any weights need.
  static let bombs: [(String, @Sendable () -> [UInt8])] = [
    ("lists without end", { [UInt8](repeating: 0x5D, count: 1 << 22) }),
    ("tuples in tuples", { [0x5D] + [UInt8](repeating: 0x85, count: 1 << 22) }),
    ("marks", { [UInt8](repeating: 0x28, count: 1 << 22) }),
    ("a long program", { [UInt8](repeating: 0x95, count: 1 << 25) }),
    (
      "a long string",
      { [0x58] + littleEndian(UInt32(1 << 21)) + [UInt8](repeating: 0x61, count: 1 << 21) }
    ),
    // The same attributes set on an object again and again.
    (
      "attributes",
      {
        let state = P.dictionary((0..<1000).map { ("\($0)", [0x4E]) }) + [0x71, 0]
        let object = P.global("torch.nn.modules.linear", "Identity") + [0x29, 0x81]
        return P.tuple([state]) + object
          + [[UInt8]](repeating: [0x68, 0, 0x62], count: 4000).joined()
      }
    ),
    // The same items made into sets again and again.
    (
      "sets",
      {
        let list = [0x5D, 0x28] + [UInt8](repeating: 0x4E, count: 1000) + [0x65, 0x85, 0x71, 0]
        let set = P.global("builtins", "set") + [0x71, 1, 0x28]
        return list + set + [[UInt8]](repeating: [0x68, 1, 0x68, 0, 0x52], count: 4000).joined()
      }
    ),
    // Many modules with the same parameters.
    (
      "shared parameters",
      {
        let shared = P.dictionary((0..<10_000).map { ("\($0)", [0x4E]) }) + [0x71, 0]
        let state = P.dictionary([("_parameters", [0x68, 0])]) + [0x71, 1]
        let module = P.global("torch.nn.modules.linear", "Identity") + [0x29, 0x81, 0x68, 1, 0x62]
        return P.tuple([shared, state, P.tuple(Array(repeating: module, count: 10_000))])
      }
    ),
    // Many tensors that repeat one number, each within its own limit.
    (
      "repeated numbers",
      {
        let storage = P.storage("FloatStorage", key: "0", count: 2)
        let tensor = P.tensor(storage, shape: [1 << 20], strides: [0])
        return P.dictionary((0..<100).map { ("\($0)", tensor) })
      }
    ),
    // Endless memo entries.
    (
      "memo",
      {
        var program: [UInt8] = [0x4E]
        for key in 0..<UInt32(1 << 21) { program += [0x72] + littleEndian(key) }
        return program
      }
    ),
  ]

  @Test("bombs end with an error, soon and in little memory")
  func limits() {
    for (name, program) in Self.bombs {
      guard error(program())?.code == .limitExceeded else {
        Issue.record("\(name): no limit")
        continue
      }
    }
    // A number that claims two gigabytes of digits.
    #expect(error([0x8B, 0xFF, 0xFF, 0xFF, 0x7F]) != nil)
  }

  @Test("a self-containing list, deep modules and exponentially many paths are refused")
  func cycles() {
    // A list that contains itself.
    #expect(error([0x5D, 0x71, 0, 0x68, 0, 0x61]) != nil)
    // Dictionaries nested 100 deep; each contains the next one twice, so there are 2^100 paths.
    for names in [["a"], ["a", "b"]] {
      var value = P.dictionary([("w", Self.tensor)])
      for depth in 0..<100 {
        let key = UInt8(depth)
        value += [0x71, key, 0x30].dropLast()  // remembered, and left on the stack
        value += Array("}(".utf8) + names.flatMap { P.text($0) + [0x68, key] } + Array("u".utf8)
      }
      #expect(error(value) != nil)
    }
    // A tree of fifty levels reaches no tensor and must still end.
    var value = Array("}".utf8)
    for depth in 0..<50 {
      value += [0x71, UInt8(depth)] + Array("}(".utf8)
      value += ["a", "b"].flatMap { P.text($0) + [0x68, UInt8(depth)] } + Array("u".utf8)
    }
    #expect(error(value) != nil)
  }

  @Test("the legacy container is checked part by part")
  func legacy() throws {
    let value = P.dictionary([("w", Self.tensor)])
    let content = [UInt8](repeating: 0, count: 8)
    let good = Legacy.file(object: value, keys: ["0"]) + littleEndian(Int64(2)) + content
    #expect(weightsError(good) == nil)
    let tails: [([String], [UInt8])] = [
      (["0"], littleEndian(Int64(3)) + content),
      (["0"], littleEndian(Int64(-1)) + content),
      (["0"], littleEndian(Int64.max) + content),
      (["0"], littleEndian(Int64(2)) + content.dropLast()),
      (["0", "0"], littleEndian(Int64(2)) + content + littleEndian(Int64(2)) + content),
      (["1"], littleEndian(Int64(2)) + content),
      ([], []),
    ]
    for (keys, tail) in tails {
      #expect(weightsError(Legacy.file(object: value, keys: keys) + tail) != nil)
    }
    #expect(
      weightsError(Legacy.file(object: value, keys: [], littleEndian: false))?.description
        .contains("big-endian") == true)
    #expect(
      weightsError(Legacy.file(object: value, keys: [], version: 7))?.description
        .contains("version") == true)
  }

  @Test("views of the oldest files are parts of their storage")
  func legacyViews() throws {
    func file(offset: Int, size: Int) -> [UInt8] {
      let view = P.tuple([P.text("v"), P.integer(offset), P.integer(size)])
      let identifier =
        P.tuple([
          P.text("storage"), P.global("torch", "FloatStorage"), P.text("0"), P.text("cpu"),
          P.integer(4), view,
        ]) + Array("Q".utf8)
      let object = P.dictionary([("w", P.tensor(identifier, shape: [2], strides: [1]))])
      return Legacy.file(object: object, keys: ["0"]) + littleEndian(Int64(4))
        + (0..<4).flatMap { littleEndian(Float($0).bitPattern) }
    }
    #expect(try WeightsFile.parse(file(offset: 2, size: 2), path: "")["w"]?.floats() == [2, 3])
    #expect(weightsError(file(offset: 3, size: 2)) != nil)
    #expect(weightsError(file(offset: 2, size: 1)) != nil)
    #expect(weightsError(file(offset: .max, size: 2)) != nil)
  }
}

/// The container of PyTorch before 1.6, up to the storages.
enum Legacy {
  static func file(
    object: [UInt8], keys: [String], littleEndian: Bool = true, version: Int = 1001
  ) -> [UInt8] {
    let magic: [UInt8] = [0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19]
    let system = PickleBuilder.dictionary([("little_endian", [littleEndian ? 0x88 : 0x89])])
    let list = Array("](".utf8) + keys.flatMap(PickleBuilder.text) + Array("e".utf8)
    return [magic, PickleBuilder.integer(version), system, object, list]
      .flatMap(PickleBuilder.program)
  }
}
