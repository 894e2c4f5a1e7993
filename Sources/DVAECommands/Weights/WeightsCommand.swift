import ArgumentParser

/// `dvae weights`.
struct WeightsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "weights",
    abstract: "Inspect, convert and download weights.",
    discussion: """
      Example:
        dvae weights download
      """,
    subcommands: [WeightsInfo.self, WeightsConvert.self, WeightsDownload.self])
}
