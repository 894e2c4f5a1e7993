import ArgumentParser

/// `dvae weights`.
struct WeightsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "weights",
    abstract: "Look into, convert and fetch weights.",
    discussion: """
      Example:
        dvae weights download
      """,
    subcommands: [WeightsInfo.self, WeightsConvert.self, WeightsDownload.self])
}
