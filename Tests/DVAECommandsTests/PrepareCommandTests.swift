import DVAETestSupport
import DVAEFiles
import DVAEKit
import DVAEPreparation
import Foundation
import DVAEImages
import Testing

@Suite struct PrepareCommandTests {
  let folder = TemporaryFolder()

  private func table(_ captions: [String]) throws {
    for (number, _) in captions.enumerated() {
      let image = testPicture(number, width: 300, height: 256)
      try write(encodeJPEG(image, quality: 80), to: folder("\(number).jpg"))
    }
    let lines = captions.enumerated().map { "\($1)\t\($0).jpg\n" }
    try write(Array(lines.joined().utf8), to: folder("t.tsv"))
  }

  @Test func aTableBecomesShards() async throws {
    try table(["a dog on a beach", "IMG_1234.JPG taken 2012-05-03", "car", "a cat in the sun"])
    let run = await dvae("prepare", folder("t.tsv"), "--output", folder("out"))
    #expect(run.status == 0, "\(run.errors)")
    #expect(run.output.contains("2 of 4 pairs") && run.output.contains("1 boilerplate"))
    let page = try String(decoding: bytes(folder("out/funnel.html")), as: UTF8.self)
    #expect(page.contains("2 of 4 pairs") && page.contains("IMG_1234.JPG"))
    #expect(!page.contains("http"))
    let again = await dvae("prepare", folder("t.tsv"), "--output", folder("out"), "--resume")
    #expect(again.status == 0 && again.errors.contains("complete already"))
    let other = await dvae(
      "prepare", folder("t.tsv"), "--output", folder("out"), "--resume", "--min-words", "4")
    #expect(other.status == 73)
    #expect(await dvae("prepare", folder("t.tsv"), "--output", folder("out")).status == 73)
  }

  /// The second process waits for the lock of the first, which finishes the output in the meantime.
  @Test func aSecondProcessFindsTheFinishedOutput() async throws {
    try table(["a dog on a beach"])
    let arguments = ["prepare", folder("t.tsv"), "--output", folder("out")]
    #expect(await dvae(arguments).status == 0)
    for (option, status) in [("--resume", 0), ("--restart", 73)] as [(String, Int32)] {
      try FileManager.default.moveItem(atPath: folder("out"), toPath: folder("out.partial"))
      try write([], to: folder("out.partial/state.json"))
      var lock: OutputFile? = try OutputFile(
        folder("out.partial/samples.jsonl"), emptied: false, locked: true)
      async let second = dvae(arguments + [option])
      try await Task.sleep(for: .milliseconds(200))
      try FileManager.default.removeItem(atPath: folder("out.partial/state.json"))
      try FileManager.default.moveItem(atPath: folder("out.partial"), toPath: folder("out"))
      if lock != nil { lock = nil }
      var run = await second
      // On a slow machine its patience may end first.
      if run.errors.contains("another run is writing") { run = await dvae(arguments + [option]) }
      #expect(run.status == status, "\(option): \(run.errors)")
      #expect(run.errors.contains(status == 0 ? "is complete already" : "already exists"))
      #expect(!FileManager.default.fileExists(atPath: folder("out.partial")))
    }
  }

  @Test func flagsGoBeforeTheFileAndTheFileBeforeThePreset() async throws {
    try table(["a dog", "a dog on a beach", "a dog on a beach in summer"])
    try write(Array(#"{"min_words": 4, "min_side": 257}"#.utf8), to: folder("c.json"))
    let arguments = ["prepare", folder("t.tsv"), "--config", folder("c.json"), "--json"]
    let run = await dvae(arguments + ["--output", folder("a"), "--min-side", "off"])
    #expect(run.status == 0, "\(run.errors)")
    #expect(run.output.contains(#""min-words":1"#) && run.output.contains(#""samples":2"#))
    let strict = await dvae(arguments + ["--output", folder("b"), "--min-words", "6"])
    #expect(strict.output.contains(#""min-words":2"#) && strict.output.contains(#""min-side":1"#))
  }

  /// Every filter flag reaches its filter: the index contains exactly the given settings, and the
  /// help lists no unknown filter.
  @Test func everyFlagReachesItsFilter() async throws {
    // Other builds refuse it.
    let isNoun = GrammarCheck.isAvailable
    let flags: [(flag: String, value: String, key: String, json: JSONValue)] = [
      ("require-caption", "on", "require_caption", .bool(true)),
      ("min-words", "2", "min_words", .integer(2)), ("max-words", "77", "max_words", .integer(77)),
      ("language", "en", "language", .string("en")),
      ("max-boilerplate", "0.75", "max_boilerplate", .number(0.75)),
      ("crop-boilerplate", "on", "crop_boilerplate", .bool(true)),
      ("drop-boilerplate-ends", "on", "drop_boilerplate_ends", .bool(true)),
      ("min-unique", "0.125", "min_unique", .number(0.125)),
      ("max-repetition", "0.375", "max_repetition", .number(0.375)),
      ("max-capitals", "0.625", "max_capitals", .number(0.625)),
      ("require-capital", "on", "require_capital", .bool(true)),
      ("require-determiner", "on", "require_determiner", .bool(true)),
      ("require-preposition", "on", "require_preposition", .bool(true)),
      ("require-noun", isNoun ? "on" : "off", "require_noun", .bool(isNoun)),
      ("types", "png,webp", "types", .array([.string("png"), .string("webp")])),
      ("min-side", "33", "min_side", .integer(33)),
      ("max-aspect", "3.5", "max_aspect", .number(3.5)),
      ("exact-duplicates", "on", "exact_duplicates", .bool(true)),
      ("near-duplicates", "7", "near_duplicates", .integer(7)),
    ]
    try table(["A dog on a beach"])
    let run = await dvae(
      ["prepare", folder("t.tsv"), "--output", folder("out"), "--preset", "none"]
        + flags.flatMap { ["--" + $0.flag, $0.value] })
    #expect(run.status == 0, "\(run.errors)")
    let index = try JSONValue(parsing: bytes(folder("out/index.json")), path: "index.json")
    guard case .object(let top) = index, case .object(let settings)? = top["settings"] else {
      Issue.record("no settings")
      return
    }
    let expected = Dictionary(uniqueKeysWithValues: flags.map { (Key($0.key), $0.json) })
    #expect(settings["filters"] == .object(expected))
    let help = await dvae("prepare", "--help").output
    let start = try #require(help.range(of: "FILTERS:"))
    let end = try #require(help.range(of: "SOURCES:"))
    let listed = help[start.upperBound..<end.lowerBound].split(separator: "\n")
      .filter { $0.hasPrefix("  --") }.count
    // The preset and the file are not filters.
    #expect(listed == flags.count + 2)
  }

  /// A filter that does nothing would leave pairs that the user thinks are gone.
  @Test(.enabled(if: !GrammarCheck.isAvailable, "this build has the check for nouns"))
  func aFilterOfAnotherBuildIsRefused() async throws {
    try table(["A dog on a beach"])
    try write(Array(#"{"require_noun": true}"#.utf8), to: folder("n.json"))
    let arguments = ["prepare", folder("t.tsv"), "--output", folder("out")]
    for flags in [["--require-noun", "on"], ["--config", folder("n.json")]] {
      let run = await dvae(arguments + flags)
      #expect(run.status == 64 && run.errors.contains("PartOfSpeech"), "\(run.errors)")
      #expect(!FileManager.default.fileExists(atPath: folder("out")))
    }
    #expect(await dvae(arguments + ["--preset", "conceptual", "--min-side", "off"]).status == 0)
  }

  /// Three parts merged are the files of one run; `--merge` leaves no room for other settings.
  @Test func partsAreMerged() async throws {
    try table([
      "a dog on a beach", "a cat in the sun", "car", "a dog on a beach", "two dogs in snow",
    ])
    try write(bytes(folder("0.jpg")), to: folder("3.jpg"))
    let arguments = ["prepare", folder("t.tsv"), "--quiet", "--output"]
    #expect(await dvae(arguments + [folder("whole")]).status == 0)
    for index in 0..<3 {
      let run = await dvae(arguments + [folder("data"), "--shard", "\(index)/3"])
      #expect(run.status == 0, "\(run.errors)")
    }
    let parts = (0..<3).map { folder("data-\($0)-of-3") }
    let merge = ["prepare", "--merge", "--output", folder("data")]
    let missing = await dvae(merge + parts.dropLast())
    #expect(
      missing.status == 64 && missing.errors.contains("expected all 3 parts, found 2, without 2/3"))
    for flags in [
      ["--min-words", "4"], ["--min-words", "3"], ["--shard", "0/3"],
      ["--exclude", folder("0.jpg")], ["--preset=dalle"], ["--header", "auto"],
      ["--quality", "95"],
      ["--retries", "1"], ["--allow-private-addresses"], ["--samples-per-shard", "10000"],
    ] {
      let run = await dvae(merge + flags + parts)
      #expect(run.status == 64, "\(flags)")
      #expect(run.errors.contains(flags[0].prefix { $0 != "=" }), "\(run.errors)")
    }
    let run = await dvae(merge + parts)
    #expect(run.status == 0 && run.output.contains("3 of 5 pairs"), "\(run.errors)")
    for name in ["shard-000000.tar", "index.json", "funnel.json", "funnel.html", "samples.jsonl"] {
      #expect(try bytes(folder("data/\(name)")) == bytes(folder("whole/\(name)")), "\(name)")
    }
    #expect(await dvae(merge + parts).status == 73)
    let again = await dvae(merge + parts + ["--resume"])
    #expect(again.status == 0 && again.errors.contains("complete already"))
  }

  private static let wrongUsage: [([String], Int32)] = [
    (["--min-words", "few"], 64), (["--max-aspect", "0.5"], 64), (["--types", "gif"], 64),
    (["--max-aspect", "nan"], 64), (["--max-aspect", "inf"], 64), (["--min-unique", "nan"], 64),
    (["--max-words", "2"], 64),
    (["--config", "nothing.json"], 66), (["--exclude", "nothing.txt"], 66),
    (["--output", "out.tar"], 64),
    (["--format", "jsonl"], 65),
  ]

  @Test func wrongNumbersAreNamed() async throws {
    try table(["a dog on a beach"])
    let run = await dvae(
      "prepare", folder("t.tsv"), "--output", folder("out"), "--max-aspect", "nan")
    #expect(run.status == 64 && run.errors.contains("--max-aspect"), "\(run.errors)")
  }

  /// A job that can use nothing of its sources fails and leaves nothing.
  @Test(arguments: [
    ("caption\timage\n", "t.tsv", 66, "found none"), ("", "t.jsonl", 66, "found none"),
    ("[]", "t.json", 66, "found none"), ("{bad\n[1]\n", "t.jsonl", 65, "(2 malformed-row)"),
    (#"{"caption":"a dog","image":"gone.png"}"#, "t.jsonl", 66, "images are in (--images)"),
    (
      #"{"caption":"a dog","image":"http://127.0.0.1/"}"#, "t.jsonl", 66,
      "machine or of a private network (--allow-private-addresses)"
    ),
    (#"{"caption":"a dog","image":"t.jsonl"}"#, "t.jsonl", 65, "(1 not-an-image)"),
    ("0\n{\"caption\":\"a dog\",\"image\":\"t.jsonl\"}", "t.jsonl", 65, "images left of 2 rows"),
    ("SQLite format 3\0junk", "t.db", 65, "t.db"), ("BZh9junk", "t.tsv.bz2", 65, "t.tsv.bz2"),
  ])
  func sourcesOfNothingAreAFailure(_ text: String, _ name: String, _ status: Int32, _ told: String)
    async throws
  {
    try write(Array(text.utf8), to: folder(name))
    let header = name.hasPrefix("t.tsv") ? ["--header", "yes"] : []
    let run = await dvae(
      ["prepare", folder(name), "--output", folder("out"), "--preset", "none", "--quiet"]
        + ["--caption-column", "caption", "--image-column", "image"] + header)
    #expect(run.status == status && run.errors.contains(told), "\(run.errors)")
    #expect(run.errors.split(separator: "\n").count == 1, "\(run.errors)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [name])
  }

  /// Filters may drop every pair: the settings ask for it.
  @Test func filtersMayDropAll() async throws {
    try table(["a dog on a beach"])
    let run = await dvae(
      "prepare", folder("t.tsv"), "--output", folder("out"), "--min-words", "9")
    #expect(run.status == 0 && run.output.contains("0 of 1 pair"), "\(run.errors)")
  }

  /// A part may have no row, or none that can be used; of all parts together, some must be.
  @Test func aPartMayBeEmpty() async throws {
    try table(["a dog on a beach"])
    let image = #"{"caption":"a dog on a beach","image":"0.jpg"}"#
    let gone = #"{"caption":"a dog on a beach","image":"gone.jpg"}"#
    for (text, status) in [(image + "\n{bad\n", 0), (gone + "\n{bad\n", 66), ("{bad\n", 65)]
      as [(String, Int32)]
    {
      try write(Array(text.utf8), to: folder("t.jsonl"))
      for part in ["0/3", "1/3", "2/3"] {
        let run = await dvae(
          "prepare", folder("t.jsonl"), "--output", folder("out"), "--shard", part, "--overwrite")
        #expect(run.status == 0, "\(run.errors)")
      }
      let merged = await dvae(
        "prepare", "--merge", folder("out-0-of-3"), folder("out-1-of-3"), folder("out-2-of-3"),
        "--output", folder("all"), "--overwrite")
      #expect(merged.status == status, "\(merged.errors)")
    }
  }

  /// The folder behind a link is someone else's.
  @Test(arguments: ["--restart", "--resume"]) func linksInPlaceOfTheOutputAreRefused(
    _ option: String
  ) async throws {
    try table(["a dog on a beach"])
    try write([1], to: folder("precious/file"))
    try FileManager.default.createSymbolicLink(
      atPath: folder("out.partial"), withDestinationPath: folder("precious"))
    let run = await dvae("prepare", folder("t.tsv"), "--output", folder("out"), option)
    #expect(run.status == 73 && run.errors.contains("symbolic link"), "\(run.errors)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder("precious")) == ["file"])
  }

  /// Characters can have any number of combining marks.
  @Test func examplesAreShort() async throws {
    try table(["a dog on a beach", "b" + String(repeating: "\u{301}", count: 5000)])
    let run = await dvae("prepare", folder("t.tsv"), "--output", folder("out"), "--min-words", "3")
    #expect(run.status == 0, "\(run.errors)")
    let funnel = try JSONDecoder().decode(
      Funnel.self, from: Data(bytes(folder("out/funnel.json"))))
    let captions = funnel.stages.flatMap(\.drops).flatMap(\.examples).compactMap(\.caption)
    #expect(captions.map(\.unicodeScalars.count) == [301])
  }

  /// An unreadable source is reported once, with its name, and the others are processed.
  @Test func unreadableSourcesAreTold() async throws {
    try table(["a dog on a beach"])
    try write(Array(repeating: 7, count: 2048), to: folder("junk.tar"))
    let bzip2 = try bytes(Fixture.path("prepare/captions.tsv.bz2"))
    try write(Array(bzip2.dropLast(20)), to: folder("cut.csv.bz2"))
    // Refused when it is opened, in the middle of the job.
    try write(Array("SQLite format 3\0junk".utf8), to: folder("junk.db"))
    let arguments = [
      "prepare", folder("junk.tar"), folder("cut.csv.bz2"), folder("junk.db"), folder("t.tsv"),
      "--output", folder("out"), "--json",
    ]
    for flags in [[], ["--resume"]] {
      let run = await dvae(arguments + flags)
      #expect(run.status == 65, "\(run.errors)")
      #expect(run.output.contains(#""samples":1"#))
      for name in ["junk.tar: ", "cut.csv.bz2: ", "junk.db: "] {
        #expect(run.errors.components(separatedBy: folder(name)).count == 2, "\(run.errors)")
      }
      #expect(run.errors.contains("3 sources could not be read to the end"))
    }
    let funnel = try JSONDecoder().decode(
      Funnel.self, from: Data(bytes(folder("out/funnel.json"))))
    let origins = funnel.stages.flatMap(\.drops).first { $0.reason == "unreadable-source" }?
      .examples.map(\.origin)
    #expect(origins == [folder("junk.tar"), folder("cut.csv.bz2"), folder("junk.db")])
  }

  @Test(arguments: wrongUsage)
  func wrongUsageIsRefused(_ flags: [String], _ status: Int32) async throws {
    try table(["a dog on a beach"])
    let run = await dvae(["prepare", folder("t.tsv"), "--output", folder("out")] + flags)
    #expect(run.status == status, "\(run.errors)")
    let inside = await dvae("prepare", folder.path, "--output", folder("inside/out"))
    #expect(inside.status == 64 && inside.errors.contains("become inputs"))
    #expect(await dvae("prepare", folder("none.tsv"), "--output", folder("x")).status == 66)
  }
}

extension PrepareCommandTests {
  /// A kill while the first state is written.
  @Test func aJobWithoutStateIsContinued() async throws {
    try table(["a dog on a beach"])
    try write(Array("{".utf8), to: folder("out.partial/.state.json.partial"))
    try write([], to: folder("out.partial/samples.jsonl"))
    let run = await dvae("prepare", folder("t.tsv"), "--output", folder("out"), "--resume")
    #expect(run.status == 0, "\(run.errors)")
  }
}

/// The program itself, killed at many moments and resumed.
@Suite struct PrepareKillTests {
  let folder = TemporaryFolder()

  @Test func resumedRunsGiveTheSameFiles() throws {
    for number in 0..<30 {
      let image = testPicture(number, width: 500, height: 400)
      try write(encodeJPEG(image, quality: 90), to: folder("\(number).jpg"))
    }
    // Every image occurs several times, far apart: duplicates from before a kill are found after
    // it.
    let lines = (0..<160).map { "a dog number \($0) here\t\(($0 * 7) % 30).jpg\n" }
    try write(Array(lines.joined().utf8), to: folder("t.tsv"))
    let arguments = [
      "prepare", folder("t.tsv"), "--preset", "none", "--exact-duplicates", "on",
      "--samples-per-shard", "4", "--max-side", "450", "--output",
    ]
    let start = ContinuousClock.now
    #expect(try Program.run(arguments + [folder("whole")]).status == 0)
    let duration = (ContinuousClock.now - start) / .seconds(1)
    let whole = try folder.contents("whole")
    #expect(whole.count == 8 + 4)
    var resumed = 0
    for moment in 0..<6 {
      let output = "killed-\(moment)"
      let errors = Pipe()
      let process = try Program.launch(arguments + [folder(output)], errors: errors)
      if moment % 2 == 0 {
        Thread.sleep(forTimeInterval: duration * (Double(moment) + 0.5) / 6)
      } else {
        wait(forRows: 20 * moment, in: folder(output) + ".partial/state.json", while: process)
      }
      kill(process.processIdentifier, SIGKILL)
      _ = errors.fileHandleForReading.readDataToEndOfFile()
      process.waitUntilExit()
      guard process.terminationReason == .uncaughtSignal else { continue }
      let run = try Program.run(arguments + [folder(output), "--resume"])
      #expect(run.status == 0, "\(run.errors)")
      resumed += run.errors.contains("resumed after") ? 1 : 0
      #expect(try folder.contents(output) == whole, "killed at moment \(moment)")
    }
    #expect(resumed >= 1)
  }

  /// Returns when this many rows are committed, however slow the machine is.
  private func wait(forRows count: Int, in path: String, while process: Process) {
    while process.isRunning {
      let text = FileManager.default.contents(atPath: path).map {
        String(decoding: $0, as: UTF8.self)
      }
      let rows = text?.firstRange(of: "\"rows\":").flatMap { range in
        text.flatMap { Int($0[range.upperBound...].prefix(while: \.isNumber)) }
      }
      if let rows, rows >= count { return }
      Thread.sleep(forTimeInterval: 0.001)
    }
  }

  @Test func serversAreToldWhoAsks() async throws {
    let server = try LoopbackServer { _, _ in .init(status: "404 Not Found") }
    try write(Array("a caption\t\(server.base)/a\n".utf8), to: folder("t.tsv"))
    let run = await dvae(
      "prepare", folder("t.tsv"), "--output", folder("told"), "--preset", "none",
      "--allow-private-addresses", "--quiet")
    #expect(run.status == 66 && run.errors.contains("(1 http-404)"), "\(run.errors)")
    let agent = "swift-dvae/\(DVAE.version) (dvae prepare)"
    #expect(server.requests.map { $0.headers["user-agent"] } == [agent])
  }

  @Test func jobsWithoutPairsTellOfTheFilters() async {
    let run = await dvae("prepare", Fixture.images, "--output", folder("none"), "--quiet")
    #expect(run.status == 0 && run.output.contains("no-caption (NAME.txt"), "\(run.errors)")
    #expect(run.errors.contains("no pair is left") && run.errors.contains("--preset none"))
    let all = await dvae(
      "prepare", Fixture.images, "--output", folder("all"), "--preset", "none", "--quiet")
    #expect(all.status == 0 && all.errors.isEmpty, "\(all.errors)")
  }
}
