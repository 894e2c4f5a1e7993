import DVAETestSupport
import Foundation
import Testing

/// Every command's help must equal `Tests/Fixtures/help/NAME.txt`.
///
/// After an intended change, rewrite them with `dvae NAME --help`.
@Suite struct HelpTests {
  static let commands = [
    "", "tokenize", "decode", "reconstruct", "evaluate", "weights", "weights info",
    "weights convert", "weights download", "devices", "export", "serve", "benchmark", "train",
    "prepare", "tokens", "tokens info", "tokens verify", "tokens convert",
    "tokens merge", "tokens stats", "tokens mosaic",
  ]

  /// Manual pages are the help in lines of 72 columns (Scripts/man-pages.sh), where a longer row of a table would be
  /// broken.
  @Test(arguments: commands) func rowsFitManualPages(_ command: String) throws {
    let name = command.isEmpty ? "dvae" : command.replacing(" ", with: "-")
    let help = try String(decoding: bytes(Fixture.path("help/\(name).txt")), as: UTF8.self)
    for line in help.split(separator: "\n").prefix(while: { !$0.hasPrefix("USAGE:") })
    where line.hasPrefix(" ") {
      #expect(line.count <= 72, "\(line)")
    }
  }

  /// A script gives all commands the same options.
  @Test(arguments: commands) func everyCommandCanBeQuiet(_ command: String) async {
    let help = await dvae(command.split(separator: " ").map(String.init) + ["--help"]).output
    #expect(help.contains("  -q, --quiet  ") || help.contains("SUBCOMMANDS:"))
  }

  @Test(arguments: commands) func helpIsAsWritten(_ command: String) async throws {
    let words = command.split(separator: " ").map(String.init)
    let run = await dvae(words + ["--help"])
    #expect(run.status == 0)
    let name = words.isEmpty ? "dvae" : words.joined(separator: "-")
    let golden = Fixture.path("help/\(name).txt")
    #expect(try run.output == String(decoding: bytes(golden), as: UTF8.self))
    #expect(command.isEmpty || run.output.contains("Example:\n  dvae \(words[0])"))
  }
}
