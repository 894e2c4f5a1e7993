import ArgumentParser
import DVAEKit
import DVAEReports
import Foundation

/// `dvae tokens stats`.
struct TokensStats: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stats",
    abstract: "Count how the codes are used.",
    usage: "dvae tokens stats <tokens> ... [<options>]",
    discussion: """
      Over all files together: the codes in use and the dead ones, the entropy of their frequencies \
      (which a model of single tokens cannot beat), its perplexity, and the codes used most. With \
      --json also the count of every code.

      Example:
        dvae tokens stats tokens.npy
      """)

  @Argument(help: "Files or folders of tokens, of any form.", completion: .file())
  var tokens: [String]

  @Option(help: "The number of most used codes to list.")
  var top = 10

  @OptionGroup var vocabulary: VocabularyOption
  @OptionGroup var json: JSONOption
  @OptionGroup var quiet: QuietOption

  func validate() throws { try check("top", top, atMost: 1 << 16) }

  func run() async throws {
    let (images, use) = try CodebookUse.counted(
      in: NumberedTokens.expanded(tokens), vocabulary: vocabulary.vocabulary)
    let report = TokenStatistics(images: images, use, top: top)
    try json.print(report, or: report.lines)
  }
}

/// The statistics of the codes' use.
struct TokenStatistics: Encodable {
  struct Code: Encodable {
    var code: Int
    var count: Int
    var share: Double
  }

  var images: Int
  var tokens: Int
  var vocabulary: Int
  var used: Int
  var dead: Int
  var entropyNats: Double
  var entropyBits: Double
  var perplexity: Double
  var mostUsed: [Code]
  var counts: [Int]

  init(images: Int, _ use: CodebookUse, top: Int) {
    self.images = images
    (tokens, vocabulary) = (use.total, use.counts.count)
    (used, dead, counts) = (use.used, use.dead, use.counts)
    (entropyNats, perplexity) = (use.entropy, use.perplexity)
    entropyBits = use.entropy / log(2)
    let total = Double(max(1, use.total))
    mostUsed = use.byUse.prefix(top).map {
      Code(code: $0, count: use.counts[$0], share: Double(use.counts[$0]) / total)
    }
  }

  var lines: [String] {
    let percent = { (share: Double) in Numbers.percent(share, 2) }
    var lines = [
      "images      \(images), tokens \(tokens)",
      "codes       \(used) of \(vocabulary) used (\(percent(Double(used) / Double(vocabulary)))), "
        + "\(dead) dead",
      "entropy     \(Numbers.fixed(entropyNats, 4)) nats, \(Numbers.fixed(entropyBits, 4)) bits per "
        + "token (at most \(Numbers.fixed(log2(Double(vocabulary)), 4)))",
      "perplexity  \(Numbers.fixed(perplexity, 1))",
    ]
    // The first count is the largest.
    let digits = mostUsed.map { "\($0.code)".count }.max() ?? 0
    let countDigits = mostUsed.first.map { "\($0.count)".count } ?? 0
    for code in mostUsed {
      lines.append(
        "code \(Numbers.aligned("\(code.code)", digits))  "
          + "\(Numbers.aligned("\(code.count)", countDigits))  \(percent(code.share))")
    }
    return lines
  }
}

extension CodebookUse {
  /// Counts the images of some files and the uses of each code in them.
  ///
  /// - Parameters:
  ///   - paths: the files, all of one vocabulary
  ///   - given: the number of codes, for files that do not say it
  /// - Returns: the number of images, and the counts of the codes
  /// - Throws: if files are of other codes than the rest, damaged, or of an unknown number of codes
  static func counted(
    in paths: [String], vocabulary given: Int?
  ) throws -> (images: Int, use: CodebookUse) {
    var vocabulary = given
    for path in paths {
      let reader = try TokenReader(contentsOf: path)
      try reader.checkIntact()
      guard let found = reader.provenance?.architecture.vocabulary else { continue }
      if let other = vocabulary, other != found {
        throw DVAEError(
          .badData, file: path,
          "its tokens are of \(found) codes, expected \(other): count them apart"
        )
      }
      vocabulary = found
    }
    guard let vocabulary else {
      throw DVAEError(
        .usage, file: paths.joined(separator: ", "),
        "the files do not say how many codes there are: "
          + "give --vocabulary, 8192 for the released model")
    }
    var (images, use) = (0, CodebookUse(vocabulary: vocabulary))
    for (path, item) in NumberedTokens(paths) {
      let item = try item.get()
      images += 1
      let tokens = item.grid.tokens.map(Int32.init)
      guard tokens.allSatisfy({ $0 < vocabulary }) else {
        throw DVAEError(
          .badData, file: path,
          "\(item.key): a token that is not in the vocabulary 0..<\(vocabulary)")
      }
      use.count(tokens)
    }
    return (images, use)
  }

  /// The used codes, the most used first; of equals the lower.
  var byUse: [Int] {
    counts.indices.filter { counts[$0] > 0 }
      .sorted { (counts[$1], $0) < (counts[$0], $1) }
  }
}
