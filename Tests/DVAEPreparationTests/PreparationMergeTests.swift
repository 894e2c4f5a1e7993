import DVAEFiles
import DVAEImages
import DVAEPreparation
import DVAETensors
import DVAETestSupport
import Foundation
import Testing

/// Merging the shards of a job.
@Suite struct PreparationMergeTests {
  let folder = TemporaryFolder()

  /// Makes rows with every outcome: exact and near duplicates, one near a dropped image, captions
  /// of several lines and too short, files that are not images, and a missing source in between.
  private func makeSources() throws -> PreparationSettings {
    let chain = try Self.chain()
    for (name, picture) in chain.enumerated() {
      try write(encodePNG(picture), to: folder("chain-\(name).png"))
    }
    for number in 0..<6 {
      try write(encodeJPEG(testPicture(number), quality: 85), to: folder("\(number).jpg"))
      try write(encodeJPEG(testPicture(number), quality: 60), to: folder("\(number)-poor.jpg"))
    }
    try write(Array("text".utf8), to: folder("text.jpg"))
    var rows: [String] = []
    for round in 0..<3 {
      for number in 0..<6 {
        rows.append("a photo of \(number)\n in  round \(round)\t\(number).jpg")
        rows.append("a poor copy of \(number)\t\((number + round) % 6)-poor.jpg")
      }
      rows += [
        "short\t0.jpg", "nothing is there\tmissing-\(round).jpg", "no image at all\ttext.jpg",
        "the chain \(round)\tchain-\((round + 1) % 3).png",
        "outside of everything\t../elsewhere.jpg",
      ]
    }
    rows = rows.map { row in
      let fields = row.split(separator: "\t")
      return "\"\(fields[0])\"\t\(fields[1])"
    }
    let half = rows.count / 2
    try write(Array((rows[..<half].joined(separator: "\n") + "\n").utf8), to: folder("a.tsv"))
    try write(Array(repeating: 7, count: 2048), to: folder("junk.tar"))
    try write(Array((rows[half...].joined(separator: "\n") + "\n").utf8), to: folder("b.tsv"))
    var settings = PreparationSettings(
      sources: ["a.tsv", "junk.tar", "b.tsv"].map { folder($0) }, filters: FilterSettings(.none))
    settings.filters.minWords = 2
    settings.filters.exactDuplicates = true
    settings.filters.nearDuplicates = Self.distance
    settings.samplesPerShard = 3
    return settings
  }

  private static let distance = 4

  /// Returns three images, each near the next, the first not near the last.
  private static func chain() throws -> [PixelImage] {
    let picture = testPicture(77, width: 200, height: 200)
    let darker = (0..<200).map { side in
      PixelImage(
        width: 200, height: 200,
        pixels: picture.pixels.enumerated().map { place, value in
          place / 600 < side && place / 3 % 200 < side ? 0 : value
        })
    }
    func isNear(_ a: PixelImage, _ b: PixelImage) -> Bool {
      PerceptualHash.distance(PerceptualHash.of(a), PerceptualHash.of(b)) <= distance
    }
    let middle = try #require(darker.last { isNear($0, picture) })
    let last = try #require(darker.first { !isNear($0, picture) && isNear($0, middle) })
    return [picture, middle, last]
  }

  private func make(
    _ settings: PreparationSettings, _ shard: Shard, in name: String
  ) async throws -> String {
    let path = folder(name)
    _ = try await Preparation(settings, shard: shard, threads: 2)
      .run(path, progress: { _ in }, page: Self.page)
    return path
  }

  private func parts(
    _ settings: PreparationSettings, of count: Int, in name: String
  ) async throws -> [String] {
    var paths: [String] = []
    for index in 0..<count {
      paths.append(
        try await make(settings, #require(Shard(index, of: count)), in: "\(name)-\(index)"))
    }
    return paths
  }

  /// A part whose only server is gone is told, but does not keep the others from being merged.
  @Test func partsThatReachNoServerAreMerged() async throws {
    for number in 0..<2 {
      try write(encodeJPEG(testPicture(number), quality: 85), to: folder("\(number).jpg"))
    }
    try write(
      Array("a\t0.jpg\nb\t1.jpg\nc\thttp://127.0.0.1:1/c.jpg\n".utf8), to: folder("t.tsv"))
    var settings = PreparationSettings(sources: [folder("t.tsv")], filters: FilterSettings(.none))
    settings.source.captionColumn = "1"
    settings.source.imageColumn = "2"
    var fetch = FetchSettings()
    (fetch.allowPrivate, fetch.retries) = (true, 0)
    func run(
      _ shard: Shard, _ name: String, _ start: JobStart = .fresh
    ) async throws -> DVAEError? {
      let job = try Preparation(settings, shard: shard, fetch: fetch, threads: 1)
      return try await job.run(
        folder(name), start: start, progress: { _ in }, page: Self.page
      ).funnel.unreachable
    }
    #expect(try await run(.whole, "whole") != nil)
    for index in 0..<2 {
      #expect(try await run(#require(Shard(index, of: 3)), "part-\(index)") == nil)
    }
    let last = try #require(Shard(2, of: 3))
    for start in [JobStart.fresh, .resuming] {
      let error = try await run(last, "part-2", start)
      #expect(error?.kind == .inputOutput && error?.problem.contains("no-connection") == true)
      // Times would make two reports differ.
      #expect(error?.problem.contains(" after ") == false)
      // It counts as unfinished only for another try.
      let job = try Preparation(settings, shard: last, fetch: fetch, threads: 1)
      #expect(try job.finished(folder("part-2")) == nil)
    }
    let merge = try PreparationMerge((0..<3).map { folder("part-\($0)") })
    let merged = try merge.run(folder("merged"), progress: { _ in }, page: Self.page)
    #expect(merged.funnel.unreachable != nil)
    #expect(try folder.contents("merged") == folder.contents("whole"))
  }

  private static func page(_ funnel: Funnel) -> String { "\(funnel.left)" }

  /// Parts of any number, given in any order, become the files of one run.
  ///
  /// Samples, the funnel with its examples and the index are the same. With more parts than rows, some are empty.
  @Test(arguments: [2, 4, 7, 64]) func partsBecomeTheWhole(_ count: Int) async throws {
    var settings = try makeSources()
    // An excluded image, and with it those near it.
    try write(
      Array("\(FileHash.of(folder("5.jpg")))  x\n".utf8), to: folder("excluded.txt"))
    settings.excluded = [folder("excluded.txt")]
    _ = try await make(settings, .whole, in: "whole")
    let whole = try folder.contents("whole")
    let funnel = try JSONDecoder().decode(
      Funnel.self, from: Data(try #require(whole["funnel.json"])))
    let drops = Dictionary(
      uniqueKeysWithValues: funnel.stages.flatMap(\.drops).map { ($0.reason, $0.count) })
    #expect(drops["excluded"] == 3 && drops["unreadable-source"] == 1, "\(drops)")
    #expect((drops["duplicate"] ?? 0) > 5 && (drops["near-duplicate"] ?? 0) > 5, "\(drops)")
    let paths = try await parts(settings, of: count, in: "part")
    let merge = try PreparationMerge(paths.shuffled())
    let summary = try merge.run(folder("merged"), progress: { _ in }, page: Self.page)
    #expect(summary.funnel == funnel)
    let merged = try folder.contents("merged")
    #expect(merged.keys.sorted() == whole.keys.sorted())
    for (name, bytes) in whole { #expect(merged[name] == bytes, "\(name)") }
    #expect(try merge.finished(folder("whole")) == funnel)
  }

  /// Duplicate filters alone and together, and a limit.
  @Test(arguments: [(true, nil), (false, 4), (false, nil), (true, 0)] as [(Bool, Int?)])
  func everySettingOfDuplicatesIsMerged(_ exact: Bool, _ near: Int?) async throws {
    var settings = try makeSources()
    settings.filters.exactDuplicates = exact
    settings.filters.nearDuplicates = near
    settings.limit = 29
    _ = try await make(settings, .whole, in: "whole")
    let merge = try PreparationMerge(try await parts(settings, of: 3, in: "part"))
    _ = try merge.run(folder("merged"), progress: { _ in }, page: Self.page)
    #expect(try folder.contents("merged") == folder.contents("whole"))
  }

  private struct Stop: Error {}

  /// A merge that stops anywhere resumes after its last commit and gives the same files.
  @Test func stoppedMergesGoOn() async throws {
    let settings = try makeSources()
    let paths = try await parts(settings, of: 3, in: "part")
    let merge = try PreparationMerge(paths)
    func run(_ name: String, _ start: JobStart, stop: Int? = nil) throws -> Int {
      try merge.run(
        folder(name), start: start, samplesPerCommit: 4,
        progress: { if $0 == stop { throw Stop() } }
      ).resumed
    }
    _ = try run("whole", .fresh)
    let whole = try folder.contents("whole")
    #expect(merge.count > 25)
    for stop in [1, 4, 6, 11, 17, merge.count] {
      #expect(throws: Stop.self) { try run("again", .restarting, stop: stop) }
      let error = #expect(throws: DVAEError.self) { try run("again", .fresh) }
      #expect(error?.code == .unfinished)
      #expect(try run("again", .resuming) == stop / 4 * 4)
      #expect(try folder.contents("again") == whole, "stopped after \(stop)")
      try FileManager.default.removeItem(atPath: folder("again"))
    }
    // A shard cannot be resumed as another or as the complete job.
    let job = try Preparation(settings, shard: #require(Shard(1, of: 3)), threads: 1)
    await #expect(throws: Stop.self) {
      try await job.run(folder("x"), rowsPerCommit: 1) { rows in if rows == 3 { throw Stop() } }
    }
    for other in [Shard(2, of: 3), Shard(1, of: 4), .whole] {
      let other = try Preparation(settings, shard: #require(other), threads: 1)
      let error = await #expect(throws: DVAEError.self) {
        try await other.run(folder("x"), start: .resuming, progress: { _ in })
      }
      #expect(error?.code == .startOver)
    }
    _ = try await job.run(folder("x"), start: .resuming, progress: { _ in }, page: Self.page)
    #expect(try folder.contents("x") == folder.contents("part-1"))
  }

  /// The images that are excluded belong to the job, not only the names of their lists.
  @Test func otherExcludedImagesMakeAnotherJob() async throws {
    var settings = try makeSources()
    settings.excluded = [folder("excluded.txt")]
    func exclude(_ name: String) throws {
      try write(Array(FileHash.of(folder(name)).utf8), to: folder("excluded.txt"))
    }
    try exclude("5.jpg")
    let job = try Preparation(settings, threads: 1)
    await #expect(throws: Stop.self) {
      try await job.run(folder("x"), rowsPerCommit: 1) { rows in if rows == 3 { throw Stop() } }
    }
    let first = try await parts(settings, of: 2, in: "part")[0]
    try exclude("4.jpg")
    let error = await #expect(throws: DVAEError.self) {
      try await job.run(folder("x"), start: .resuming, progress: { _ in })
    }
    #expect(error?.code == .startOver && "\(error as Any)".contains("excluded other images"))
    let second = try await parts(settings, of: 2, in: "other")[1]
    #expect(refusal([first, second]).contains("excluded images are others"))
    // The list may have another name on another machine.
    try exclude("5.jpg")
    try FileManager.default.moveItem(atPath: folder("excluded.txt"), toPath: folder("moved.txt"))
    settings.excluded = [folder("moved.txt")]
    let third = try await parts(settings, of: 2, in: "moved")[1]
    #expect(try PreparationMerge([first, third]).count > 0)
    try exclude("5.jpg")
    let summary = try await job.run(folder("x"), start: .resuming, progress: { _ in })
    let drops = summary.funnel.stages.flatMap(\.drops)
    #expect(drops.first { $0.reason == "excluded" }?.rule?.hasPrefix("none of 1 excluded") == true)
  }

  private func refusal(_ paths: [String]) -> String {
    let error = #expect(throws: DVAEError.self) { try PreparationMerge(paths) }
    return error?.description ?? ""
  }

  @Test func partsThatDoNotBelongTogetherAreNamed() async throws {
    let settings = try makeSources()
    let paths = try await parts(settings, of: 3, in: "part")
    #expect(refusal([paths[2]]).contains("expected all 3 parts, found 1, without 0/3, 1/3"))
    #expect(refusal([paths[0], paths[2], folder("nothing")]).contains("nothing"))
    let copy = folder("copy")
    try FileManager.default.copyItem(atPath: paths[1], toPath: copy)
    let twice = refusal([paths[0], paths[1], copy, paths[2]])
    #expect(
      twice.contains("is part 1/3, as is") && twice.contains(copy) && twice.contains(paths[1]))
    let quarter = try await make(settings, #require(Shard(1, of: 4)), in: "quarter")
    #expect(refusal([paths[0], quarter]).contains("is one of 4 parts, not of 3"))
    var other = settings
    other.filters.minWords = 3
    other.image.maxSide = 100
    let strict = try await make(other, #require(Shard(1, of: 3)), in: "strict")
    let difference = refusal([paths[0], strict, paths[2]])
    #expect(difference.contains("another filters.min_words, image."), "\(difference)")
    let whole = try await make(settings, .whole, in: "whole")
    #expect(refusal([whole]).contains("is the output of a whole job"))
    #expect(refusal([folder.path]).contains("is not prepared data"))
    #expect(refusal([]) == "no part is given")
  }

  @Test func unfinishedPartsAreRefused() async throws {
    let settings = try makeSources()
    var paths = try await parts(settings, of: 2, in: "part")
    let job = try Preparation(settings, shard: #require(Shard(1, of: 2)), threads: 1)
    await #expect(throws: Stop.self) {
      try await job.run(folder("new"), rowsPerCommit: 1) { rows in if rows == 3 { throw Stop() }
      }
    }
    for path in [folder("new"), folder("new.partial"), folder("new/")] {
      let text = refusal([paths[0], path])
      #expect(text.hasPrefix(folder("new.partial") + ": this part is not finished"), "\(text)")
    }
    // The sources have changed between two shards: rows would be lost or repeated.
    _ = try await job.run(folder("new"), start: .resuming, progress: { _ in })
    try write(bytes(folder("a.tsv")) + Array("one more row\t3.jpg\n".utf8), to: folder("a.tsv"))
    paths[1] = try await make(settings, #require(Shard(1, of: 2)), in: "late")
    let text = refusal(paths)
    #expect(text.contains("its sources had 53 rows, not 52"), "\(text)")
  }

  /// Bytes that do not match the index, and contradictory indices.
  @Test func damagedPartsAreRefused() async throws {
    let settings = try makeSources()
    let paths = try await parts(settings, of: 2, in: "part")
    func isDamaged(_ file: String, _ change: (inout [UInt8]) -> Void) throws {
      let path = paths[1] + "/" + file
      let original = try bytes(path)
      var changed = original
      change(&changed)
      #expect(changed != original)
      try write(changed, to: path)
      let error = #expect(throws: DVAEError.self, "\(file)") {
        try PreparationMerge(paths).run(
          folder("merged"), start: .restarting, progress: { _ in }, page: Self.page)
      }
      #expect(error?.kind == .badData && error?.file?.hasPrefix(paths[1]) == true, "\(file)")
      try write(original, to: path)
    }
    func replace(_ text: String, _ other: String) -> (inout [UInt8]) -> Void {
      { $0 = Array(String(decoding: $0, as: UTF8.self).replacing(text, with: other).utf8) }
    }
    try isDamaged("shard-000001.tar") { $0[700] ^= 1 }
    try isDamaged("shard-000001.tar") { $0.removeLast(512) }
    try isDamaged("samples.jsonl") { $0.removeLast(200) }
    try isDamaged("samples.jsonl", replace("000000001", "000000007"))
    try isDamaged("samples.jsonl", replace("\"phash\":\"", "\"phash\":\"x"))
    try isDamaged("samples.jsonl") { list in
      // A hash of another image hides a duplicate.
      guard let quote = list.lastIndex(of: UInt8(ascii: "\"")) else { return }
      list[quote - 1] = list[quote - 1] == UInt8(ascii: "0") ? UInt8(ascii: "1") : UInt8(ascii: "0")
    }
    try isDamaged("index.json", replace("\"rows\" : 52", "\"rows\" : -52"))
    try isDamaged("index.json", replace("\"rows\" : 52", "\"rows\" : \(Int.max)"))
    try isDamaged("index.json", replace("\"index\" : 1", "\"index\" : 2"))
    // A name that leads out of the folder, here back into it.
    let outside = "../\(Path(paths[1]).name)/shard-000000.tar"
    try isDamaged("index.json", replace("\"shard-000000.tar\"", "\"\(outside)\""))
    try isDamaged("index.json", replace("\"samples\" : 3", "\"samples\" : -3"))
    try isDamaged("funnel.json", replace("\"entered\" : 2", "\"entered\" : 9"))
    try isDamaged("funnel.json", replace("\"count\" : ", "\"count\" : -"))
    _ = try PreparationMerge(paths).run(
      folder("merged"), start: .restarting, progress: { _ in }, page: Self.page)
  }

  /// An output in place of a shard, in one, or around one would destroy it.
  @Test func partsAreNotReplaced() async throws {
    let settings = try makeSources()
    _ = try await make(settings, .whole, in: "whole")
    let first = try await make(settings, #require(Shard(0, of: 2)), in: "whole/first")
    let second = try await make(settings, #require(Shard(1, of: 2)), in: "second")
    let merge = try PreparationMerge([first, second])
    for path in [second, second + "/merged", folder("whole")] {
      let error = #expect(throws: DVAEError.self) {
        try merge.run(path, replacing: true, progress: { _ in })
      }
      #expect(error?.kind == .usage, "\(path)")
    }
    #expect(FileManager.default.fileExists(atPath: first))
  }
}
