import ArgumentParser
import DVAEKit
import DVAEModel

/// `dvae tokens`.
struct TokensCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokens",
    abstract: "Inspect, check, convert and merge token files.",
    discussion: """
      Example:
        dvae tokens info tokens.npy
        dvae tokens verify shards/*.tar
      """,
    subcommands: [
      TokensInfo.self, TokensVerify.self, TokensConvert.self, TokensMergeCommand.self,
      TokensStats.self,
      TokensMosaic.self,
    ])
}

/// The size of the codebook, for files that do not state it.
struct VocabularyOption: ParsableArguments {
  @Option(help: "Codes of the model, for files without provenance.")
  var vocabulary: Int?

  func validate() throws {
    if let vocabulary { try check("vocabulary", vocabulary, atMost: 1 << 16) }
  }
}
