import DVAETestSupport
import DVAEFiles
import Testing
import DVAEWeights

/// Damaged files, and files that are not what their name says.
@Suite("Containers")
struct ContainerTests {
  @Test(
    "content under the wrong name is said as what it is",
    arguments: [
      ("<!DOCTYPE html>\n<html><body>404", "web page"),
      ("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "web page"),
      (
        "--2021-06-30 10:00:00--  https://cdn.openai.com/dall-e/encoder.pkl\nResolving cdn…",
        "log of a download"
      ),
      ("version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS"),
      ("just some words\nin two lines", "text that starts \"just some words\""),
      ("call me\nlater", "text that starts \"call me\""),
      ("(a remark)", "text"),
      ("PNG", "text"),
      ("{\"a\": 1, \"b\": 22222}", "text"),
    ])
  func text(content: String, expected: String) throws {
    let error = try #require(weightsError(Array(content.utf8)))
    #expect(error.description.contains(expected), "\(error)")
    #expect(!error.description.contains("\n"))
  }

  @Test(
    "binary content is said as what it is",
    arguments: [
      ([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3], "gzip"),
      ([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0], "PNG"),
      ([0x93] + Array("NUMPY".utf8) + [1, 0, 0, 0], "NumPy array"),
      ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], "00 01 02 03"),
      ([8, 0, 0, 0, 0, 0, 0, 0], "too few"),
      ([0], "too few"),
    ] as [([UInt8], String)])
  func binary(content: [UInt8], expected: String) throws {
    let error = try #require(weightsError(content))
    #expect(error.description.contains(expected), "\(error)")
  }

  @Test("missing files, folders, empty files and devices are said as such")
  func paths() throws {
    try withFolder { folder in
      func error(_ path: String) -> DVAEError? {
        do throws(DVAEError) {
          _ = try WeightsFile.open(path)
          return nil
        } catch { return error }
      }
      #expect(error(folder + "/no") == .missing(path: folder + "/no"))
      #expect(error(folder) == .notAFile(path: folder, found: "a folder"))
      #expect(error("/dev/null") == .notAFile(path: "/dev/null", found: "a device or a pipe"))
      try write([], to: folder + "/empty")
      #expect(error(folder + "/empty") == .empty(path: folder + "/empty"))
      #expect(weightsError([]) == .empty(path: "some.pkl"))
    }
  }

  @Test("zip archives that torch.save does not write are refused with the reason")
  func zips() throws {
    func error(_ zip: ZipBuilder) -> String { weightsError(zip.archive())?.description ?? "" }
    let pickle = PickleBuilder.program(Array("N".utf8))
    var compressed = ZipBuilder(method: 8)
    compressed.add("a/data.pkl", pickle)
    #expect(error(compressed).contains("compressed zip entry 'a/data.pkl'"))
    var arrays = ZipBuilder()
    arrays.add("x.npy", [1])
    #expect(error(arrays).contains(".npz"))
    #expect(error(ZipBuilder()).contains("without a data.pkl"))
    var script = ZipBuilder()
    script.add("a/data.pkl", pickle)
    script.add("a/constants.pkl", pickle)
    #expect(error(script).contains("TorchScript"))
    var order = ZipBuilder()
    order.add("a/data.pkl", pickle)
    order.add("a/byteorder", Array("big".utf8))
    #expect(error(order).contains("big-endian"))
    var wrong = ZipBuilder()
    wrong.add("a/data.pkl", pickle, checksum: 1)
    #expect(error(wrong).contains("checksum"))
    var twice = ZipBuilder()
    twice.add("a/data.pkl", pickle)
    twice.add("a/data.pkl", pickle)
    #expect(error(twice).contains("twice"))
  }

  @Test("metadata beside the pickle is texts by name, of a bounded size")
  func metadata() throws {
    func archive(_ metadata: [UInt8], checksum: UInt32? = nil) -> [UInt8] {
      var zip = ZipBuilder()
      let storage = PickleBuilder.storage("FloatStorage", key: "0", count: 1)
      let tensor = PickleBuilder.tensor(storage, shape: [1], strides: [1])
      zip.add("a/data.pkl", PickleBuilder.program(PickleBuilder.dictionary([("w", tensor)])))
      zip.add("a/data/0", [0, 0, 0, 0])
      zip.add("a/dvae.json", metadata, checksum: checksum)
      return zip.archive()
    }
    func error(_ metadata: [UInt8], checksum: UInt32? = nil) -> String? {
      weightsError(archive(metadata, checksum: checksum))?.description
    }
    let sound = Array(#"{"licence":"mine"}"#.utf8)
    #expect(
      try WeightsFile.parse(archive(sound), path: "w.pt").metadata == [Key("licence"): "mine"])
    for wrong in ["", "[]", #"{"licence":1}"#, "\u{0}"] {
      #expect(error(Array(wrong.utf8))?.contains("'dvae.json' is not an object of texts") == true)
    }
    #expect(error(sound, checksum: 1)?.contains("checksum") == true)
    let large = [UInt8](repeating: UInt8(ascii: " "), count: 1 << 20) + sound
    #expect(error(large)?.contains("the limit is 1048576") == true)
  }

  @Test("messages are one line, whatever the file holds")
  func oneLine() throws {
    let name = "a\\n\\u0000\\u001b[31m" + String(repeating: "x", count: 5000)
    let header = "{\"\(name)\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}"
    let error = try #require(weightsError(SafetensorsTests.file(header, data: 8)))
    let message = error.description
    #expect(message.utf8.count < 2000)
    #expect(!message.utf8.contains { $0 < 0x20 || $0 == 0x7F })
  }

  static let fixtures = [
    "tiny/encoder.pkl", "tiny/decoder_legacy.pkl", "tiny/encoder_channels_last.pkl",
    "tiny/encoder_float16.pkl", "tiny/encoder_state_dict.pt", "tiny/encoder_flava.safetensors",
    "training/batch.safetensors",
  ]

  @Test("a file that is cut short anywhere is an error", arguments: fixtures)
  func truncation(name: String) throws {
    let bytes = try Fixture.bytes(name)
    // Every byte at the start, then in steps, then every byte at the end.
    var lengths = Array(0..<200) + Array(bytes.count - 200..<bytes.count)
    lengths += stride(from: 200, to: bytes.count - 200, by: bytes.count / 60)
    for length in lengths {
      #expect(weightsError(Array(bytes[..<length])) != nil, "\(length) of \(bytes.count) bytes")
    }
  }

  /// Makes an archive without a checksum for the pickle, so that changes reach the reader.
  static func withoutPickleChecksum(_ archive: [UInt8]) -> [UInt8] {
    var archive = archive
    let field = archive[(archive.count - 22)...].dropFirst(16).prefix(4)
    let directory = field.reversed().reduce(0) { $0 << 8 | Int($1) }
    archive.replaceSubrange(directory + 16..<directory + 20, with: [0, 0, 0, 0])
    return archive
  }

  @Test("changed values in a zip archive are found by their checksums")
  func checksums() throws {
    var bytes = try Fixture.bytes("tiny/encoder.pkl")
    try WeightsFile.parse(bytes, path: "good.pkl").verifyChecksums()
    bytes[bytes.count / 2] ^= 1
    let damaged = try WeightsFile.parse(bytes, path: "bad.pkl")
    #expect(throws: DVAEError.self) { try damaged.verifyChecksums() }
    // The check value of the CRC's definition, and one that needs the tail.
    #expect(Array("123456789".utf8).withUnsafeBytes(ZipArchive.crc32) == 0xCBF4_3926)
    #expect([UInt8]().withUnsafeBytes(ZipArchive.crc32) == 0)
  }

  @Test("a wrong byte gives an error or a readable file, never a crash", arguments: fixtures)
  func corruption(name: String) throws {
    var original = try Fixture.bytes(name)
    if original.starts(with: Array("PK".utf8)) { original = Self.withoutPickleChecksum(original) }
    // Only the bytes that describe the tensors can do harm; values may be any bytes.
    let heads =
      name.hasSuffix(".safetensors")
      ? [0..<min(5000, original.count)]
      : [0..<min(45_000, original.count), max(0, original.count - 6000)..<original.count]
    var state: UInt64 = 88_172_645_463_325_252
    func random(_ bound: Int) -> Int {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return Int(state >> 33) % bound
    }
    var refused = 0
    var bytes = original
    for _ in 0..<600 {
      let part = heads[random(heads.count)]
      let position = part.lowerBound + random(part.count)
      let interesting: [UInt8] = [0, 1, 0x7F, 0x80, 0xFF, 0x2E, 0x28, original[position] ^ 1]
      bytes[position] = interesting[random(interesting.count)]
      defer { bytes[position] = original[position] }
      do throws(DVAEError) {
        for tensor in try WeightsFile.parse(bytes, path: name).tensors where tensor.count < 20_000 {
          _ = try tensor.floats()
        }
      } catch {
        refused += 1
        #expect(!error.description.isEmpty)
      }
    }
    #expect(refused > 0)
  }
}
