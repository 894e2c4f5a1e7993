import DVAETestSupport
import DVAEFiles
import DVAETokens
import Foundation
import DVAEImages
import Testing

/// Bulk jobs with misbehaving networks and inputs.
@Suite struct BulkJobTests {
  let folder = TemporaryFolder()

  /// A key from a file must not escape the folder of the results.
  @Test func keysFromFilesAreUniquePaths() {
    var keys = UniqueKeys()
    for name in ["../../pwned", ".\0./.\0./pwned"] { _ = keys.path(for: name) }
    #expect(keys.path(for: "/pwned") == "pwned-3")
  }

  /// Makes images of 16×16 pixels; each one's brightness is its number.
  private func inputs(_ count: Int) throws -> BulkInputs {
    try FileManager.default.createDirectory(atPath: folder("in"), withIntermediateDirectories: true)
    for i in 0..<count {
      let pixels = [UInt8](repeating: UInt8(i), count: 16 * 16 * 3)
      try PixelImage(width: 16, height: 16, pixels: pixels).write(to: folder("in/\(i).png"))
    }
    return try BulkInputs([folder("in")], for: .jsonLines)
  }

  private func writer(_ inputs: BulkInputs) throws -> TokenWriter {
    try TokenWriter(
      folder("t.jsonl"), format: .jsonLines,
      provenance: testProvenance(count: inputs.fingerprint.count))
  }

  /// Returns the brightness as the only token; more than `fitting` images, or the one with
  /// brightness 3, do not fit into memory.
  private struct Model: ImageTokenizer {
    var fitting: Int

    func tokenize(batch images: [PixelImage]) throws -> [TokenizedImage] {
      guard images.count <= fitting, !images.contains(where: { $0.pixels[0] == 3 }) else {
        throw DVAEError(.badData, "too much memory")
      }
      return images.map {
        TokenizedImage(TokenGrid(height: 1, width: 1, tokens: [UInt16($0.pixels[0])]))
      }
    }
  }

  private func tokenizer(fitting: Int) -> BulkTokenizer<Model> {
    var tokenizer = BulkTokenizer(Model(fitting: fitting))
    tokenizer.preprocessing = Preprocessing(crop: .none)
    tokenizer.batchSize = 8
    return tokenizer
  }

  @Test func batchTooLargeForTheMemoryIsHalved() async throws {
    let inputs = try inputs(7)
    let writer = try writer(inputs)
    try await tokenizer(fitting: 2).run(inputs, into: writer)
    #expect(writer.failed == 1)
    let reader = try TokenReader(contentsOf: writer.path)
    #expect(try reader.failures().map(\.error) == ["3: too much memory"])
    var found: [String: [UInt16]] = [:]
    for item in reader {
      let item = try item.get()
      found[item.key] = item.grid.tokens
    }
    #expect(found == ["0": [0], "1": [1], "2": [2], "4": [4], "5": [5], "6": [6]])
  }

  /// A vanished file is one failed item; a new file does not belong to the job.
  @Test func inputsAreListedOnce() async throws {
    let inputs = try inputs(3)
    let writer = try writer(inputs)
    try FileManager.default.removeItem(atPath: folder("in/1.png"))
    try FileManager.default.copyItem(atPath: folder("in/0.png"), toPath: folder("in/00.png"))
    try await tokenizer(fitting: 8).run(inputs, into: writer)
    #expect(writer.failed == 1)
    let reader = try TokenReader(contentsOf: writer.path)
    #expect(try reader.failures().first?.error.hasPrefix(folder("in/1.png")) == true)
    var keys: [String] = []
    for item in reader {
      let item = try item.get()
      keys.append(item.key)
    }
    #expect(keys == ["0", "2"])
  }

  /// A main actor's code can run a job; a cancelled job can be resumed.
  @MainActor @Test func aCancelledJobCanBeResumed() async throws {
    let inputs = try inputs(40)
    var tokenizer = tokenizer(fitting: 8)
    tokenizer.batchSize = 1
    let task = Task { @MainActor in
      let first = try writer(inputs)
      defer { try? first.commit() }
      try await tokenizer.run(inputs, into: first) { progress in
        if progress.done == 5 { withUnsafeCurrentTask { $0?.cancel() } }
      }
    }
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(!FileManager.default.fileExists(atPath: folder("t.jsonl")))
    let second = try TokenWriter(
      folder("t.jsonl"), format: .jsonLines,
      provenance: testProvenance(count: inputs.fingerprint.count), start: .resuming)
    #expect(second.resumed >= 5)
    try await tokenizer.run(inputs, into: second)
    var reader = try TokenReader(contentsOf: second.path)
    var count = 0
    while try reader.next()?.get() != nil { count += 1 }
    #expect(count == 39)  // the picture of brightness 3 does not fit
  }

  @Test func batchesOfNoImagesHaveOne() async throws {
    var tokenizer = tokenizer(fitting: 8)
    (tokenizer.batchSize, tokenizer.readAhead) = (0, -1)
    let inputs = try inputs(3)
    let writer = try writer(inputs)
    try await tokenizer.run(inputs, into: writer)
    let grids = try TokenReader(contentsOf: folder("t.jsonl")).map { try $0.get().grid.tokens }
    #expect(grids == [[0], [1], [2]])
  }
}
