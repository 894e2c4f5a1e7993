import DVAEFiles
import DVAEImages
import DVAETestSupport
import Testing

@Suite struct WebDatasetTests {
  @Test(arguments: [
    ("a.jpg", "a", "jpg"), ("d/e.f/a.seg.png", "d/e.f/a", "seg.png"), ("./x.txt", "x", "txt"),
    ("a.", "a", ""),
  ])
  func namesAreSplitAtTheFirstDot(_ name: String, _ key: String, _ field: String) {
    let split = WebDatasetRecord.split(name)
    #expect(split?.key == key && split?.extension == field)
  }

  @Test(arguments: [
    "a", ".hidden", "d/.hidden.jpg", "d/e.f/a", "", "__info__.json", "@eaDir/a.jpg/THUMB_M.jpg",
    "d/#recycle/a.jpg", "./__MACOSX/d/a.jpg",
  ])
  func otherNamesBelongToNoSample(_ name: String) {
    #expect(WebDatasetRecord.split(name) == nil)
  }

  @Test func neighboursWithOneKeyAreASample() throws {
    let samples = [
      WebDatasetSample(
        key: "d/1",
        fields: [.init(extension: "jpg", bytes: [1]), .init(extension: "txt", bytes: [2])]),
      WebDatasetSample(key: "d/2", fields: [.init(extension: "JPG", bytes: [3])]),
      // A repeated key or field starts another sample, in any case.
      WebDatasetSample(key: "d/1", fields: [.init(extension: "jpg", bytes: [4])]),
      WebDatasetSample(key: "d/1", fields: [.init(extension: "JPG", bytes: [5])]),
    ]
    try withFolder { folder in
      var bytes = try TarFormat.file(name: "__info__.json", [9])
      for sample in samples { bytes += try sample.tarFiles() }
      bytes += TarFormat.end
      let path = folder + "/a.tar"
      try write(bytes, to: path)
      var reader = try WebDatasetReader(path: path)
      var found: [WebDatasetSample] = []
      while let sample = try reader.next() { found.append(sample) }
      #expect(found == samples)
      #expect(found[1]["jpg"] == [3])
      let records = try records(path)
      #expect(records.map(\.key) == ["d/1", "d/2", "d/1", "d/1"])
      #expect(records.last?.members.first?.entry.start == bytes.count - 2048)
      #expect(try isTerminated(tar: path))

      // A truncated archive: the complete samples, the incomplete one with its files, then the
      // error.
      try write(Array(bytes[..<(4 * 1024 + 512)]), to: path)
      var torn = try WebDatasetReader(path: path)
      #expect(try torn.next()?.key == "d/1")
      #expect(try torn.next()?.key == "d/2")
      #expect(throws: DVAEError.self) { try torn.next() }
      #expect(try torn.next() == nil)
      #expect(throws: DVAEError.self) {
        var reader = try WebDatasetReader(path: path)
        _ = try reader.next(limit: 0)
      }
    }
  }

  private func records(_ path: String) throws -> [WebDatasetRecord] {
    var reader = try WebDatasetReader(path: path)
    var records: [WebDatasetRecord] = []
    while let record = try reader.nextRecord() { records.append(record) }
    return records
  }

  @Test func corruptionDoesNotCrash() throws {
    var sound = 0
    try forEachDamagedArchive { path, size in
      guard let records = try? records(path) else { return }
      sound += 1
      for member in records.flatMap(\.members) {
        #expect(member.entry.offset + member.entry.size <= size)
        #expect(WebDatasetRecord.split(member.entry.name)?.extension == member.extension)
      }
    }
    #expect(sound > 0)
  }

  @Test func keysSurviveTheArchive() {
    #expect(WebDatasetSample.archiveKey("a.b/c.d.e") == "a.b/c_d_e")
    #expect(WebDatasetSample.archiveKey("c.d") == "c_d")
    #expect(WebDatasetSample.archiveKey(".cache/x/..y/a") == "_cache/x/_.y/a")
    #expect(WebDatasetSample.archiveKey("b/@eaDir/a") == "b/@eaDir-/a")
    for key in [
      "__x__", "__", "___", "a/__b__", "a/__b.__", "__.init__", "__MACOSX/a", ".a/#recycle/.b",
    ] {
      let kept = WebDatasetSample.archiveKey(key)
      #expect(WebDatasetRecord.split(kept + ".tokens.npy")?.key == kept)
    }
  }
}
