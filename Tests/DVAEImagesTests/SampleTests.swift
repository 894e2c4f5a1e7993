import DVAEFiles
import DVAEImages
import DVAETestSupport
import Foundation
import Testing

/// Files of archives as samples.
@Suite struct SampleTests {
  let folder = TemporaryFolder()

  private func archive(_ names: [String]) throws -> [UInt8] {
    try tarArchive(names.map { ($0, Array($0.utf8)) })
  }

  /// The last key of an archive may be the first of the one behind it.
  @Test func anEndMarkEndsASample() throws {
    try write(
      archive(["0.png", "1.png", "1.txt"]) + archive(["1.jpg", "1.TXT", "2.png"])
        + archive(["2.webp"]), to: folder("a.tar"))
    let found = try items([folder("a.tar")])
    #expect(
      found.map { $0.imageMember?.entry.name } == ["0.png", "1.png", "1.jpg", "2.png", "2.webp"])
    let captions = try found.map { try $0.sidecars(["txt"], limit: 100)["txt"] }
    #expect(captions == [nil, Array("1.txt".utf8), Array("1.TXT".utf8), nil, nil])
  }

  /// An image whose name is not UTF-8 is reported; it has no other image's caption.
  @Test func namesOfOtherEncodingsStayDistinct() throws {
    try write(
      tarFile("caf\u{E8}.txt", [7]) + tarFile("caf\u{E9}.png", [8]) + tarEnd, to: folder("a.tar"))
    let found = try items([folder("a.tar")])
    #expect(try found.count == 1 && found[0].sidecars(["txt"], limit: 100).isEmpty)
    let refusal = #expect(throws: DVAEError.self) { try found[0].load() }
    #expect(refusal?.description.contains("its name is not UTF-8") == true)
  }

  /// WebDataset takes all behind the first dot for the extension.
  @Test func extensionsMayBeginWithADot() throws {
    try write(archive(["a..png", "b...jpg", "b.txt"]), to: folder("a.tar"))
    let found = try items([folder("a.tar")])
    #expect(found.map { $0.imageMember?.entry.name } == ["a..png", "b...jpg"])
  }

  /// Crawlers name images by their hashes, and downloaders append numbers.
  @Test func imagesNeedNoExtension() throws {
    let image = testPicture(1, width: 8, height: 8)
    let files: [(String, [UInt8])] = [
      ("d/0a", try encodeJPEG(image, quality: 80)), ("d/0a.txt", [97]),
      ("d/0b", try encodePNG(image)), ("d/0b.png", try encodePNG(image)), ("d/LICENSE", [97]),
      ("d/__0c__", try encodePNG(image)), ("d/v1.2", try encodePNG(image)),
    ]
    for (name, bytes) in files { try write(bytes, to: folder("in/" + name)) }
    for name in ["a.jpg.1", "b.jpg?w=9", "c.jpg_large", "a.txt", "a.png.part", "b.png~", "a.bak"] {
      try write(encodePNG(image), to: folder("in/e/" + name))
    }
    try write([1, 2, 3], to: folder("in/e/d.jpg_small"))
    // Nothing is read from a pipe.
    #expect(mkfifo(folder("in/d/pipe"), 0o600) == 0)
    try write(tarArchive(files), to: folder("a.tar"))
    let found = try items([folder("in")])
    let beside = ["e/a.jpg.1", "e/b.jpg?w=9", "e/c.jpg_large"]
    #expect(found.map(\.key) == ["d/0a", "d/0b", "d/0b.png", "d/__0c__", "d/v1.2"] + beside)
    for (name, text) in [("d/v1.txt", 1), ("d/v1.2.txt", 2)] as [(String, UInt8)] {
      try write([text], to: folder("in/" + name))
      #expect(try found[4].sidecars(["txt"], limit: 9)["txt"] == [text])
    }
    let archived = try items([folder("a.tar")])
    // The two files of one key are one image in two forms.
    #expect(archived.map(\.key) == ["d/0a", "d/0b", "d/0b", "d/v1"])
    for item in [found[0], archived[0]] {
      #expect(try item.decode().width == 8 && item.sidecars(["txt"], limit: 9)["txt"] == [97])
    }
    #expect(try archived[1].decode() == image && archived[2].decode() == image)
  }

  /// Two files that claim 2^63 bytes of holes, shared by two images.
  @Test func claimedSizesDoNotOverflow() throws {
    func hole(_ name: String) throws -> [UInt8] {
      // Each line begins with its length.
      let lines = "39 GNU.sparse.size=\(Int.max)\n22 GNU.sparse.map=0,0\n"
      return try tarExtension("x", lines) + tarHeader(name, kind: "0")
    }
    let pictures = try ["s.a.png", "s.b.png"].flatMap { try tarFile($0, [1]) }
    try write(hole("s.txt") + hole("s.json") + pictures + tarEnd, to: folder("a.tar"))
    let found = try items([folder("a.tar")])
    #expect(found.map { $0.imageMember?.entry.name } == ["s.a.png", "s.b.png"])
    let sizes = found.flatMap { item in
      guard case .sample(let record, _) = item.origin else { return [] as [Int] }
      return record.members.map(\.entry.size)
    }
    #expect(sizes.max() == Int.max)
    #expect(throws: DVAEError.self) { try found[0].sidecars(["txt"], limit: 1 << 20) }
  }
}
