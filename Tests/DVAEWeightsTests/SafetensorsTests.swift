import DVAETestSupport
import DVAEFiles
import DVAETensors
import Testing
import DVAEWeights

@Suite("Safetensors")
struct SafetensorsTests {
  /// Makes a file with this header and this number of data bytes.
  static func file(_ header: String, data: Int) -> [UInt8] {
    littleEndian(UInt64(header.utf8.count)) + Array(header.utf8)
      + [UInt8](repeating: 0, count: data)
  }

  @Test("what is written reads back, aligned, in every type")
  func roundTrip() throws {
    try withFolder { folder in
      let path = folder + "/all.safetensors"
      let values: [Float] = [1, -2.5, 0x1p-24, 65_504, 0.1, 3]
      let tensor = Tensor(Shape(1, 1, 1, 8), (0..<8).map { Float($0) })
      let name = "quote\" back\\ line\n ü 🐈"
      try writeSafetensors(
        path,
        tensors: [
          SafetensorsEntry("half", .float16, shape: [3, 2], .floats(values)),
          SafetensorsEntry("raw", .uint8, shape: [3], .bytes([1, 2, 3])),
          SafetensorsEntry(name, shape: [2, 3], floats: values),
          SafetensorsEntry("slice", .float32, shape: [4], .slice(tensor[2..<6])),
          SafetensorsEntry("empty", shape: [0, 5], floats: []),
          SafetensorsEntry("scalar", .int64, shape: [], .bytes(littleEndian(Int64(-7)))),
        ], metadata: ["b": "2", "a\"": "{\u{1}}"])
      let file = try WeightsFile.open(path)
      #expect(file.format == .safetensors)
      #expect(file.metadata == [Key("b"): "2", Key("a\""): "{\u{1}}"])
      // Wide elements first, so that all are aligned; otherwise the given order.
      #expect(file.tensors.map(\.name) == ["scalar", name, "slice", "empty", "half", "raw"])
      #expect(try file[name]?.floats() == values)
      #expect(file[name]?.shape == [2, 3])
      #expect(try file["slice"]?.floats() == [2, 3, 4, 5])
      #expect(try file["half"]?.floats() == [1, -2.5, 0x1p-24, 65_504, 0.099975586, 3])
      #expect(try file["raw"]?.int64s() == [1, 2, 3])
      #expect(try file["scalar"]?.int64s() == [-7])
      #expect(try file["empty"]?.floats() == [])
      let bytes = try bytes(path)
      let header = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
      #expect((8 + header) % 64 == 0)

      // Copying from file to file, with and without conversion.
      let half = try #require(file["half"])
      let copy = folder + "/copy.safetensors"
      try writeSafetensors(
        copy,
        tensors: [SafetensorsEntry(half), SafetensorsEntry(half, name: "wide", asFloats: true)])
      let copied = try WeightsFile.open(copy)
      #expect(copied["half"]?.elementType == .float16)
      #expect(try copied["half"]?.floats() == half.floats())
      #expect(try copied["wide"]?.floats() == half.floats())
    }
  }

  @Test("a strided tensor of a pickle is written in row-major order")
  func convertStrided() throws {
    try withFolder { folder in
      let source = try WeightsFile.open(Fixture.path("tiny/encoder_channels_last.pkl"))
      let plain = try WeightsFile.open(Fixture.path("tiny/encoder.pkl"))
      let path = folder + "/encoder.safetensors"
      try writeSafetensors(path, tensors: source.tensors.map { try SafetensorsEntry($0) })
      let converted = try WeightsFile.open(path)
      #expect(converted.tensors.map(\.name) == plain.tensors.map(\.name))
      for tensor in plain.tensors {
        #expect(try converted[tensor.name]?.floats() == tensor.floats())
      }
    }
  }

  @Test("half precision is exact for every bit pattern, and rounds to nearest even")
  func halfPrecision() throws {
    let patterns = (0...UInt16.max).flatMap { littleEndian($0) }
    try withFolder { folder in
      let path = folder + "/half.safetensors"
      try writeSafetensors(
        path,
        tensors: [SafetensorsEntry("h", .float16, shape: [1 << 16], .bytes(patterns))])
      let values = try #require(try WeightsFile.open(path)["h"]).floats()
      // The definition of the format, in double.
      for (bits, value) in values.enumerated() {
        let exponent = bits >> 10 & 31
        let fraction = Double(bits & 1023) / 1024
        guard exponent < 31 else {
          #expect(fraction == 0 ? value.isInfinite : value.isNaN)
          continue
        }
        let magnitude =
          exponent == 0
          ? fraction * 0x1p-14
          : (1 + fraction) * Double(sign: .plus, exponent: exponent - 15, significand: 1)
        #expect(Double(value) == (bits >= 0x8000 ? -magnitude : magnitude))
      }
      // Written back, each finite value is unchanged, and each midpoint rounds to the even
      // neighbour.
      let finite = values.enumerated().filter { $0.element.isFinite }
      let midpoints = (0..<0x7BFF).map { (values[$0] + values[$0 + 1]) / 2 }
      let below = midpoints.map { $0.nextDown }
      let above = midpoints.map { $0.nextUp }
      func written(_ floats: [Float]) throws -> [Float] {
        try writeSafetensors(
          path, tensors: [SafetensorsEntry("h", .float16, shape: [floats.count], .floats(floats))])
        return try #require(try WeightsFile.open(path)["h"]).floats()
      }
      #expect(try written(finite.map(\.element)) == finite.map(\.element))
      #expect(try written(midpoints) == (0..<0x7BFF).map { values[$0 % 2 == 0 ? $0 : $0 + 1] })
      #expect(try written(below) == Array(values[0..<0x7BFF]))
      #expect(try written(above) == Array(values[1...0x7BFF]))
      #expect(throws: DVAEError.self) { try written([65_520]) }
      #expect(try written([65_519, -.infinity]) == [65_504, -.infinity])
    }
  }

  @Test("escapes in names are decoded")
  func escapes() throws {
    let header = #"{"A\u00e9\ud83d\ude00\/\t":{"shape":[],"dtype":"U8","data_offsets":[0,1]} } "#
    let file = try WeightsFile.parse(Self.file(header, data: 1), path: "")
    #expect(file.tensors.first?.name == "Aé😀/\t")
  }

  static let good = #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#

  @Test(
    "a bad header is refused with the reason",
    arguments: [
      (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#, 8, "no '}'"),
      (#"{"a":{"dtype":"F33","shape":[2],"data_offsets":[0,8]}}"#, 8, "unknown type 'F33'"),
      (#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8, "needs 12 bytes"),
      (#"{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,8]}}"#, 8, "needs 4 bytes"),
      (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8, "before its begin"),
      (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 4, "cut short"),
      (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 9, "the file at"),
      (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#, 12, "gap"),
      (#"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, 8, "integer"),
      (#"{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}"#, 8, "integer"),
      (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,9]}}"#, 8, "more than 2"),
      (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}}"#, 8, "data_offsets"),
      (#"{"a":{"dtype":"F32","shape":[2]}}"#, 8, "without"),
      (#"{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 8, "unexpected"),
      (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,99999999999999999999]}}"#, 8, "64 bits"),
      (
        #"{"a":{"dtype":"F32","shape":[9223372036854775807,2],"data_offsets":[0,8]}}"#, 8,
        "impossible shape"
      ),
      (
        #"{"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,8]}}"#, 8,
        "far too many"
      ),
      (
        #"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"#
          + #""b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}"#, 6, "overlaps"
      ),
      (
        #"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"#
          + #""a":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}}"#, 6, "two tensors are named"
      ),
      (#"{"__metadata__":{"a":"b","a":"c"}}"#, 0, "twice"),
      (#"{"__metadata__":{"a":[1]}}"#, 0, "no '\"'"),
      (#"{"__metadata__":{"a":"\ud800"}}"#, 0, "surrogate"),
      (#"{"__metadata__":{"a":"\x"}}"#, 0, "escape"),
      (#"{"a":[[[["#, 0, "no '{'"),
      (#"{} x"#, 0, "more behind"),
      (#"{"a"#, 0, "without an end"),
    ] as [(String, Int, String)])
  func badHeader(header: String, data: Int, reason: String) throws {
    let error = try #require(weightsError(Self.file(header, data: data)))
    #expect(error.description.contains(reason), "\(error)")
    #expect(error.file == "some.pkl")
    #expect(weightsError(Self.file(Self.good, data: 8)) == nil)
  }

  @Test("a header that claims 2^60 bytes is refused at once")
  func hugeHeader() throws {
    let bytes = littleEndian(UInt64(1) << 60) + Array("{\"a\":{}}".utf8)
    let error = try #require(weightsError(bytes))
    #expect(
      error
        == .limitExceeded(
          path: "some.pkl", what: "a safetensors header of 1152921504606846976 bytes",
          limit: 100_000_000))
    let longer = littleEndian(UInt64(1000)) + Array("{\"a\":{}}".utf8)
    #expect(
      weightsError(longer)
        == .truncated(
          path: "some.pkl", part: "the safetensors header", needed: 1000, available: 8))
  }

  @Test("entries that cannot be written are refused before a file appears")
  func badEntries() throws {
    try withFolder { folder in
      let path = folder + "/bad.safetensors"
      let entries: [[SafetensorsEntry]] = [
        [SafetensorsEntry("a", shape: [2], floats: [1])],
        [SafetensorsEntry("a", shape: [-1], floats: [])],
        [SafetensorsEntry("a", shape: [Int.max, 4], floats: [1])],
        [SafetensorsEntry("a", .int32, shape: [1], .floats([1]))],
        [SafetensorsEntry("a", .int32, shape: [1], .bytes([1, 2, 3]))],
        [SafetensorsEntry("__metadata__", shape: [1], floats: [1])],
        [
          SafetensorsEntry("a", shape: [1], floats: [1]),
          SafetensorsEntry("a", shape: [1], floats: [1]),
        ],
      ]
      for entry in entries {
        #expect(throws: DVAEError.self) { try writeSafetensors(path, tensors: entry) }
      }
      #expect(throws: DVAEError.missing(path: path)) { try WeightsFile.open(path) }
    }
  }
}
