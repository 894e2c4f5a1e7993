import ArgumentParser
import DVAEKit

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

/// The grid of tokens in arrays that do not state it.
struct GridOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The grid of an image's tokens, for .npy arrays of one row per image.",
      valueName: "ROWSxCOLUMNS"))
  var grid: TokenExtent.Grid?

  /// Tells which part of an array was taken as a grid.
  static func tell(
    _ path: String, _ part: TokenReader.GuessedGrid, _ grid: [Int], _ console: Console
  ) {
    console.note(
      "\(path): took \(part == .row ? "each row" : "the array") as a grid of "
        + "\(grid[0])×\(grid[1]) tokens; --grid names another")
  }
}

/// The size of the codebook, for files that do not state it.
struct VocabularyOption: ParsableArguments {
  @Option(help: "Codes of the model, for files without provenance.")
  var vocabulary: Int?

  func validate() throws {
    if let vocabulary { try check("vocabulary", vocabulary, atMost: 1 << 16) }
  }
}
