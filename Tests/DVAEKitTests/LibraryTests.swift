import DVAEKit
import DVAETestSupport
import Foundation
import Synchronization
import Testing

/// The library as its importers use it.
@Suite struct LibraryTests {
  let folder = TemporaryFolder()
  let tiny = WeightsLocation.folder(URL(fileURLWithPath: Fixture.tiny))
  let photo: PixelImage
  let preprocessing = Preprocessing(resolution: 64)

  init() throws { photo = try PixelImage(contentsOf: URL(fileURLWithPath: Fixture.imageFiles[0])) }

  private func load() throws -> DiscreteVAE { try DiscreteVAE.load(tiny) }

  @Test func starterComesWithThePackage() throws {
    #expect(try DiscreteVAE.load(.starter, only: .decoder).architecture.vocabulary == 8192)
  }

  @Test func placesOfWeightsAreToldApart() throws {
    #expect(WeightsLocation("starter") == .starter && WeightsLocation("openai") == .openAI)
    let place = URL(fileURLWithPath: Fixture.tiny)
    #expect(try WeightsLocation.folder(place).files() == WeightsLocation(Fixture.tiny).files())
    #expect(throws: DVAEError.self) { try WeightsLocation.file(place).files() }
    let error = #expect(throws: DVAEError.self) {
      try WeightsLocation.folder(URL(fileURLWithPath: Fixture.imageFiles[0])).files()
    }
    #expect(error?.problem == "expected a folder, found a file")
    #expect(error?.localizedDescription.hasPrefix(Fixture.imageFiles[0]) == true)
    #expect(throws: DVAEError.self) { try WeightsLocation.random.files() }
  }

  @Test func waitingAndAsynchronousCallsGiveTheSame() async throws {
    let (photo, preprocessing, tiny) = (photo, preprocessing, tiny)
    let settings = try #require(SoftTokens.Settings(topK: 2, margin: false))
    let picture = testPicture(1)
    let (waiting, soft, patches, figures) = try await Task.detached {
      let vae = try DiscreteVAE.load(tiny)
      let output = try vae.reconstruct(photo, preprocessing).output
      return (
        output, try vae.softTokens(of: [picture], settings).map(\.soft),
        try vae.patches(of: [1, 2]),
        try vae.evaluate(picture, by: .native, key: "a").figures
      )
    }.value
    let vae = try await DiscreteVAE.load(tiny)
    let grid = try await vae.tokenize(photo, preprocessing)
    #expect(try await vae.decode(grid) == waiting)
    #expect(try await vae.reconstruct(photo, preprocessing).output == waiting)
    #expect(try await vae.softTokens(of: [picture], settings).map(\.soft) == soft)
    #expect(try await vae.patches(of: [1, 2]) == patches)
    #expect(try await vae.evaluate(picture, by: .native, key: "a").figures == figures)
  }

  @Test func cancelledPatchesEndBetweenBatches() async throws {
    let vae = try load()
    let codes = (0..<120).map { UInt16($0) }
    let made = Mutex(0)
    let job = Mutex<Task<[PixelImage], any Error>?>(nil)
    let task = Task {
      try await vae.patches(of: codes) { done in
        made.withLock { $0 = done }
        // The task may not be known yet when its first patches are there.
        while job.withLock({ $0 == nil }) { Thread.sleep(forTimeInterval: 0.001) }
        job.withLock { $0?.cancel() }
      }
    }
    job.withLock { $0 = task }
    await #expect(throws: CancellationError.self) { _ = try await task.value }
    #expect(made.withLock(\.self) < codes.count)
  }

  @Test func batchDecodesToThePicturesOfItsGrids() throws {
    let vae = try load()
    let grid = try vae.tokenize(photo, preprocessing)
    let other = TokenGrid(height: 8, width: 8, tokens: grid.reversed())
    #expect(try vae.decode([grid, other]) == [vae.decode(grid), vae.decode(other)])
    #expect(try vae.decode([]) == [])
    let narrow = TokenGrid(height: 8, width: 1, tokens: Array(grid.prefix(8)))
    #expect(throws: DVAEError.self) { try vae.decode([grid, narrow]) }
  }

  @Test func patchesOfMoreCodesThanABatchAreThoseOfEachCode() throws {
    let vae = try load()
    let codes = (0..<20).map { UInt16(6 * $0) }
    var progress: [Int] = []
    let patches = try vae.patches(of: codes) { progress.append($0) }
    #expect(patches == (try codes.flatMap { try vae.patches(of: [$0]) }))
    #expect(
      patches.allSatisfy { $0.width == 8 && $0.height == 8 }
        && Set(patches.map(\.pixels)).count > 10)
    #expect(progress.count > 1 && progress.last == 20)
    #expect(try vae.patches(of: []) == [])
    let error = #expect(throws: DVAEError.self) { try vae.patches(of: [0, 128]) }
    #expect(error?.code == .outsideVocabulary && error?.problem.contains("code 128") == true)
  }

  /// The name would be another one where the URL's text, with its percent signs, were taken.
  @Test func filesAreNamedByURL() async throws {
    let place = URL(fileURLWithPath: folder("ümlaut & 100% @.npy"))
    let inputs = try BulkInputs([URL(fileURLWithPath: Fixture.imageFiles[0])])
    let vae = try load()
    let provenance = try vae.provenance(preprocessing: preprocessing, inputs: inputs.fingerprint)
    var tokenizer = BulkTokenizer(vae)
    tokenizer.preprocessing = preprocessing
    try await tokenizer.run(
      inputs, into: TokenWriter(place, format: .npy, provenance: provenance))
    #expect(FileManager.default.fileExists(atPath: folder("ümlaut & 100% @.npy")))
    #expect(try TokenWriter.isComplete(place, provenance))
    let tokens = try TokenReader(contentsOf: place).map { try $0.get().grid }
    #expect(tokens == [try await vae.tokenize(photo, preprocessing)])

    let export = try await ModelExport(tiny, .decoder)
    func bytes(_ name: String, _ write: (URL, String) async throws -> Void) async throws -> [Data] {
      let (url, path) = (URL(fileURLWithPath: folder("ü " + name)), folder("path " + name))
      try await write(url, path)
      return try [Data(contentsOf: url), Data(contentsOf: URL(fileURLWithPath: path))]
    }
    let files = [
      try await bytes("onnx") {
        try await export.writeONNX(to: $0, showsLikelihood: true)
        try export.writeONNX(to: $1, showsLikelihood: true)
      },
      try await bytes("mlir") {
        try await export.writeStableHLO(to: $0, batch: 2, height: 16, width: 24)
        try export.writeStableHLO(to: $1, batch: 2, height: 16, width: 24)
      },
      try await bytes("pt") {
        try await export.writeStateDict(to: $0, names: .flava)
        try export.writeStateDict(to: $1, names: .flava)
      },
    ]
    for pair in files { #expect(pair[0] == pair[1]) }
  }

  @Test func gridIsACollectionAndJSON() throws {
    let grid = TokenGrid(height: 2, width: 3, tokens: [1, 2, 3, 4, 5, 8191])
    #expect(grid.count == 6 && grid[1, 2] == 8191 && grid.max() == 8191)
    #expect(Array(grid.dropFirst(4)) == [5, 8191])
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let json = try encoder.encode(grid)
    #expect(
      String(decoding: json, as: UTF8.self) == #"{"shape":[2,3],"tokens":[[1,2,3],[4,5,8191]]}"#)
    #expect(try JSONDecoder().decode(TokenGrid.self, from: json) == grid)
    for wrong in [
      #"{"shape":[2,3],"tokens":[[1,2,3],[4,5]]}"#, #"{"shape":[3,3],"tokens":[[1,2,3],[4,5,6]]}"#,
      #"{"shape":[2],"tokens":[[1],[2]]}"#, #"{"shape":[1,1],"tokens":[[65536]]}"#,
      #"{"shape":[-1,1],"tokens":[]}"#,
    ] {
      #expect(throws: DecodingError.self) {
        try JSONDecoder().decode(TokenGrid.self, from: Data(wrong.utf8))
      }
    }
  }

  @Test func picturesPassThroughDataAndURLs() throws {
    let url = URL(fileURLWithPath: folder("café ü%20.png"))
    try photo.write(to: url)
    #expect(try PixelImage(contentsOf: url) == photo)
    #expect(try PixelImage(data: photo.pngData()) == photo)
    #expect(try PixelImage(data: Data(contentsOf: url)) == photo)
    #expect(throws: DVAEError.self) { try PixelImage(data: Data()) }
  }

  /// The results of a job come one by one, in order, including failures.
  @MainActor @Test func bulkWorkIsASequenceForTheMainActor() async throws {
    try write(Array("no picture".utf8), to: folder("in/b.png"))
    for name in ["a", "c"] { try photo.write(to: folder("in/\(name).png")) }
    var tokenizer = BulkTokenizer(try await DiscreteVAE.load(tiny, only: .encoder))
    tokenizer.preprocessing = preprocessing
    tokenizer.batchSize = 2
    var found: [String: TokenGrid?] = [:]
    for try await item in tokenizer.results(of: try BulkInputs([folder("in")])) {
      MainActor.assertIsolated()
      found.updateValue(try? item.tokens.get().grid, forKey: item.key)
    }
    let grid = try await DiscreteVAE.load(tiny).tokenize(photo, preprocessing)
    #expect(found == ["a": grid, "b": nil, "c": grid])
  }

  @Test func cancelledTaskEndsWithCancellationError() async throws {
    let (vae, photo) = (try await DiscreteVAE.load(tiny), photo)
    let job = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      return try await vae.tokenize(photo)
    }
    await #expect(throws: CancellationError.self) { _ = try await job.value }
  }

  @Test func cancelledJobGoesOnWithTheBytesOfAnUndisturbedOne() async throws {
    try write(Array("no picture".utf8), to: folder("in/6.png"))
    for number in 0..<6 { try photo.write(to: folder("in/\(number).png")) }
    let vae = try await DiscreteVAE.load(tiny, only: .encoder)
    let inputs = try BulkInputs([folder("in")])
    let provenance = try vae.provenance(preprocessing: preprocessing, inputs: inputs.fingerprint)
    var tokenizer = BulkTokenizer(vae)
    tokenizer.preprocessing = preprocessing
    try await tokenizer.run(
      inputs, into: TokenWriter(folder("whole.jsonl"), format: .jsonLines, provenance: provenance))
    let job = Task { [tokenizer, path = folder("cut.jsonl")] in
      try await tokenizer.run(
        inputs, into: TokenWriter(path, format: .jsonLines, provenance: provenance),
        progress: { if $0.done == 3 { withUnsafeCurrentTask { $0?.cancel() } } })
    }
    await #expect(throws: CancellationError.self) { try await job.value }
    #expect(!FileManager.default.fileExists(atPath: folder("cut.jsonl")))
    let again = try TokenWriter(
      folder("cut.jsonl"), format: .jsonLines, provenance: provenance, start: .resuming)
    try await tokenizer.run(inputs, into: again)
    #expect(try bytes(folder("cut.jsonl")) == bytes(folder("whole.jsonl")))
  }

  @Test func tokensOfAFileAreASequence() async throws {
    try write(encodePNG(photo), to: folder("in/a.png"))
    let vae = try await DiscreteVAE.load(tiny)
    let inputs = try BulkInputs([folder("in")])
    var tokenizer = BulkTokenizer(vae)
    tokenizer.preprocessing = preprocessing
    try await tokenizer.run(
      inputs,
      into: TokenWriter(
        folder("t.npy"), format: .npy,
        provenance: vae.provenance(preprocessing: preprocessing, inputs: inputs.fingerprint)))
    let grids = try TokenReader(contentsOf: folder("t.npy")).map { try $0.get().grid }
    #expect(try await grids == [vae.tokenize(photo, preprocessing)])
  }
}
