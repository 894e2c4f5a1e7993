import DVAETestSupport
import DVAEFiles
import DVAEPreparation
import Foundation
import DVAEImages
import DVAETensors
import Testing

@Suite struct PreparationTests {
  let folder = TemporaryFolder()

  private func add(_ name: String, _ caption: String, _ bytes: [UInt8]) throws {
    try FileManager.default.createDirectory(
      atPath: folder("in"), withIntermediateDirectories: true)
    try write(bytes, to: folder("in/" + name))
    try write(
      Array(caption.utf8), to: folder("in/" + (name as NSString).deletingPathExtension + ".txt"))
  }

  private func prepare(
    _ output: String, _ change: (inout PreparationSettings) -> Void = { _ in }, threads: Int = 2
  ) async throws -> [String: Int] {
    var settings = PreparationSettings(sources: [folder("in")], filters: FilterSettings(.none))
    change(&settings)
    let job = try Preparation(settings, threads: threads)
    let funnel = try await job.run(folder(output), progress: { _ in }).funnel
    var drops: [String: Int] = ["": funnel.left]
    for reason in funnel.stages.flatMap(\.drops) where reason.count > 0 {
      drops[reason.reason] = reason.count
    }
    return drops
  }

  /// Makes four photos and a job of them that commits after every row.
  ///
  /// - Returns: a run of the job; the number is that of rows after which it is stopped
  private func photosJob(
    _ change: (inout PreparationSettings) -> Void = { _ in }
  ) throws -> (_ start: JobStart, _ stop: Int?) async throws -> Void {
    for number in 0..<4 {
      try add("\(number).jpg", "photo", try encodeJPEG(testPicture(number), quality: 80))
    }
    var settings = PreparationSettings(sources: [folder("in")], filters: FilterSettings(.none))
    change(&settings)
    let job = try Preparation(settings, threads: 1)
    return { [output = folder("out")] start, stop in
      _ = try await job.run(
        output, start: start, rowsPerCommit: 1,
        progress: { rows in if rows == stop { throw Stop() } })
    }
  }

  private func samples(_ output: String) throws -> [WebDatasetSample] {
    var samples: [WebDatasetSample] = []
    for name in try FileManager.default.contentsOfDirectory(atPath: folder(output)).sorted()
    where name.hasSuffix(".tar") {
      let path = folder(output) + "/" + name
      var reader = try WebDatasetReader(path: path)
      while let sample = try reader.next() { samples.append(sample) }
      #expect(try isTerminated(tar: path))
    }
    return samples
  }

  /// Each image filter just below and just above its threshold.
  @Test func imagesAreJudged() async throws {
    try add("a.png", "", encodePNG(testPicture(1, width: 63, height: 64)))
    try add("b.png", "", encodePNG(testPicture(2, width: 64, height: 64)))
    try add("c.png", "", encodePNG(testPicture(3, width: 64, height: 128)))
    try add("d.png", "", encodePNG(testPicture(4, width: 129, height: 64)))
    let jpeg = try encodeJPEG(testPicture(5), quality: 90)
    try add("e.jpg", "", jpeg)
    try add("f.jpg", "", Array(jpeg.dropLast(jpeg.count / 2)))
    try add("g.jpg", "", Array("<html>not found</html>".utf8))
    try add("h.jpg", "", [])
    let drops = try await prepare("judged") {
      $0.filters.minSide = 64
      $0.filters.maxAspect = 2
    }
    #expect(
      drops == ["": 3, "min-side": 1, "max-aspect": 1, "damaged": 1, "not-an-image": 2])
    let jpegs = try await prepare("jpegs") { $0.filters.types = ["jpeg"] }
    #expect(jpegs == ["": 1, "type": 4, "damaged": 1, "not-an-image": 2])
    let large = try await prepare("large") { $0.image.maxPixels = 64 * 64 }
    #expect(large["too-many-pixels"] == 2)
    let heavy = try await prepare("heavy") { $0.image.maxBytes = jpeg.count }
    #expect(heavy["too-large"] == 4)
  }

  @Test func samplesHoldImageCaptionAndDescription() async throws {
    let jpeg = try encodeJPEG(testPicture(1, width: 80, height: 60), quality: 90)
    try add("a.jpg", "  a red\ncar ", jpeg)
    _ = try await prepare("kept")
    let kept = try #require(try samples("kept").first)
    #expect(kept.key == "000000000" && kept["jpg"] == jpeg)
    #expect(kept["txt"] == Array("a red car".utf8))
    let description = try JSONValue(parsing: try #require(kept["json"]), path: "json")
    guard case .object(let members) = description else {
      Issue.record("no object")
      return
    }
    #expect(members["original_size"] == .array([.integer(80), .integer(60)]))
    #expect(members["source"] == .string(folder("in/a.jpg")))
    // sha256sum in/a.jpg
    #expect(members["sha256"] == .string(try FileHash.of(folder("in/a.jpg"))))
    _ = try await prepare("small") {
      $0.image.maxSide = 30
      $0.image.square = true
    }
    let small = try #require(try samples("small").first)
    let image = try decodeImage(try #require(small["jpg"]), name: "small")
    #expect(image.width == 30 && image.height == 30)
    #expect(String(decoding: small["json"] ?? [], as: UTF8.self).contains("\"crop\":[10,0,60,60]"))
  }

  /// Metadata whose names `String` takes for equal are all preserved.
  @Test func equivalentNamesOfMetadataArePreserved() async throws {
    try add("a.png", "one", try encodePNG(testPicture(1)))
    let json = "{\"e\u{301}\":1,\"\u{E9}\":2}"
    try Data(json.utf8).write(to: URL(fileURLWithPath: folder("in/a.json")))
    _ = try await prepare("kept")
    let description = try #require(try samples("kept").first?["json"])
    #expect(String(decoding: description, as: UTF8.self).contains("\"metadata\":" + json))
  }

  /// A description need not be an object; its caption may come from a text.
  @Test func descriptionsWithoutNamesAreMetadata() async throws {
    for (name, json) in [("a", #"[{"caption":"D"}]"#), ("b", #""just text""#), ("c", "7")] {
      try add(name + ".png", "one", try encodePNG(testPicture(1)))
      try write(Array(json.utf8), to: folder("in/\(name).json"))
    }
    _ = try await prepare("kept")
    let descriptions = try samples("kept").map { String(decoding: $0["json"] ?? [], as: UTF8.self) }
    #expect(descriptions.count == 3)
    for (description, json) in zip(descriptions, [#"[{"caption":"D"}]"#, #""just text""#, "7"]) {
      #expect(description.contains(#""metadata":{"json":\#(json)}"#), "\(description)")
    }
  }

  @Test func duplicatesAreLeftOut() async throws {
    let picture = testPicture(1, width: 200, height: 200)
    let png = try encodePNG(picture)
    try add("a.png", "one", png)
    try add("b.png", "two", png)
    try add("c.jpg", "three", try encodeJPEG(picture, quality: 40))
    try add("d.png", "four", try encodePNG(testPicture(2)))
    #expect(try await prepare("all") == ["": 4])
    let exact = try await prepare("exact") { $0.filters.exactDuplicates = true }
    #expect(exact == ["": 3, "duplicate": 1])
    let near = try await prepare("near") {
      $0.filters.exactDuplicates = true
      $0.filters.nearDuplicates = FilterSettings.nearDistance
    }
    #expect(near == ["": 2, "duplicate": 1, "near-duplicate": 1])
    // Another run, a list of checksums, the image itself, shards.
    let list = "\(try FileHash.of(folder("in/d.png")))  d.png\n"
    try write(Array(list.utf8), to: folder("sums.txt"))
    let old = String(repeating: "0", count: 64) + "\r\r" + list.replacing("\n", with: "\r")
    try write(Array(old.utf8), to: folder("old.txt"))
    for excluded in [folder("sums.txt"), folder("old.txt"), folder("in/d.png")] {
      let drops = try await prepare(
        "without-" + (excluded as NSString).lastPathComponent
      ) { $0.excluded = [excluded] }
      #expect(drops == ["": 3, "excluded": 1])
    }
    for excluded in [folder("near"), folder("near/shard-000000.tar")] {
      let drops = try await prepare("not-" + (excluded as NSString).lastPathComponent) {
        $0.excluded = [excluded]
      }
      #expect(drops == ["excluded": 3, "excluded-near": 1, "": 0])
    }
  }

  /// Two images are near duplicates exactly if their hashes differ in at most as many bits as
  /// allowed.
  @Test func nearDuplicatesHaveAThreshold() async throws {
    let picture = testPicture(1, width: 200, height: 200)
    // A dark corner that grows until some bits have changed.
    let changed = try #require(
      (1..<100).lazy.map { side in
        PixelImage(
          width: 200, height: 200,
          pixels: picture.pixels.enumerated().map { place, value in
            place / 600 < side && place / 3 % 200 < side ? 0 : value
          })
      }.first { (2...15).contains(Self.distance($0, picture)) })
    let distance = Self.distance(changed, picture)
    try add("a.png", "", encodePNG(picture))
    try add("b.png", "", encodePNG(changed))
    let at = try await prepare("at") { $0.filters.nearDuplicates = distance }
    #expect(at == ["": 1, "near-duplicate": 1])
    let below = try await prepare("below") { $0.filters.nearDuplicates = distance - 1 }
    #expect(below == ["": 2])
  }

  private static func distance(_ a: PixelImage, _ b: PixelImage) -> Int {
    PerceptualHash.distance(PerceptualHash.of(a), PerceptualHash.of(b))
  }

  /// The same bytes for any number of threads; the index contains the shards' checksums.
  @Test func outputsAreDeterministic() async throws {
    for number in 0..<23 {
      try add("\(number).jpg", "photo \(number)", try encodeJPEG(testPicture(number), quality: 80))
    }
    var found: [[String: [UInt8]]] = []
    for threads in [1, 4] {
      _ = try await prepare("t\(threads)", { $0.samplesPerShard = 5 }, threads: threads)
      found.append(try folder.contents("t\(threads)"))
    }
    #expect(found[0] == found[1])
    #expect(found[0].keys.count { $0.hasPrefix("shard-") } == 5)
    let index = String(decoding: found[0]["index.json"] ?? [], as: UTF8.self)
    for name in found[0].keys where name.hasSuffix(".tar") {
      #expect(index.contains(try FileHash.of(folder("t1/" + name))))
    }
    #expect(
      try samples("t1").map { $0["txt"].map { String(decoding: $0, as: UTF8.self) } }.count == 23)
  }

  private struct Stop: Error {}

  /// A run that stops anywhere resumes after its last commit and gives the same files; duplicates
  /// of images from before are still found.
  @Test func stoppedRunsGoOn() async throws {
    for number in 0..<12 {
      try add("\(number).jpg", "photo", try encodeJPEG(testPicture(number), quality: 80))
    }
    let names = (0..<40).map { "\(($0 * 5) % 12).jpg" } + ["missing.jpg"]
    let lines = names.map { "a photo of something\tin/\($0)\n" }
    try write(Array(lines.joined().utf8), to: folder("t.tsv"))
    var settings = PreparationSettings(sources: [folder("t.tsv")], filters: FilterSettings(.none))
    settings.filters.exactDuplicates = true
    settings.filters.nearDuplicates = 2
    settings.samplesPerShard = 5
    let job = try Preparation(settings, threads: 2)
    func run(_ output: String, _ start: JobStart, stop: Int? = nil) async throws -> Int {
      try await job.run(
        folder(output), start: start, rowsPerCommit: 3,
        progress: { rows in if rows == stop { throw Stop() } }
      ).resumed
    }
    #expect(try await run("whole", .fresh) == 0)
    let whole = try folder.contents("whole")
    #expect(whole.count == 3 + 3)
    for stop in [1, 3, 5, 7, 12, 16, 30, 41] {
      await #expect(throws: Stop.self) { try await run("again", .restarting, stop: stop) }
      await #expect(throws: DVAEError.self) { try await run("again", .fresh) }
      #expect(try await run("again", .resuming) == stop / 3 * 3)
      #expect(try folder.contents("again") == whole, "stopped after \(stop)")
      try FileManager.default.removeItem(atPath: folder("again"))
    }
  }

  /// A number of the state that is not the one written would lose rows or samples.
  @Test func changedStatesAreRefused() async throws {
    let run = try photosJob()
    await #expect(throws: Stop.self) { try await run(.fresh, 3) }
    let path = folder("out.partial/state.json")
    let state = try bytes(path)
    for name in ["rows", "samples", "sampleBytes", "entered", "left", "bytes"] {
      for value in ["-1", "0", "2", "100000", "9223372036854775807", "1e400", "NaN"] {
        let changed = try String(decoding: state, as: UTF8.self)
          .replacing(Regex("\"\(name)\":[0-9]+"), with: "\"\(name)\":\(value)")
        try write(Array(changed.utf8), to: path)
        let error = await #expect(throws: DVAEError.self) { try await run(.resuming, nil) }
        #expect(error?.code == .startOver, "\(name): \(value)")
      }
    }
    try write(state, to: path)
    // Neither are bytes that the state vouches for.
    for name in ["shard-000000.tar", "samples.jsonl"] {
      let path = folder("out.partial/" + name)
      let written = try bytes(path)
      for position in stride(from: 0, to: written.count, by: written.count / 9) {
        var changed = written
        changed[position] ^= 1
        try write(changed, to: path)
        let error = await #expect(throws: DVAEError.self) { try await run(.resuming, nil) }
        #expect(error?.code == .startOver && error?.file == path, "\(name): \(position)")
      }
      try write(written, to: path)
    }
    try await run(.resuming, nil)
    #expect(try samples("out").count == 4)
  }

  /// The index would count finished shards that are gone or cut.
  @Test func finishedShardsAreStillThere() async throws {
    let run = try photosJob { $0.samplesPerShard = 1 }
    await #expect(throws: Stop.self) { try await run(.fresh, 3) }
    let shard = folder("out.partial/shard-000000.tar")
    let written = try bytes(shard)
    try FileManager.default.removeItem(atPath: shard)
    for changed in [nil, [], Array(written.dropLast())] {
      if let changed { try write(changed, to: shard) }
      let error = await #expect(throws: DVAEError.self) { try await run(.resuming, nil) }
      #expect(error?.code == .startOver && error?.file == shard)
    }
    try write(written, to: shard)
    try await run(.resuming, nil)
    #expect(try samples("out").count == 4)
    // Neither does the index of a finished output make up for one.
    let finished = folder("out/shard-000002.tar")
    try FileManager.default.removeItem(atPath: finished)
    var settings = PreparationSettings(sources: [folder("in")], filters: FilterSettings(.none))
    settings.samplesPerShard = 1
    let job = try Preparation(settings, threads: 1)
    let error = #expect(throws: DVAEError.self) { try job.finished(folder("out")) }
    #expect(error?.file == finished && error?.problem.contains("found none") == true)
    #expect(try job.finished(folder("out"), replaceable: true) == nil)
  }

  /// A file that has got the name of the next shard is replaced by it, not continued.
  @Test func shardsReplaceFilesOfTheirNames() async throws {
    _ = try photosJob()
    var settings = PreparationSettings(sources: [folder("in")], filters: FilterSettings(.none))
    settings.samplesPerShard = 1
    let job = try Preparation(settings, threads: 1)
    let next = folder("out.partial/shard-000001.tar")
    _ = try await job.run(
      folder("out"),
      progress: { rows in
        if rows == 1 { try write([UInt8](repeating: 7, count: 100_000), to: next) }
      })
    #expect(try samples("out").count == 4)
    #expect(try bytes(folder("out/shard-000001.tar")).count < 100_000)
  }

  /// A state that cannot be read is not none: the rows would be read again over the samples.
  @Test func aStateBehindABrokenLinkIsNotNone() async throws {
    let run = try photosJob()
    await #expect(throws: Stop.self) { try await run(.fresh, 3) }
    let samples = try bytes(folder("out.partial/samples.jsonl"))
    try FileManager.default.removeItem(atPath: folder("out.partial/state.json"))
    try FileManager.default.createSymbolicLink(
      atPath: folder("out.partial/state.json"), withDestinationPath: folder("nothing"))
    let error = await #expect(throws: DVAEError.self) { try await run(.resuming, nil) }
    #expect(error?.problem == "is a link to a file that does not exist")
    #expect(try bytes(folder("out.partial/samples.jsonl")) == samples)
  }

  /// Advice to continue it would be wrong while another process does.
  @Test func anOutputInUseIsNotCalledUnfinished() async throws {
    let run = try photosJob()
    await #expect(throws: Stop.self) { try await run(.fresh, 2) }
    var writer: OutputFile? = try OutputFile(
      folder("out.partial/samples.jsonl"), emptied: false, locked: true)
    #expect(writer != nil)
    for start in [JobStart.fresh, .resuming, .restarting] {
      let error = await #expect(throws: DVAEError.self) { try await run(start, nil) }
      #expect(error?.code == .inUse, "\(start)")
    }
    writer = nil
    let error = await #expect(throws: DVAEError.self) { try await run(.fresh, nil) }
    #expect(error?.code == .unfinished)
  }

  /// A run resumes only if its sources are unchanged, because rows are counted.
  @Test func changedSourcesAreNotResumed() async throws {
    let table = (0..<4).map { "a photo\tin/\($0).jpg\n" }.joined()
    try write(Array(table.utf8), to: folder("t.tsv"))
    let run = try photosJob { $0.sources.append(folder("t.tsv")) }
    func isRefused(_ path: String) async {
      let error = await #expect(throws: DVAEError.self) { try await run(.resuming, nil) }
      #expect(error?.kind == .usage)
      #expect(error?.description.hasPrefix(path + ": has changed") == true)
      #expect(error?.code == .startOver)
    }
    await #expect(throws: Stop.self) { try await run(.fresh, 2) }
    try add("new.jpg", "photo", try encodeJPEG(testPicture(9), quality: 80))
    await isRefused(folder("in"))
    for name in ["new.jpg", "new.txt"] {
      try FileManager.default.removeItem(atPath: folder("in/" + name))
    }
    try write(Array(("a photo\tin/3.jpg\n" + table).utf8), to: folder("t.tsv"))
    await isRefused(folder("t.tsv"))
    await #expect(throws: Stop.self) { try await run(.restarting, 2) }
    try write(Array("phot".utf8), to: folder("in/3.txt"))
    await isRefused(folder("in"))
    try write(Array("photo".utf8), to: folder("in/3.txt"))
    // The samples name their sources as they are given.
    let respelt = try photosJob { $0.sources = [folder("./in"), folder("t.tsv")] }
    let error = await #expect(throws: DVAEError.self) { try await respelt(.resuming, nil) }
    #expect(
      error?.problem.hasSuffix("the sources \(folder("in")), \(folder("t.tsv")), spelled so")
        == true)
    try await run(.resuming, nil)
    #expect(try samples("out").count == 9)
  }

  /// The content of a file that is not an image does not appear in the output.
  @Test func contentsOfOtherFilesAreNotShown() async throws {
    try add("a.jpg", "", Array("root:x:0:0:secret".utf8))
    try add("b.png", "", encodePNG(testPicture(1)))
    #expect(try await prepare("out") == ["": 1, "not-an-image": 1])
    let funnel = try String(decoding: bytes(folder("out/funnel.json")), as: UTF8.self)
    #expect(funnel.contains("found text") && !funnel.contains("root:"))
  }
}
