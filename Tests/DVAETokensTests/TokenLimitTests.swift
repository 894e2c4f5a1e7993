import DVAEFiles
import DVAEImages
import DVAETestSupport
import DVAETokens
import Foundation
import Testing
import DVAEWeights

/// Token files that claim more than memory holds.
///
/// A file with holes has any size.
@Suite struct TokenLimitTests {
  let folder = TemporaryFolder()
  private let terabyte = 1 << 40

  /// Lengthens a file by zeros that take no room on the disk.
  private func lengthen(_ name: String, to size: Int) throws {
    let file = try #require(FileHandle(forWritingAtPath: folder(name)))
    try file.truncate(atOffset: UInt64(size))
    try file.close()
  }

  private func expectRefusal(_ name: String, _ code: DVAEError.Code) {
    let error = #expect(throws: DVAEError.self) {
      for item in try TokenReader(contentsOf: folder(name)) { _ = try item.get() }
    }
    #expect(error?.kind == .badData && error?.code == code, "\(error?.description ?? "none")")
  }

  @Test func sidecarsAreBounded() throws {
    try NpyArray.write([UInt16]([1, 2]), shape: [1, 1, 2], to: folder("t.npy"))
    try write(Array("{}".utf8), to: folder("t.npy.json"))
    try lengthen("t.npy.json", to: terabyte)
    expectRefusal("t.npy", .tooManyBytes)
  }

  @Test func filesOfFoldersAreBounded() throws {
    try write(NpyArray.encoded([UInt16(1)], shape: [1, 1]), to: folder("tokens/a.tokens.npy"))
    try lengthen("tokens/a.tokens.npy", to: terabyte)
    expectRefusal("tokens", .tooManyBytes)
  }

  @Test func imagesAreBounded() throws {
    let (rows, columns) = (1 << 17, 1 << 17)
    for type in ["<u2", "<i2"] {
      let header =
        "{'descr': '\(type)', 'fortran_order': False, 'shape': (1, \(rows), \(columns)), }"
      let padded = header + String(repeating: " ", count: 117 - header.utf8.count) + "\n"
      let head = [0x93] + Array("NUMPY".utf8) + [1, 0, 118, 0] + Array(padded.utf8)
      try write(head, to: folder("t.npy"))
      try lengthen("t.npy", to: head.count + 2 * rows * columns)
      expectRefusal("t.npy", .limitExceeded)
    }

    try write([], to: folder("t.bin"))
    try lengthen("t.bin", to: 2 * rows * columns)
    try write(Array(#"{"shape":[1,\#(rows),\#(columns)]}"#.utf8), to: folder("t.bin.json"))
    expectRefusal("t.bin", .limitExceeded)

    let length = 1 << 30
    let index =
      Array("MMIDIDX\0\0".utf8) + littleEndian(Int64(1)) + [8] + littleEndian(Int64(1))
      + littleEndian(Int64(2)) + littleEndian(Int32(length)) + littleEndian(Int64(0))
      + littleEndian(Int64(0)) + littleEndian(Int64(1))
    try write(index, to: folder("m.idx"))
    try write([], to: folder("m.bin"))
    try lengthen("m.bin", to: 2 * length)
    expectRefusal("m.idx", .limitExceeded)

    let tensor =
      #"{"k":{"dtype":"U16","shape":[\#(rows),\#(columns)],"data_offsets":[0,\#(2 * rows * columns)]}}"#
    let start = littleEndian(UInt64(tensor.utf8.count)) + Array(tensor.utf8)
    try write(start, to: folder("t.safetensors"))
    try lengthen("t.safetensors", to: start.count + 2 * rows * columns)
    expectRefusal("t.safetensors", .limitExceeded)
  }

  /// Rows of a long array are read one by one, whatever their type.
  @Test func longArraysTakeNoMemory() throws {
    let (count, side) = (1 << 25, 16)
    let header = "{'descr': '<i4', 'fortran_order': False, 'shape': (\(count), \(side), \(side)), }"
    let padded = header + String(repeating: " ", count: 117 - header.utf8.count) + "\n"
    let head = [0x93] + Array("NUMPY".utf8) + [1, 0, 118, 0] + Array(padded.utf8)
    try write(head, to: folder("t.npy"))
    try lengthen("t.npy", to: head.count + 4 * count * side * side)
    var reader = try TokenReader(contentsOf: folder("t.npy"))
    for _ in 0..<3 { #expect(try reader.next()?.get().grid.count == side * side) }
  }

  /// Soft tokens in a sparse member of a tar are read with their holes, which are bounded.
  @Test func softTokensInSparseMembersAreBounded() throws {
    let soft = try #require(SoftTokens.Settings(topK: nil, margin: true))
    var provenance = testProvenance(count: 1)
    provenance.soft = soft
    let side = 128
    let grid = TokenGrid(height: side, width: side, tokens: .init(repeating: 5, count: side * side))
    let margins = [Float](repeating: 0, count: side * side - 1) + [2]
    let npy = NpyArray.encoded(margins, shape: [side, side])
    let (first, last) = (Array(npy.prefix(512)), Array(npy.suffix(512)))
    for (size, isRead) in [(npy.count, true), (1 << 30, false)] {
      var tar: [UInt8] = []
      tar += try TarFormat.file(name: ".provenance.json", jsonLine(provenance))
      tar += try TarFormat.file(
        name: "k.tokens.npy", NpyArray.encoded(grid.tokens, shape: [side, side]))
      let pieces = [(0, first.count), (size - last.count, last.count)]
      tar += Self.sparseHeader("k.margin.npy", pieces, size)
      tar += first + last + [UInt8](repeating: 0, count: 1024)
      try write(tar, to: folder("t.tar"))
      if isRead {
        var reader = try TokenReader(contentsOf: folder("t.tar"))
        #expect(try reader.next()?.get().soft?.margins == margins)
      } else {
        expectRefusal("t.tar", .limitExceeded)
      }
    }
  }

  /// Returns the header of a sparse member as old GNU tar writes it.
  private static func sparseHeader(
    _ name: String, _ pieces: [(position: Int, count: Int)], _ size: Int
  ) -> [UInt8] {
    var header = [UInt8](repeating: 0, count: 512)
    func put(_ text: String, at place: Int) {
      header.replaceSubrange(place..<place + text.utf8.count, with: Array(text.utf8))
    }
    func octal(_ number: Int) -> String {
      let digits = String(number, radix: 8)
      return String(repeating: "0", count: 11 - digits.count) + digits + "\0"
    }
    put(name, at: 0)
    put(octal(pieces.reduce(0) { $0 + $1.count }), at: 124)
    put("        ", at: 148)
    put("S", at: 156)
    put("ustar  ", at: 257)
    for (index, piece) in pieces.enumerated() {
      put(octal(piece.position) + octal(piece.count), at: 386 + 24 * index)
    }
    put(octal(size), at: 483)
    let sum = header.reduce(0) { $0 + Int($1) }
    put(String(octal(sum).suffix(7)) + " ", at: 148)
    return header
  }

  /// After days of work it would be too late.
  @Test(arguments: [TokenFormat.safetensors, .npy, .tar]) func tooManyImagesAreRefusedAtOnce(
    _ format: TokenFormat
  ) throws {
    let path = folder("t." + format.rawValue)
    let provenance = testProvenance(.center, count: 1_000_000_000)
    if format == .tar {
      try TokenWriter(path, format: format, provenance: provenance).discard()
    } else {
      let error = #expect(throws: DVAEError.self) {
        try TokenWriter(path, format: format, provenance: provenance)
      }
      #expect(error?.kind == .usage && error?.advice?.contains(".tar") == true)
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
  }

  /// The checksum covers every byte, and so does the end mark behind it.
  @Test(arguments: TokenFormat.allCases.filter { $0 != .folder }) func nothingMayFollow(
    _ format: TokenFormat
  ) throws {
    let path = folder(TokenFileTests.name(format))
    try TokenFileTests.write(path, format)
    let data = format == .megatron ? folder("tokens.bin") : path
    let whole = try bytes(data)
    let zeros = [UInt8](repeating: 0, count: 512)
    for end in [[UInt8(ascii: "\n")], zeros, zeros + zeros, [1]] {
      try write(whole + end, to: data)
      #expect((try? TokenReader(contentsOf: path).checkSum()) != true, "\(end.prefix(1))")
    }
    try write(Array(whole.dropLast(512)), to: data)
    #expect((try? TokenReader(contentsOf: path).checkSum()) != true)
    try write(whole, to: data)
    #expect(try TokenReader(contentsOf: path).checkSum())
  }

  /// Impossible provenance is named with its place in the file.
  @Test(arguments: [
    (#""n_hid":256"#, #""n_hid":7"#, "'provenance.architecture' is damaged: n_hid is 7"),
    (#""n_hid":256,"#, "", "provenance.architecture"),
    (#""count":7"#, #""count":-9223372036854775808"#, "provenance.inputs.count"),
    (#""count":7,"#, "", "provenance.inputs"),
    (#""inputs":"#, #""grid":[0,2],"inputs":"#, "provenance.grid"),
    (#""inputs":"#, #""shard":"4/4","inputs":"#, "provenance.shard"),
    (#""inputs":"#, #""soft":{"topK":-1,"margin":false},"inputs":"#, "provenance.soft"),
  ])
  func impossibleProvenanceInASidecarIsNamed(
    _ old: String, _ new: String, _ problem: String
  ) throws {
    try NpyArray.write([UInt16]([1, 2]), shape: [1, 1, 2], to: folder("t.npy"))
    var json = String(decoding: try jsonText(["provenance": testProvenance()]), as: UTF8.self)
    #expect(json.contains(old))
    json.replace(old, with: new)
    try write(Array(json.utf8), to: folder("t.npy.json"))
    let error = #expect(throws: DVAEError.self) { try TokenReader(contentsOf: folder("t.npy")) }
    #expect(
      error?.description.contains(problem) == true, "\(error?.description ?? "none")")
  }
}
