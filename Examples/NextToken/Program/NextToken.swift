import ArgumentParser
import Foundation

/// The second stage: a transformer learns the tokens of `dvae tokenize`, and draws new images token
/// by token.
@main struct NextToken: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "DVAENextToken",
    abstract: "Learn a transformer on token files; draw new pictures with it.",
    subcommands: [Train.self, Sample.self])
}

/// Prints a line without buffering, also into a file, because an update may take seconds.
func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

func nats(_ value: Double) -> String { String(format: "%.3f", value) }
