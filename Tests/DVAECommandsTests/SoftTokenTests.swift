import DVAETestSupport
import DVAEFiles
import DVAEKit
import Foundation
import DVAEImages
import Testing
import DVAEWeights

/// Ranked tokens and margins, from the logits to the files.
@Suite struct SoftTokenTests {
  let folder = TemporaryFolder()

  private func tokenize(_ arguments: String...) async -> (
    status: Int32, output: String, errors: String
  ) {
    await dvae(
      ["tokenize", Fixture.images, "--weights", Fixture.tiny, "--resolution", "128"] + arguments)
  }

  private func read(_ name: String) throws -> [String: TokenReader.Item] {
    let reader = try TokenReader(contentsOf: folder(name))
    var items: [String: TokenReader.Item] = [:]
    for item in reader {
      let item = try item.get()
      items[item.key] = item
    }
    return items
  }

  @Test(arguments: ["t.tar", "t.safetensors", "t"]) func theyAreKeptBesideTheSameTokens(
    _ name: String
  ) async throws {
    #expect(await tokenize("--output", folder("plain.npy")).status == 0)
    let run = await tokenize(
      "--output", folder(name), "--top-k", "3", "--margin", "--batch-size", "2")
    #expect(run.status == 0, "\(run.errors)")
    let (plain, items) = try (read("plain.npy"), read(name))
    #expect(items.count == 3)
    for (key, item) in items {
      #expect(item.grid == plain[key]?.grid)
      let top = try #require(item.soft?.top)
      #expect(top.count == 3 && top.ids.count == 3 * 256)
      // The margin is the difference of the first two, in log-probabilities as in logits.
      let margins = try #require(item.soft?.margins)
      for position in 0..<256 {
        let distance = top.logProbabilities[3 * position] - top.logProbabilities[3 * position + 1]
        #expect(abs(distance - margins[position]) < 1e-4)
      }
    }
    let only = await tokenize("--output", folder("m-" + name), "--margin")
    #expect(only.status == 0)
    for (key, item) in try read("m-" + name) {
      #expect(item.soft == SoftTokens(top: nil, margins: items[key]?.soft?.margins))
    }
    let checked = await dvae("tokens", "verify", folder(name), folder("m-" + name))
    #expect(checked.status == 0, "\(checked.errors)")
    let back = await dvae(
      "decode", folder(name), "--output", folder("back"), "--weights", Fixture.tiny, "--quiet")
    #expect(back.output.split(separator: "\n").count == 3)
  }

  /// Forms without soft tokens keep the most likely ones.
  @Test func hardTokensAreMadeOfSoftOnes() async throws {
    #expect(await tokenize("--output", folder("soft.tar"), "--top-k", "2").status == 0)
    let run = await dvae("tokens", "convert", folder("soft.tar"), "--output", folder("hard.jsonl"))
    #expect(run.status == 0 && run.errors.contains("holds no soft tokens"), "\(run.errors)")
    let (soft, hard) = try (read("soft.tar"), read("hard.jsonl"))
    #expect(hard.count == 3 && hard.mapValues(\.grid) == soft.mapValues(\.grid))
    #expect(hard.values.allSatisfy { $0.soft == nil })
    #expect(await dvae("tokens", "verify", folder("hard.jsonl")).status == 0)
  }

  /// Without the provenance nobody knows which values each image has to have.
  @Test func softTokensOfAnUnknownJobAreCounted() async throws {
    #expect(await tokenize("--output", folder("t"), "--top-k", "2", "--margin").status == 0)
    try FileManager.default.removeItem(atPath: folder("t/.provenance.json"))
    let run = await dvae("tokens", "convert", folder("t"), "--output", folder("c.tar"))
    #expect(
      run.status == 0 && run.errors.contains("the soft tokens of 3 images are left out"),
      "\(run.errors)")
    #expect(try read("c.tar").values.allSatisfy { $0.soft == nil })
    try write([], to: folder("t/kodim04.logprobs.npy"))
    let damaged = await dvae("tokens", "verify", folder("t"))
    #expect(damaged.status == 65 && damaged.errors.contains("kodim04.logprobs.npy"))
  }

  /// Archives that other programs have packed again keep equal files once.
  @Test func softTokensMayBeLinksInAnArchive() async throws {
    #expect(await tokenize("--output", folder("t.tar"), "--margin").status == 0)
    var tar = try bytes(folder("t.tar"))
    var reader = try TarReader(path: folder("t.tar"))
    var margins: [TarEntry] = []
    while let entry = try reader.next() {
      if entry.name.hasSuffix(".margin.npy") { margins.append(entry) }
    }
    let (first, last) = (try #require(margins.first), try #require(margins.last))
    // The header of a hard link in place of the last file of margins.
    var header = Array(tar[last.offset - 512..<last.offset])
    header.replaceSubrange(124..<136, with: Array("00000000000\0".utf8))
    header[156] = UInt8(ascii: "1")
    header.replaceSubrange(157..<157 + first.name.utf8.count, with: first.name.utf8)
    header.replaceSubrange(148..<156, with: "        ".utf8)
    let sum = String(header.reduce(0) { $0 + Int($1) }, radix: 8)
    header.replaceSubrange(
      148..<156, with: Array((String(repeating: "0", count: 6 - sum.count) + sum + "\0 ").utf8))
    tar.replaceSubrange(last.offset - 512..<last.end, with: header)
    try write(tar, to: folder("linked.tar"))
    let (plain, linked) = try (read("t.tar"), read("linked.tar"))
    #expect(plain.count == 3 && linked.keys == plain.keys)
    let keys = [first, last].map { String($0.name.dropLast(".margin.npy".count)) }
    let own = try #require(plain[keys[0]]?.soft)
    #expect(linked[keys[1]]?.soft == own && plain[keys[1]]?.soft != own)
  }

  @Test func namesInTheFilesAreAsDocumented() async throws {
    #expect(await tokenize("--output", folder("t.safetensors"), "--top-k", "2").status == 0)
    let file = try WeightsFile.open(folder("t.safetensors"))
    #expect(file.tensors.count == 9)
    #expect(file["kodim04.topk"]?.shape == [16, 16, 2])
    #expect(file["kodim04.topk"]?.elementType == .uint16)
    #expect(file["kodim04.logprobs"]?.elementType == .float32)
    #expect(await tokenize("--output", folder("t.tar"), "--top-k", "2", "--margin").status == 0)
    var reader = try WebDatasetReader(path: folder("t.tar"))
    #expect(
      try reader.next()?.fields.map(\.extension)
        == ["tokens.npy", "topk.npy", "logprobs.npy", "margin.npy"])
  }

  @Test func otherFormsAndOtherSettingsAreRefused() async throws {
    for name in ["t.npy", "t.bin", "t.idx", "t.packed", "t.jsonl"] {
      #expect(await tokenize("--output", folder(name), "--margin").status == 64)
    }
    // The tiny model has 128 codes.
    let many = await tokenize("--output", folder("t.tar"), "--top-k", "129")
    #expect(many.status == 64)
    #expect(many.errors.contains("1 to 128"))
    // No unfinished output blocks the corrected command.
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
    #expect(await tokenize("--output", folder("u.tar"), "--top-k", "2").status == 0)
    let other = await tokenize("--output", folder("u.tar"), "--top-k", "3", "--resume")
    #expect(other.status == 73)
    #expect(other.errors.contains("other soft tokens"))
  }

  @Test func contradictionsAreErrors() async throws {
    #expect(await tokenize("--output", folder("t"), "--top-k", "2", "--margin").status == 0)
    let (ids, sums) = (folder("t/kodim04.topk.npy"), folder("t/kodim04.logprobs.npy"))
    let (goodIds, goodSums) = try (bytes(ids), bytes(sums))
    func expectProblem(_ text: String) async {
      let run = await dvae("tokens", "verify", folder("t"))
      #expect(run.status == 65 && run.errors.contains(text), "\(run.errors)")
    }
    var changed = goodIds
    changed[128] ^= 1
    try write(changed, to: ids)
    await expectProblem("are not its tokens")
    // The second of a position: not in the vocabulary of 128, then the first again.
    changed = goodIds
    changed.replaceSubrange(130..<132, with: [0x60, 0xEA])
    try write(changed, to: ids)
    await expectProblem("token 60000 of its topk is not in the vocabulary 0..<128")
    changed.replaceSubrange(130..<132, with: goodIds[128..<130])
    try write(changed, to: ids)
    await expectProblem("a token is twice in its topk")
    try write(goodIds, to: ids)
    changed = goodSums
    changed[131] &= 0x7F
    try write(changed, to: sums)
    await expectProblem("log-probabilities")
    try write(Array(NpyArray.encoded([Float](repeating: -1, count: 4), shape: [2, 2])), to: sums)
    await expectProblem("shape")
    try FileManager.default.removeItem(atPath: sums)
    await expectProblem("shape")
    try write(goodSums, to: sums)
    try FileManager.default.removeItem(atPath: folder("t/kodim23.margin.npy"))
    await expectProblem("kodim23: lacks the soft tokens")
  }
}
