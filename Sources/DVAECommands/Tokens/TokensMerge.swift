import ArgumentParser
import DVAEKit

/// `dvae tokens convert`.
struct TokensConvert: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Write a token file in another form.",
    usage: "dvae tokens convert <tokens> --output <output> [<options>]",
    discussion: """
      The form is that of the output's extension. Keys, captions, provenance and the record of failures \
      are kept as far as the form holds them. Files of other programs, which say nothing of the model, \
      are converted too.

      Example:
        dvae tokens convert tokens.tar --output tokens.npy
      """)

  @Argument(help: "A file or folder of tokens, of any form.", completion: .file())
  var tokens: String

  @OptionGroup var job: TokensMergeOptions

  func run() async throws { try job.run(NumberedTokens.expanded([tokens])) }
}

/// `dvae tokens merge`.
struct TokensMergeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge",
    abstract: "Join token files, such as the shards of a job, into one.",
    usage: "dvae tokens merge <tokens> ... --output <output> [<options>]",
    discussion: """
      The files must be of one model and preprocessing; their order is that of the result, but \
      shards of one job are put into its order. The output may have another form than they have.

      Example:
        dvae tokens merge tokens-*-of-4.npy --output tokens.npy
        dvae tokens merge 'tokens-{000000..000009}.tar' --output tokens.npy
      """)

  @Argument(help: "Files or folders of tokens, of any form.", completion: .file())
  var tokens: [String]

  @OptionGroup var job: TokensMergeOptions

  func run() async throws { try job.run(NumberedTokens.expanded(tokens)) }
}

/// The options of joining tokens.
struct TokensMergeOptions: ParsableArguments {
  @Option(name: .shortAndLong, help: "The file or folder of tokens to write.", completion: .file())
  var output: String

  @OptionGroup var grid: GridOption
  @OptionGroup var interrupted: InterruptedJobOptions
  @OptionGroup var overwrite: OverwriteOption
  @OptionGroup var quiet: QuietOption

  func validate() throws { try check(output: output) }

  func run(_ inputs: [String]) throws {
    let console = Console.current
    let path = Path(output).withoutTrailingSlashes.text
    guard try NumberedNames(path) == nil else {
      throw DVAEError(.usage, file: path, "expected the name of one file, found a range of names")
    }
    let format = try TokenFormat(path: path)
    let merge = try TokenMerge(inputs, into: path, format, grid: grid.grid)
    guard
      let writer = try overwrite.writer(path, format, merge.provenance, interrupted.start)
    else {
      console.note("\(path) is complete already")
      return console.print(path)
    }
    for guess in merge.guesses { GridOption.tell(guess.path, guess.part, guess.grid, console) }
    if merge.provenance == nil {
      console.note(
        "\(path): the provenance is unknown: \(inputs.count == 1 ? "the input does" : "the inputs do") "
          + "not say which model the tokens are of")
    }
    if merge.losesSoftTokens {
      console.note("\(path): .\(format.rawValue) holds no soft tokens, only the most likely ones")
    }
    let progress = Progress("writing", of: merge.count, quiet: quiet.quiet)
    defer { progress.finish() }
    var (failures, failed, total) = (FailureNotes(), 0, 0)
    var captions = CaptionNotes(path: path, format: format)
    do {
      let losses = try merge.run(into: writer) {
        total = $0
        progress.update(total)
      } failed: {
        failed += 1
        failures.add($0)
      }
      captions.add(losses)
      if losses.softTokens > 0 {
        console.note(
          "dvae: warning: \(path): the soft tokens of \(counted(losses.softTokens, "image")) are left out, "
            + "because the provenance is unknown")
      }
    } catch let error as DVAEError where error.kind == .badData || error.kind == .usage {
      try writer.discard()
      throw error
    }
    captions.finish()
    if merge.missing.count > 0 {
      let first = merge.missing.first
      console.note(
        "dvae: warning: \(path) is only a part of its job, without \(counted(merge.missing.count, "shard")): "
          + first.map(\.description).joined(separator: ", ")
          + (merge.missing.count > first.count ? ", …" : ""))
    }
    console.print(path)
    if failed > 0 { throw FinishedWithFailures(failed: failed, total: total) }
  }
}
