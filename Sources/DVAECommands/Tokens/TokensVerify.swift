import ArgumentParser
import DVAEKit

/// `dvae tokens verify`.
struct TokensVerify: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Check that token files are whole and unchanged.",
    usage: "dvae tokens verify <tokens> ... [<options>]",
    discussion: """
      Of each file: its bytes against the checksum that it carries, every token against the \
      vocabulary, grids and the number of images against the provenance, keys for repetitions, \
      soft tokens against the tokens. Of files that are shards of one job: whether all are there, \
      of the same weights and preprocessing.

      Example:
        dvae tokens verify tokens-*-of-8.tar
        dvae tokens verify 'tokens-{000000..000009}.tar'
      """)

  @Argument(help: "Files or folders of tokens, of any form.", completion: .file())
  var tokens: [String]

  @OptionGroup var vocabulary: VocabularyOption
  @OptionGroup var json: JSONOption
  @OptionGroup var quiet: QuietOption

  func run() async throws {
    let console = Console.current
    var results: [TokenVerification] = []
    for path in try NumberedTokens.expanded(tokens) {
      let result = TokenVerification(path, vocabulary: vocabulary.vocabulary)
      results.append(result)
      if !json.json { say(result, console) }
    }
    let problems = TokenVerification.problems(ofShards: results)
    try json.print(Report(files: results, problems: problems))
    for problem in problems { console.note("dvae: \(problem)") }
    let failed = results.filter { !$0.problems.isEmpty }
    if !failed.isEmpty || !problems.isEmpty {
      let statuses = Set(failed.map(\.status) + problems.map { _ in ExitStatus.badData })
      throw FinishedWithFailures(
        failed: max(failed.count, 1), total: results.count, what: "did not pass",
        status: statuses.count == 1 ? statuses.first ?? ExitStatus.badData : ExitStatus.badData)
    }
  }

  private func say(_ result: TokenVerification, _ console: Console) {
    for problem in result.problems { console.note("dvae: \(problem)") }
    guard result.problems.isEmpty else { return }
    console.print(
      "\(result.path): \(counted(result.images, "image")) sound"
        + (result.hasChecksum ? ", checksum right" : ", no checksum")
        + (result.hasChecksum && !result.coversMetadata ? " (keys are not under it)" : "")
        + (result.hasProvenance ? "" : ", no provenance"))
  }

  private struct Report: Encodable {
    var files: [TokenVerification]
    var problems: [String]
  }
}
