import DVAETestSupport
import DVAEFiles
import Testing

/// Members of zip archives by name, stored and deflated.
@Suite struct ZipMembersTests {
  private let text = Array("a picture, perhaps".utf8)

  /// Returns a deflate stream of one uncompressed block.
  private func deflated(_ bytes: [UInt8]) -> [UInt8] {
    let count = UInt16(bytes.count)
    return [1] + littleEndian(count) + littleEndian(~count) + bytes
  }

  private var checksum: UInt32 { text.withUnsafeBytes(ZipArchive.crc32) }

  /// Reads the member "a" of an archive.
  private func member(
    _ zip: ZipBuilder, limit: Int = 1000
  ) throws -> Result<[UInt8]?, DVAEError> {
    try withFolder { folder in
      try write(zip.archive(), to: folder + "/a.zip")
      do throws(DVAEError) {
        return .success(
          try ZipArchive(MappedFile(path: folder + "/a.zip"), for: .members).contents(
            of: "a", limit: limit))
      } catch {
        return .failure(error)
      }
    }
  }

  private func problem(_ zip: ZipBuilder, limit: Int = 1000) throws -> String {
    guard case .failure(let error) = try member(zip, limit: limit) else { return "" }
    return error.description
  }

  @Test(arguments: [false, true]) func bothMethodsAreRead(_ zip64: Bool) throws {
    var stored = ZipBuilder(zip64: zip64)
    stored.add("b", [1])
    stored.add("a", text)
    #expect(try member(stored).get() == text)
    #expect(try member(stored, limit: text.count).get() == text)
    #expect(try problem(stored, limit: text.count - 1).contains("\(text.count) bytes"))
    var compressed = ZipBuilder(method: 8, zip64: zip64)
    compressed.add("a", deflated(text), checksum: checksum, size: text.count)
    #expect(try member(compressed).get() == text)
    #expect(try problem(compressed, limit: text.count - 1).contains("\(text.count) bytes"))
    var empty = ZipBuilder(method: 8)
    empty.add("a", deflated([]), checksum: 0, size: 0)
    #expect(try member(empty).get() == [])
    var other = ZipBuilder()
    other.add("b", text)
    #expect(try member(other).get() == nil)
  }

  /// Members that cannot be read do not matter to the others: an unknown method, encryption, a wrong
  /// header, names of other encodings.
  @Test func otherMembersMayBeUnreadable() throws {
    var zip = ZipBuilder(method: 12)
    zip.add("bzip2", [1])
    zip.method = 0
    for name in ["caf1", "caf2", "secret", "beside", "twice", "twice", "a"] { zip.add(name, text) }
    var bytes = zip.archive()
    for (name, last) in [("caf1", UInt8(0xE9)), ("caf2", 0xE8)] {
      while let place = bytes.firstRange(of: Array(name.utf8)) {
        bytes[place.upperBound - 1] = last
      }
    }
    // The flags are 38 bytes before the name in the directory, which follows the members.
    let places = bytes.indices.filter { bytes[$0...].starts(with: "secret".utf8) }
    bytes[try #require(places.last) - 38] = 1
    let beside = try #require(bytes.firstRange(of: Array("beside".utf8))).lowerBound
    bytes[beside] = UInt8(ascii: "B")
    try withFolder { folder in
      try write(bytes, to: folder + "/a.zip")
      let members = try ZipArchive(MappedFile(path: folder + "/a.zip"), for: .members)
      #expect(try members.contents(of: "a", limit: 1000) == text)
      #expect(try members.contents(of: "twice", limit: 1000) == text)
      for (name, problem) in [
        ("bzip2", "compressed"), ("secret", "encrypted"), ("beside", "points beside"),
      ] {
        let error = #expect(throws: DVAEError.self) { try members.contents(of: name, limit: 1000) }
        #expect(error?.description.contains(problem) == true)
      }
    }
  }

  /// Of several members with one name, the last one counts, as in Python's `zipfile`.
  @Test func theLastOfEqualNamesCounts() throws {
    var zip = ZipBuilder()
    zip.add("a", [1])
    zip.add("a", text)
    #expect(try member(zip).get() == text)
  }

  /// A program that unpacks the archive may precede it; its offsets do not count those bytes.
  @Test(arguments: [false, true]) func bytesMayPrecedeTheArchive(_ zip64: Bool) throws {
    var zip = ZipBuilder(zip64: zip64)
    zip.add("b", [1])
    zip.add("a", text)
    try withFolder { folder in
      for prefix in [Array("#!/bin/sh\n".utf8), zip.archive()] {
        try write(prefix + zip.archive(), to: folder + "/a.zip")
        let members = try ZipArchive(MappedFile(path: folder + "/a.zip"), for: .members)
        #expect(try members.contents(of: "a", limit: 1000) == text)
      }
    }
  }

  /// Entries that share bytes would make reading quadratic.
  @Test func overlappingEntriesAreRefused() throws {
    var zip = ZipBuilder()
    zip.add("b", [UInt8](repeating: 1, count: 10))
    zip.add("a", text)
    var bytes = zip.archive()
    let entry = try #require(bytes.firstRange(of: [0x50, 0x4B, 1, 2])).lowerBound
    // The first entry overlaps the second one.
    for place in [entry + 20, entry + 24] { bytes[place] = 50 }
    try withFolder { folder in
      try write(bytes, to: folder + "/a.zip")
      let error = #expect(throws: DVAEError.self) {
        try ZipArchive(MappedFile(path: folder + "/a.zip"), for: .members)
      }
      #expect(error?.description.contains("'b' and 'a' overlap") == true)
    }
  }

  /// Streams that are damaged, or whose content or length is wrong.
  @Test func brokenMembersAreErrors() throws {
    let stream = deflated(text)
    let cases: [([UInt8], Int, UInt32)] = [
      (Array(stream.dropLast()), text.count, checksum), (stream + [0], text.count, checksum),
      (stream, text.count + 1, checksum), (stream, text.count - 1, checksum),
      ([7] + stream.dropFirst(), text.count, checksum), ([], text.count, checksum),
    ]
    for (bytes, size, checksum) in cases {
      var zip = ZipBuilder(method: 8)
      zip.add("a", bytes, checksum: checksum, size: size)
      #expect(try problem(zip).contains("cannot be decompressed"))
    }
    var other = ZipBuilder(method: 8)
    other.add("a", stream, checksum: checksum ^ 1, size: text.count)
    #expect(try problem(other).contains("checksum"))
    var unknown = ZipBuilder(method: 9)
    unknown.add("a", stream)
    #expect(try problem(unknown).contains("pack it again"))
  }
}
