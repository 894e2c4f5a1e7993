import DVAEFiles
import DVAEImages
import DVAEPreparation
import DVAEWeights
import Foundation

/// The largest image or file in an archive: 1 MiB, 1 million pixels.
let limits = DecodingLimits(maximumPixels: 1 << 20, maximumBytes: 1 << 20)

extension Target {
  /// Images, containers and JSON.
  static let files = [
    Target("jpeg", try fixtures("codecs", ".jpg"), read: image),
    Target("png", try fixtures("codecs", ".png"), repair: Repair.png, read: image),
    Target("webp", try fixtures("codecs", ".webp"), read: image),
    Target("tar", try fixtures("archives", ".tar"), repair: Repair.tar, read: tar),
    Target(
      "zip",
      [
        Pickles.zip([("a.txt", Array("text".utf8)), ("b/c", [])]),
        // One entry, "a", whose deflated content is 100 letters.
        Array(Data(base64Encoded: deflated) ?? Data()),
      ], repair: Repair.zip, read: zip),
    Target(
      "npy",
      [
        NpyArray.encoded([UInt16](0..<6), shape: [1, 2, 3]),
        try NpyHeader(.float32, shape: [2, 2], isColumnMajor: true).encoded()
          + [UInt8](repeating: 0, count: 16),
      ]
    ) { bytes in
      let array = try NpyArray.parse(bytes, path: "fuzz")
      _ = try? array.int64s()
      _ = try array.floats()
    },
    Target(
      "safetensors",
      [
        withHeader(
          #"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}"#,
          8)
      ],
      read: weights),
    Target(
      "torch", [Pickles.archive(Pickles.seed), Pickles.legacy(Pickles.seed)], repair: Repair.zip,
      read: weights),
    Target("pickle", [Pickles.seed], make: Pickles.program) { bytes in
      do { try weights(Pickles.archive(bytes)) } catch is DVAEError {}
      try weights(Pickles.legacy(bytes))
    },
    Target(
      "json",
      texts(
        #"{"a":[1,-2.5e3,18446744073709551616,null,true,false],"\u00e9\ud83d\ude00":"\n","b":{}}"#,
        "[NaN,-Infinity,\"\\ud800\",1e400]"), read: json),
    Target(
      "names", texts("tokens-{000..009}.tar", "a/./../b.c", "3/16", "__key__.jpg"), read: names),
    Target("list", texts("a.jpg\nb.tar\r\n\n./c\n"), read: list),
  ]

  private static let deflated =
    "UEsDBBQAAAAIAAAAIQBkenCvBgAAAGQAAAABAAAAYUtMpD0AAFBLAQIUABQAAAAIAAAAIQBkenCvBgAAAGQA"
    + "AAABAAAAAAAAAAAAAACAAQAAAABhUEsFBgAAAAABAAEALwAAACUAAAAAAA=="

  /// Decodes an image, then does what the tokenizer and the search for duplicates do with it.
  @Sendable private static func image(_ bytes: [UInt8]) throws {
    let picture = try decodeImage(bytes, name: "fuzz", limits: limits)
    _ = PerceptualHash.of(picture)
    _ = try Preprocessing(resolution: 16, upscale: true).apply(picture, name: "fuzz")
  }

  @Sendable private static func tar(_ bytes: [UInt8]) throws {
    let path = try file(bytes, "fuzz.tar")
    var inputs = try ImageInputs([path])
    var list = InputList()
    for _ in 0...bytes.count {
      do {
        guard let item = try inputs.next() else { break }
        _ = try? item.sidecars(["txt", "json"], limit: limits.maximumBytes)
        _ = try? item.load(limits: limits)
        list.append(item.key, .success(item))
        let (key, again) = list[list.count - 1]
        let found = try again.get()
        precondition(key == item.key && found.imageMember == item.imageMember, "another item")
      } catch {}
    }
    var reader = try TarReader(path: path)
    while let entry = try reader.next() {
      _ = try? reader.file.contents(of: entry, limit: limits.maximumBytes)
    }
  }

  @Sendable private static func zip(_ bytes: [UInt8]) throws {
    let path = try file(bytes, "fuzz.zip")
    let archive = try ZipArchive(MappedFile(path: path), for: .members)
    for entry in archive.entries.prefix(100)
    where (try? archive.entry(entry.name))?.range == entry.range {
      let content = try archive.contents(of: entry.name, limit: limits.maximumBytes)
      precondition(content?.count == entry.size, "a member of another size")
    }
  }

  @Sendable static func weights(_ bytes: [UInt8]) throws {
    let file = try WeightsFile.parse(bytes, path: "fuzz")
    try? file.verifyChecksums()
    for tensor in file.tensors {
      _ = try? tensor.int64s()
      let values = try tensor.floats()
      precondition(values.count == tensor.count && file[tensor.name] != nil, "another tensor")
    }
  }

  /// Reads JSON, writes it, and reads the same again.
  @Sendable private static func json(_ bytes: [UInt8]) throws {
    let isStrict: Void? = bytes.withUnsafeBytes { text in
      var reader = JSONReader(text)
      return try? (reader.value(), reader.end()).1
    }
    let isPassed: Void? = bytes.withUnsafeBytes { text in
      var reader = JSONReader(text)
      return try? (reader.skipValue(), reader.end()).1
    }
    precondition(isStrict == nil || isPassed != nil, "a value that cannot be skipped")
    let text = jsonText(try JSONValue(parsing: bytes, path: "fuzz"))
    let again = jsonText(try JSONValue(parsing: text, path: "again"))
    precondition(again == text, "another value")
  }

  @Sendable private static func names(_ bytes: [UInt8]) throws {
    let text = String(decoding: bytes, as: UTF8.self)
    let parts = Key(insideFolder: text).text.utf8.split(
      separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    precondition(parts.count == 1 || parts.allSatisfy { !$0.isEmpty }, "the root of the disk")
    precondition(parts.allSatisfy { !$0.elementsEqual("..".utf8) }, "a way out of the folder")
    if let split = WebDatasetRecord.split(WebDatasetSample.archiveKey(text) + ".jpg") {
      precondition(split.extension == "jpg", "a key with a dot")
    }
    if let names = try NumberedNames(text) { _ = (names[0], names[names.count - 1]) }
    _ = try Shard(text).range(of: .max)
  }

  @Sendable private static func list(_ bytes: [UInt8]) throws {
    // Other folders of the machine are not touched.
    guard !bytes.contains(UInt8(ascii: "/")), bytes.firstRange(of: Array("..".utf8)) == nil else {
      return
    }
    var inputs = try ImageInputs(["@" + file(bytes, "list.txt")])
    for _ in 0...bytes.count {
      do { guard try inputs.next() != nil else { return } } catch {}
    }
    fatalError("more items than lines")
  }
}

/// Returns a safetensors file with a header and `count` zero bytes.
func withHeader(_ json: some StringProtocol, _ count: Int) -> [UInt8] {
  Pickles.little(json.utf8.count, 8) + Array(json.utf8) + [UInt8](repeating: 0, count: count)
}
