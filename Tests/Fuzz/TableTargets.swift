import DVAEFiles
import DVAEPreparation
import Foundation

extension Target {
  /// The sources of `dvae prepare`, its filters, and what it has written before.
  static let tables = [
    Target(
      "csv",
      texts(
        "caption,url,licence\n\"a \"\"b\"\"\nc\",http://a.example/1.jpg,cc\nd,e.png,\n",
        "a b,c.jpg\r\nd\re,f")
    ) { try rows($0, "fuzz.csv") },
    Target("tsv", texts("a caption\thttp://a.example/1.jpg\n\"b\n\"\tc.png\n")) {
      try rows($0, "fuzz.tsv")
    },
    Target(
      "jsonl",
      texts(
        #"{"caption":"a","url":"http://a.example/1.jpg","width":1}"#
          + "\n{\"text\":\"b\",\"path\":\"c.png\"}\n")
    ) { try rows($0, "fuzz.jsonl") },
    Target(
      "json-list",
      texts("\u{FEFF}[{\"caption\":\"a\",\"url\":\"b.jpg\"},\n{\"alt\":\"c\",\"image\":\"d\"}]")
    ) {
      try rows($0, "fuzz.json")
    },
    Target("yfcc", [yfcc]) { bytes in
      var settings = SourceSettings()
      settings.format = .yfcc
      settings.caption = .both
      try rows(bytes, "fuzz.yfcc", settings)
    },
    Target("yfcc-subset", texts("7\t123456\t0a1b2c3d4e5f60718293a4b5c6d7e8f9\n")) { bytes in
      var settings = SourceSettings()
      settings.format = .yfcc
      settings.layout = .multimediaCommons
      settings.images = folder
      settings.subset = try file(bytes, "subset.tsv")
      try rows(yfcc, "fuzz.yfcc", settings)
    },
    Target("bzip2", try fixtures("prepare", "csv.bz2")) {
      try rows($0, "fuzz.csv.bz2", count: .max)
    },
    Target("bzip2-list", try fixtures("prepare", "jsonl.bz2")) {
      try rows($0, "fuzz.json.bz2", count: .max)
    },
    Target("sqlite", try fixtures("prepare", ".sql", ".db")) { bytes in
      try rows(Array("SQLite format 3\0".utf8) + bytes.dropFirst(16), "fuzz.db", count: .max)
    },
    Target(
      "caption", texts("A <b>dog</b> &amp; a cat, http://a.example", "IMG_0001.JPG +%41%zz &#x41;")
    ) { bytes in
      let text = CaptionText.withoutAddresses(
        CaptionText.withoutMarkup(CaptionText.formDecoded(bytes)))
      for preset in FilterSettings.Preset.allCases {
        for text in [text, String(decoding: bytes, as: UTF8.self)] {
          do throws(Drop) { _ = try FilterSettings(preset).filtered(text) } catch {}
        }
      }
    },
    Target("filters", texts(#"{"min_words":3,"language":null,"max_aspect":2.5,"types":["png"]}"#)) {
      bytes in
      try FilterSettings(.dalle).overlaid(Data(bytes), path: "fuzz").validate()
    },
    Target(
      "exclusions",
      texts(String(repeating: "ab", count: 32) + "  a.jpg\n")
        + [
          Array(
            #"{"key":"a","shard":"b","source":"c","sha256":"\#(String(repeating: "01", count: 32))","phash":"0f"}"#
              .utf8)
        ]
    ) { bytes in
      var settings = try emptyJob()
      settings.excluded = [try file(bytes, "excluded.txt")]
      try run(settings)
    },
    Target("prepared-state", try stateSeeds()) { bytes in
      try FileSystem.makeFolders(folder + "/out.partial")
      _ = try writeFiles(
        bytes, ["state.json", "samples.jsonl", "shard-000000.tar"].map { "out.partial/" + $0 })
      // Nothing behind a wrong checksum would be reached.
      let state = try contents(folder + "/out.partial/state.json")
      let line = Array(state.prefix { $0 != UInt8(ascii: "\n") }) + [UInt8(ascii: "\n")]
      _ = try file(line + Array("\(FileHash.of(line))\n".utf8), "out.partial/state.json")
      try run(emptyJob(), .resuming)
    },
    Target("prepared-part", try partSeeds()) { bytes in
      let paths = ["one", "two"].map { folder + "/" + $0 }
      for path in paths { try FileSystem.makeFolders(path) }
      _ = try writeFiles(
        bytes,
        ["one", "two"].flatMap { part in
          ["index.json", "funnel.json", "samples.jsonl"].map { part + "/" + $0 }
        })
      try? FileManager.default.removeItem(atPath: folder + "/out")
      try? FileManager.default.removeItem(atPath: folder + "/out.partial")
      _ = try PreparationMerge(paths).run(folder + "/out", progress: { _ in })
    },
  ]

  /// Reads all rows of a source; `count` is the largest number of rows that it can have.
  private static func rows(
    _ bytes: [UInt8], _ name: String, _ settings: SourceSettings = SourceSettings(),
    count: Int? = nil
  ) throws {
    var sources = try Sources([file(bytes, name)], settings)
    var rest = count ?? bytes.count + 1
    while try sources.next() != nil {
      precondition(rest > 0, "more rows than bytes")
      rest -= 1
    }
  }

  /// A row of 25 fields.
  private static let yfcc = Array(
    ("7\t123456\t0a1b2c3d4e5f60718293a4b5c6d7e8f9\tu\tn\t2010-01-01\t1\tcamera\ta+title%21\tits <b>text</b>\t"
      + "tag\t\t1.5\t2.5\t16\thttp://a.example/p\thttp://a.example/i.jpg\tlicence\thttp://a.example/l\t1\t2\t"
      + "secret\toriginal\tjpg\t0\n").utf8)

  /// A job without rows; its source is an empty folder.
  private static func emptyJob() throws -> PreparationSettings {
    let source = folder + "/source"
    try FileSystem.makeFolders(source)
    return PreparationSettings(sources: [source], filters: FilterSettings(.none))
  }

  /// A part of a job, which may be without rows where a whole job must not.
  private static func job(_ settings: PreparationSettings) throws -> Preparation {
    try Preparation(settings, shard: Shard(0, of: 2) ?? .whole, threads: 1)
  }

  private static func run(_ settings: PreparationSettings, _ start: JobStart = .restarting) throws {
    try? FileManager.default.removeItem(atPath: folder + "/out")
    let job = try job(settings)
    _ = try waiting { try await job.run(folder + "/out", start: start, progress: { _ in }) }
  }

  /// The state of an interrupted job.
  private static func stateSeeds() throws -> [[UInt8]] {
    struct Stop: Error {}
    let job = try job(emptyJob())
    do {
      _ = try waiting {
        try await job.run(
          folder + "/out", start: .restarting, progress: { _ in }, page: { _ in throw Stop() })
      }
    } catch is Stop {}
    return [
      joined(
        try ["state.json", "samples.jsonl"].map { try contents(folder + "/out.partial/" + $0) } + [
          []
        ])
    ]
  }

  /// Two finished parts of a job without rows.
  private static func partSeeds() throws -> [[UInt8]] {
    let files = try (0..<2).flatMap { index in
      guard let shard = Shard(index, of: 2) else { return [[UInt8]]() }
      let job = try Preparation(emptyJob(), shard: shard, threads: 1)
      try? FileManager.default.removeItem(atPath: folder + "/out")
      _ = try waiting {
        try await job.run(folder + "/out", start: .restarting, progress: { _ in })
      }
      return try ["index.json", "funnel.json", "samples.jsonl"].map {
        try contents(folder + "/out/" + $0)
      }
    }
    return [joined(files)]
  }
}
