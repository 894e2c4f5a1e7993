import ArgumentParser
import DVAEKit
import DVAEWeb
import DVAEWeights

/// `dvae weights download`.
struct WeightsDownload: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "download",
    abstract: "Download OpenAI's released weights.",
    usage: "dvae weights download [<options>]",
    discussion: """
      Fetches encoder.pkl (215 MB) and decoder.pkl (175 MB) and verifies them. An interrupted \
      download is continued by the same command. Then '--weights openai' \
      finds them.

      Example:
        dvae weights download
      """)

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      "The folder to put them in (default: dvae/openai in $XDG_CACHE_HOME or ~/.cache).",
      valueName: "folder"), completion: .directory)
  var output: String?

  @Option(help: ArgumentHelp("Where to fetch them from, for mirrors.", valueName: "address"))
  var baseURL = "https://cdn.openai.com/dall-e"

  @OptionGroup var overwrite: OverwriteOption
  @OptionGroup var quiet: QuietOption

  func validate() throws {
    if let output { try DVAECommands.check(outputFolder: output) }
    guard ["http://", "https://"].contains(where: baseURL.lowercased().hasPrefix),
      !WebConnection.host(of: baseURL).isEmpty
    else { throw ValidationError("--base-url: '\(baseURL)' is not an http or https address") }
  }

  func run() async throws {
    let console = Console.current
    let folder = output ?? WeightsLocation.downloadFolder
    for half in ModelHalf.allCases {
      let name = half.rawValue + ".pkl"
      let path = folder + "/" + name
      let base = baseURL.hasSuffix("/") ? String(baseURL.dropLast()) : baseURL
      if FileSystem.kind(path) == .file, (try? Self.check(path, half)) != nil {
        console.note("\(path) already exists")
      } else {
        try overwrite.check(path)
        try await fetch(base + "/" + name, path, half)
      }
      console.print(path)
    }
    console.note(WeightsFiles.licenceNote)
  }

  private func fetch(_ address: String, _ path: String, _ half: ModelHalf) async throws {
    let progress = Progress(
      "downloading \(half.rawValue).pkl", of: nil, unit: "bytes", quiet: quiet.quiet)
    defer { progress.finish() }
    try await Download(address, to: path).run(
      progress: { progress.update($0, of: $1) }, verify: { try Self.check($0, half) })
  }

  private static func check(_ path: String, _ half: ModelHalf) throws {
    let file = try WeightsFile.open(path)
    _ = try ModelWeights(file, expecting: half)
    try file.verifyChecksums()
  }
}
