import DVAETestSupport
import DVAEFiles
import Testing

@Suite("NumPy arrays")
struct NpyTests {
  /// Makes a file with this header text, in a version of the format.
  static func file(_ header: String, version: UInt8 = 1, data: [UInt8] = []) -> [UInt8] {
    let length =
      version == 1
      ? littleEndian(UInt16(header.utf8.count)) : littleEndian(UInt32(header.utf8.count))
    return [0x93] + Array("NUMPY".utf8) + [version, 0] + length + Array(header.utf8) + data
  }

  func error(_ bytes: [UInt8]) -> DVAEError? {
    do throws(DVAEError) {
      _ = try NpyArray.parse(bytes, path: "a.npy")
      return nil
    } catch { return error }
  }

  @Test("the fixtures' arrays have NumPy's shapes, types and sums")
  func fixtures() throws {
    let tokens = try NpyArray.open(Fixture.path("tiny/kodim04.tokens.npy"))
    #expect(tokens.shape == [32, 32])
    #expect(tokens.elementType == .int64)
    let values = try tokens.int64s()
    #expect(values.reduce(0, +) == 55635)
    #expect(values.max() == 127)
    let input = try NpyArray.open(Fixture.path("tiny/kodim04.input.npy"))
    #expect(input.shape == [1, 3, 256, 256])
    #expect(input.elementType == .float32)
    let floats = try input.floats()
    #expect(abs(floats.reduce(0) { $0 + Double($1) } - 76171.88662238419) < 1e-6)
  }

  @Test("what is written has the bytes of numpy.save, and reads back")
  func write() throws {
    let header = "{'descr': '<u2', 'fortran_order': False, 'shape': (1, 2, 3), }"
    let expected = Self.file(
      header + String(repeating: " ", count: 117 - header.utf8.count) + "\n",
      data: [0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 0xFF, 0xFF])
    #expect(NpyArray.encoded([0, 1, 2, 3, 4, 65_535] as [UInt16], shape: [1, 2, 3]) == expected)
    try withFolder { folder in
      let path = folder + "/a.npy"
      try NpyArray.write([1.5, -2] as [Float], shape: [2], to: path)
      #expect(try NpyArray.open(path).floats() == [1.5, -2])
      #expect(try bytes(path).count == 136)
      try NpyArray.write([-1, 2, .max] as [Int32], shape: [3, 1], to: path)
      #expect(try NpyArray.open(path).int64s() == [-1, 2, 2_147_483_647])
      try NpyArray.write([.min] as [Int64], shape: [], to: path)
      #expect(try NpyArray.open(path).shape == [])
      #expect(try NpyArray.open(path).int64s() == [.min])
      try NpyArray.write([] as [UInt8], shape: [0, 32, 32], to: path)
      #expect(try NpyArray.open(path).shape == [0, 32, 32])
    }
  }

  @Test("a header has one size whatever the count, so that rows can be streamed")
  func streaming() throws {
    let sizes = [0, 9, 1_000_000, .max].map {
      try? NpyHeader(.uint16, shape: [$0, 32, 32]).encoded().count
    }
    #expect(sizes == [128, 128, 128, 128])
    for rank in 1...12 {
      let row = [Int](repeating: 1000, count: rank - 1)
      let empty = try NpyHeader(.uint16, shape: [0] + row).encoded()
      #expect(try NpyHeader(.uint16, shape: [.max] + row).encoded().count == empty.count)
    }
    try withFolder { folder in
      let file = try AtomicFile(folder + "/rows.npy")
      try file.write(NpyHeader(.uint16, shape: [0, 2]).encoded())
      for row in 0..<3 as Range<UInt16> { try file.write(littleEndian(row) + littleEndian(row)) }
      try file.overwrite(at: 0, with: NpyHeader(.uint16, shape: [3, 2]).encoded())
      try file.commit()
      let array = try NpyArray.open(folder + "/rows.npy")
      #expect(array.shape == [3, 2])
      #expect(try array.int64s() == [0, 0, 1, 1, 2, 2])
    }
  }

  @Test("column-major arrays, other versions and other spellings are read")
  func variants() throws {
    let column = Self.file(
      "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }\n", data: [1, 2, 3, 4, 5, 6])
    #expect(try NpyArray.parse(column, path: "").int64s() == [1, 3, 5, 2, 4, 6])
    for version in 1...3 as ClosedRange<UInt8> {
      let file = Self.file(
        "{\"shape\": (2L,), 'fortran_order': False,'descr':'<f2'}", version: version,
        data: [0, 0x3C, 0, 0xC0])
      #expect(try NpyArray.parse(file, path: "").floats() == [1, -2])
    }
  }

  @Test(
    "bad headers are refused",
    arguments: [
      "", "{", "{}", "{'descr': '<f4', 'fortran_order': False}",
      "{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}",
      "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
      "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
      "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1,}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': ()} x",
      "{'descr': '<f4', 'fortran_order': False, 'shape': ()",
      "{'descr': '<u1', 'descr': '<f4', 'fortran_order': False, 'shape': ()}",
      "{'descr': '<f2', 'fortran_order': False, 'shape': (1,)}",
      "__import__('os').system('true')",
    ])
  func bad(header: String) {
    #expect(error(Self.file(header, data: [0, 0, 0, 0])) != nil)
    #expect(
      error(
        Self.file(
          "{'descr': '<f4', 'fortran_order': False, 'shape': ()}", data: [0, 0, 0, 0])) == nil)
  }

  @Test("an array of records is said as such")
  func records() {
    let header = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}"
    let error = error(Self.file(header, data: [0, 0, 0, 0]))
    #expect(error?.code == .unsupported && error?.problem.contains("an array of records") == true)
  }

  @Test("arrays that are cut short, and other files, are refused")
  func truncated() throws {
    let bytes = try Fixture.bytes("tiny/kodim04.tokens.npy")
    for length in Array(0..<160) + [1000, bytes.count - 1] {
      #expect(error(Array(bytes[..<length])) != nil)
    }
    #expect(error(bytes + [0])?.description.contains("1 bytes follow") == true)
    #expect(error(Self.file("{}", version: 9)) != nil)
    #expect(
      error(Array("some text, not an array".utf8))?.description.contains("expected a .npy") == true)
  }
}
