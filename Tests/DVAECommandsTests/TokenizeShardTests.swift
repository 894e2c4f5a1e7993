import DVAEFiles
import DVAEKit
import DVAETestSupport
import Foundation
import Testing

/// `dvae tokenize` into files numbered by a range in braces.
@Suite struct TokenizeShardTests {
  let folder = TemporaryFolder()

  /// Makes seven images, one of which cannot be read.
  private func makeImages() throws {
    for number in 0..<7 {
      let source = Fixture.imageFiles[number % 3]
      let suffix = (source as NSString).pathExtension
      try write(
        number == 4 ? Array("text".utf8) : bytes(source), to: folder("in/\(number).\(suffix)"))
      try write(Array("caption \(number)".utf8), to: folder("in/\(number).txt"))
    }
  }

  private func tokenize(
    _ output: String, _ more: String...
  ) async -> (status: Int32, output: String, errors: String) {
    await dvae(
      [
        "tokenize", folder("in"), "--output", folder(output), "--weights", Fixture.tiny,
        "--resolution", "32", "--quiet",
      ] + more)
  }

  private func grids(_ paths: [String]) throws -> [String] {
    try paths.flatMap { path in
      try TokenReader(contentsOf: path).map {
        let item = try $0.get()
        return "\(item.key) \(item.grid.tokens)"
      }
    }
  }

  private func files() throws -> [String: [UInt8]] {
    var found: [String: [UInt8]] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: folder.path)
    where name != "in" && !name.hasPrefix("whole") && !name.hasPrefix("joined") {
      found[name] = try bytes(folder(name))
    }
    return found
  }

  /// Each file is a shard of the job with its own provenance, equal to a worker's; together they
  /// are the complete job for every command that reads tokens.
  @Test(arguments: ["tar", "npy", "jsonl"]) func filesAreParts(_ ending: String) async throws {
    try makeImages()
    let whole = await tokenize("whole.\(ending)")
    #expect(whole.status == 65, "\(whole.errors)")
    let run = await tokenize("t-{00..02}.\(ending)")
    #expect(run.status == 65 && run.errors.contains("1 of 7 could not be done"), "\(run.errors)")
    #expect(run.output == folder("t-{00..02}.\(ending)") + ": 6 images\n")
    let paths = (0..<3).map { folder("t-0\($0).\(ending)") }
    #expect(try grids(paths) == grids([folder("whole.\(ending)")]))
    for (number, path) in paths.enumerated() {
      let provenance = try #require(try TokenReader(contentsOf: path).provenance)
      #expect(provenance.shard == "\(number)/3")
      #expect(provenance.inputs.count == (number == 0 ? 3 : 2))
    }
    // A worker of three writes the second shard.
    _ = await tokenize("w.\(ending)", "--shard", "1/3")
    #expect(try bytes(folder("w-1-of-3.\(ending)")) == bytes(paths[1]))
    let pattern = folder("t-{00..02}.\(ending)")
    let verified = await dvae("tokens", "verify", pattern)
    #expect(verified.status == 0 && verified.output.contains(paths[2]), "\(verified.errors)")
    let fewer = await dvae("tokens", "verify", folder("t-{00..01}.\(ending)"))
    #expect(fewer.status == 65 && fewer.errors.contains("2/3"))
    // The job of three files may have had a longer range.
    let more = await dvae("tokens", "verify", folder("t-{00..99}.\(ending)"))
    #expect(more.status == 0 && more.output.contains(paths[2]), "\(more.errors)")
    let later = await dvae("tokens", "verify", folder("t-{01..03}.\(ending)"))
    #expect(later.status == 65 && later.errors.contains(folder("t-03.\(ending)")))
    for command in ["merge", "convert"] {
      let joined = folder("joined-\(command).\(ending)")
      let run = await dvae("tokens", command, pattern, "--output", joined, "--quiet")
      #expect(run.status == 0, "\(run.errors)")
      #expect(try grids([joined]) == grids([folder("whole.\(ending)")]))
    }
  }

  /// The largest number of images per file determines the number of files; workers share whole
  /// files.
  @Test func imagesAndWorkersAreSharedOut() async throws {
    try makeImages()
    let run = await tokenize("t-{000..999}.tar", "--samples-per-shard", "2")
    #expect(run.output == folder("t-{000..003}.tar") + ": 6 images\n", "\(run.errors)")
    let alone = try files()
    #expect(alone.keys.sorted() == (0..<4).map { "t-00\($0).tar" })
    let pattern = folder("t-{000..999}.tar")
    #expect(await dvae("tokens", "verify", pattern).status == 0)
    let fewer = await tokenize("t-{000..999}.tar", "--samples-per-shard", "4", "--overwrite")
    #expect(fewer.status == 73 && fewer.errors.contains("t-002.tar: lies behind the 2 files"))
    let other = await tokenize("t-{000..003}.tar", "--samples-per-shard", "3", "--resume")
    #expect(other.status == 73 && other.errors.contains("t-003.tar"), "\(other.errors)")
    #expect(try files() == alone)
    try FileManager.default.removeItem(atPath: folder("t-003.tar"))
    let lacking = await dvae("tokens", "verify", pattern)
    #expect(lacking.status == 65 && lacking.errors.contains("not among the files: 3/4"))
    let changed = await tokenize("t-{000..002}.tar", "--samples-per-shard", "3", "--resume")
    #expect(changed.status == 73 && changed.errors.contains("other shards (0/4, 0/3)"))
    for name in try files().keys { try FileManager.default.removeItem(atPath: folder(name)) }
    for worker in 0..<3 {
      _ = await tokenize(
        "t-{000..999}.tar", "--samples-per-shard", "2", "--shard", "\(worker)/3", "--json")
    }
    #expect(try files() == alone)
    for (output, more, text) in [
      ("t-{0..2}.tar", ["--samples-per-shard", "1"], "7 images take 7 files"),
      ("t-{0..7}.tar", [], "its range has 8 names for "),
      ("t-{0..2}.tar", ["--shard", "3/4"], "cannot be shared by 4 workers"),
      ("t.tar", ["--samples-per-shard", "1"], "needs a range"),
      ("t-{2..0}.tar", [], "must go upwards"), ("t-{0..2}.tar", ["--samples-per-shard", "0"], "1"),
    ] {
      let run = await dvae(
        ["tokenize", folder("in"), "--output", folder(output), "--weights", Fixture.tiny] + more)
      #expect(run.status == 64 && run.errors.contains(text), "\(output) \(more): \(run.errors)")
    }
    #expect(try files() == alone)
  }

  /// An existing file is kept, whichever it is, and nothing is written before all names are
  /// checked.
  @Test func everyFileObeysTheRules() async throws {
    try makeImages()
    #expect(await tokenize("t-{0..2}.tar").status == 65)
    let finished = try files()
    func remove(_ numbers: Int...) throws {
      for number in numbers {
        try FileManager.default.removeItem(atPath: folder("t-\(number).tar"))
      }
    }
    try remove(0, 1)
    let left = try files()
    let refused = await tokenize("t-{0..2}.tar")
    #expect(refused.status == 73 && refused.errors.contains(folder("t-2.tar")))
    #expect(refused.errors.contains("(--overwrite)"))
    #expect(try files() == left)
    let resumed = await tokenize("t-{0..2}.tar", "--resume")
    #expect(resumed.status == 65 && resumed.errors.contains("t-2.tar is complete already"))
    #expect(resumed.output.contains("6 images") && resumed.errors.contains("1 of 7"))
    #expect(try files() == finished)
    // Already done: nothing is written, and the failure is reported again.
    let again = await tokenize("t-{0..2}.tar", "--resume")
    #expect(again.status == 65 && again.errors.contains("1 of 7"))
    #expect(await tokenize("t-{0..2}.tar", "--overwrite").status == 65)
    #expect(try files() == finished)
    // An unfinished file in the middle.
    try remove(0, 1, 2)
    try write(Array("torn".utf8), to: folder("t-1.tar.partial"))
    let unfinished = await tokenize("t-{0..2}.tar")
    #expect(unfinished.status == 73 && unfinished.errors.contains("t-1.tar.partial"))
    #expect(try files().keys.sorted() == ["t-1.tar.partial"])
    #expect(await tokenize("t-{0..2}.tar", "--restart").status == 73, "no journal is beside it")
    try remove(0)
    try write([], to: folder("t-1.tar.partial.journal"))
    #expect(await tokenize("t-{0..2}.tar", "--restart").status == 65)
    #expect(try files() == finished)
    // Of another job.
    #expect(await tokenize("t-{0..1}.tar", "--resume").status == 73)
    let input = await dvae(
      "tokenize", folder("t-0.tar"), "--output", folder("t-{0..2}.tar"), "--weights", Fixture.tiny,
      "--overwrite")
    #expect(input.status == 64 && input.errors.contains("is an input"), "\(input.errors)")
  }
}
