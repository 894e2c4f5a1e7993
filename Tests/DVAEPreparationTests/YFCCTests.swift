import DVAEImages
import DVAETestSupport
import DVAEFiles
import DVAEPreparation
import Foundation
import Testing

@Suite struct YFCCTests {
  let folder = TemporaryFolder()
  private let bzip2 = Fixture.path("prepare/yfcc100m_dataset.bz2")
  private let database = Fixture.path("prepare/yfcc100m_dataset.sql")

  /// Returns caption and image of each row, or `!reason`.
  private func rows(
    _ paths: [String], _ change: (inout SourceSettings) -> Void = { _ in }
  ) throws -> [String] {
    var settings = SourceSettings()
    change(&settings)
    var sources = try Sources(paths, settings)
    var rows: [String] = []
    while let row = try sources.next() {
      switch row {
      case .unusable(_, let reason, _): rows.append("!" + reason)
      case .pair(let pair):
        let image =
          switch pair.image {
          case .address(let address): address
          case .item(let item): item.name
          case .zipMember(let archive, let member): archive + "#" + member
          }
        rows.append("\(pair.caption ?? "–") | \(image)")
      }
    }
    return rows
  }

  private let all = [
    "A red car at sea | http://img.example/101.jpg", "!video",
    "Café & 1+1 | http://img.example/103.jpg",
  ]

  @Test func compressedAndDatabaseFormsGiveTheSameRows() throws {
    #expect(try rows([bzip2]) == all)
    #expect(try rows([database]) == all)
    #expect(try rows([Fixture.path("prepare/yfcc100m_23.bz2")]) == all)
  }

  /// SQLite would leave its log beside the user's file.
  @Test func nothingIsLeftBesideADatabase() throws {
    var wal = try bytes(database)
    // The versions of a database with a write-ahead log.
    wal.replaceSubrange(18..<20, with: [2, 2])
    let name = "d?immutable=0#%41 é.sql"
    try write(wal, to: folder(name))
    #expect(try rows([folder(name)]) == all)
    #expect(try FileSystem.entries(of: folder("")).map(\.name) == [name])
    // A log that is empty changes nothing.
    try write([], to: folder(name + "-wal"))
    #expect(try rows([folder(name)]) == all)
    #expect(try FileSystem.entries(of: folder("")).count == 2)
  }

  /// Rows before the damage count, and so do the other sources.
  @Test func damagedFilesLoseTheirRest() throws {
    let whole = try bytes(bzip2)
    try write(Array(whole.dropLast(20)), to: folder("cut.bz2"))
    let cut = try rows([folder("cut.bz2"), database]) { $0.format = .yfcc }
    #expect(cut == ["!unreadable-source"] + all)
    var broken = try bytes(database)
    for place in 4096..<broken.count { broken[place] = 0xFF }
    try write(broken, to: folder("broken.sql"))
    #expect(try rows([folder("broken.sql"), bzip2]) == ["!unreadable-source"] + all)
    try write(Array("SQLite format 3\0".utf8), to: folder("empty.sql"))
    #expect(try rows([folder("empty.sql"), bzip2]) == ["!unreadable-source"] + all)
  }

  @Test func localArchives() throws {
    func images(_ source: String, _ change: (inout SourceSettings) -> Void) throws -> [String] {
      try rows([source]) {
        $0.images = "/y"
        change(&$0)
      }.map { String($0.split(separator: " ").last ?? "") }
    }
    #expect(
      try images(bzip2) { $0.layout = .identifier } == ["/y/101.jpg", "!video", "/y/103.jpg"])
    #expect(
      try images(bzip2) { $0.layout = .multimediaCommons } == [
        "/y/data/images/0aa/bbc/0aabbccddeeff00112233445566778.jpg", "!video",
        "/y/data/images/123/456/123456789abcdef0123456789abcdef0.jpg",
      ])
    #expect(
      try images(bzip2) { $0.layout = .slip } == [
        "/y/images/00/001.zip#001.jpg", "!video", "/y/images/00/001.zip#003.jpg",
      ])
    // The database has neither line nor hash; the list has both.
    #expect(
      try images(database) { $0.layout = .slip } == [
        "!no-place-in-archive", "!video", "!no-place-in-archive",
      ])
    let list = "7\t999\tff\n1001\t101\t0aabbccddeeff00112233445566778\n"
    try write(Array(list.utf8), to: folder("list.tsv"))
    #expect(throws: DVAEError.self) { try rows([bzip2]) { $0.layout = .slip } }
    let listed = { (settings: inout SourceSettings) in settings.subset = folder("list.tsv") }
    #expect(try rows([bzip2], listed) == [all[0], "!video", "!not-in-subset"])
    #expect(
      try images(database) {
        listed(&$0)
        $0.layout = .multimediaCommons
      }.first == "/y/data/images/0aa/bbc/0aabbccddeeff00112233445566778.jpg")
    try write(Array("1001 101\n".utf8), to: folder("list.tsv"))
    #expect(throws: DVAEError.self) { try rows([bzip2], listed) }
  }

  /// Files that an editor of Windows has saved.
  @Test func byteOrderMarksAreSkipped() throws {
    let fields = ["101"] + [String](repeating: "x", count: 21) + ["0"]
    let row = fields.joined(separator: "\t") + "\n"
    try write(Array("\u{FEFF}\(row)".utf8), to: folder("rows.tsv"))
    try write(Array("\u{FEFF}5\t101\tff\n".utf8), to: folder("list.tsv"))
    let found = try rows([folder("rows.tsv")]) {
      $0.subset = folder("list.tsv")
      $0.images = "/y"
      $0.layout = .slip
    }
    #expect(found == ["x | /y/images/00/000.zip#005.jpg"])
  }

  @Test func imagesComeOutOfZipArchives() async throws {
    var settings = PreparationSettings(sources: [bzip2], filters: FilterSettings(.none))
    settings.source.images = Fixture.path("prepare")
    settings.source.layout = .slip
    let job = try Preparation(settings, threads: 2)
    let funnel = try await job.run(folder("out"), progress: { _ in }).funnel
    #expect(funnel.left == 2 && funnel.entered == 3)
    settings.source.images = folder("")
    let without = try Preparation(settings, threads: 2)
    let error = await #expect(throws: DVAEError.self) {
      try await without.run(folder("none"), progress: { _ in })
    }
    #expect(error?.kind == .missing && error?.problem.contains("(2 missing-file)") == true)
    #expect(FileSystem.kind(folder("none")) == .missing)
  }
}
