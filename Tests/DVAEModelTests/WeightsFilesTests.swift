import DVAEFiles
import DVAEModel
import DVAETestSupport
import Foundation
import Testing

/// Files of weights are verified once.
@Suite struct WeightsFilesTests {
  let folder = TemporaryFolder()
  var verified: VerifiedFiles { VerifiedFiles(folder("verified"), smallest: 0) }

  private func provenance(
    _ encoder: String, verifying half: ModelHalf?
  ) throws -> String {
    try WeightsFiles(
      files: [encoder, Fixture.path("tiny/decoder.pkl")], verifying: half, verified: verified
    ).provenance(of: .encoder).sha256
  }

  @Test func verifiedFilesAreNotReadAgain() throws {
    let encoder = Fixture.path("tiny/encoder.pkl")
    let state = try #require(VerifiedFiles.State(encoder))
    for half in [nil, ModelHalf.encoder] {
      #expect(verified.hash(state) == nil)
      #expect(try provenance(encoder, verifying: half) == FileHash.of(encoder))
    }
    #expect(try verified.hash(state) == FileHash.of(encoder))
  }

  /// Only what was verified is believed, and only for the file that it was.
  @Test func damageIsFoundUnlessTheFileWasVerified() throws {
    let path = folder("encoder.pkl")
    var damaged = try bytes(Fixture.path("tiny/encoder.pkl"))
    // The last bit of a weight: its value stays finite.
    damaged[damaged.count / 2 & ~3] ^= 1
    try write(damaged, to: path)
    #expect(throws: DVAEError.self) { try provenance(path, verifying: .encoder) }
    let state = try #require(
      VerifiedFiles.State(path, now: Date().timeIntervalSince1970 + 60))
    #expect(verified.hash(state) == nil)

    let hash = String(repeating: "0a", count: 32)
    verified.add(path, state, hash)
    #expect(try provenance(path, verifying: .encoder) == hash)
    // Conversion and inspection verify always.
    #expect(throws: DVAEError.self) { try provenance(path, verifying: nil) }
    // The clock of a file system goes in steps.
    usleep(50_000)
    try write(damaged, to: path)
    #expect(throws: DVAEError.self) { try provenance(path, verifying: .encoder) }
  }
}
