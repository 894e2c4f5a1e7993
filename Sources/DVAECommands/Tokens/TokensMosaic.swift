import ArgumentParser
import DVAEKit
import DVAEReports

/// `dvae tokens mosaic`.
struct TokensMosaic: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mosaic",
    abstract: "Draw the patch of each code.",
    usage: "dvae tokens mosaic [<tokens>] --output <output> [<options>]",
    discussion: """
      A code's patch is the middle 8×8 pixels of the picture of a small grid full of it. Without \
      tokens the patches of all codes are drawn in rows, from 0; with --by-use those that the tokens \
      use, the most used first. With tokens alone, an image: on the left each token's patch by \
      itself, on the right the decoded picture, in which the tokens see each other.

      Example:
        dvae tokens mosaic --output codes.png --weights openai
        dvae tokens mosaic tokens.npy --key photo --output photo.png
        dvae tokens mosaic 'tokens-{0..9}.tar' --by-use --output used.png
      """)

  @Argument(help: "A file or folder of tokens, of any form.", completion: .file())
  var tokens: String?

  @Option(name: .shortAndLong, help: "The PNG to write.", completion: .file())
  var output: String

  @Option(help: "The image to draw (default: the first).")
  var key: String?

  @Flag(help: "Draw the codes that the tokens use, the most used first.")
  var byUse = false

  @Option(help: "Patches in a row (default: about twice as many as rows).")
  var columns: Int?

  @OptionGroup var model: ModelOptions
  @OptionGroup var overwrite: OverwriteOption
  @OptionGroup var quiet: QuietOption

  func validate() throws {
    if let columns { try check("columns", columns, atMost: 1 << 16) }
    // Requiring .png keeps the picture from replacing a file of tokens or weights.
    guard output.lowercased().hasSuffix(".png") else {
      throw ValidationError("--output must end in .png: \(output)")
    }
    guard tokens != nil || (key == nil && !byUse) else {
      throw ValidationError("--key and --by-use need tokens")
    }
    guard key == nil || !byUse else {
      throw ValidationError("--key and --by-use exclude each other")
    }
    guard columns == nil || tokens == nil || byUse else {
      throw ValidationError("--columns is for rows of codes; with tokens it needs --by-use")
    }
  }

  func run() async throws {
    try overwrite.check(output)
    let files = try NumberedTokens.expanded(tokens.map { [$0] } ?? [])
    try AtomicFile.check(output)
    let vae = try model.load(only: .decoder)
    let picture =
      if let tokens, !byUse {
        try drawImage(tokens, files, vae)
      } else {
        try drawCodes(files, vae)
      }
    try FileSystem.withFolder(of: output) { try picture.write(to: output) }
    Console.current.print(output)
  }

  private func drawCodes(_ files: [String], _ vae: DiscreteVAE) throws -> PixelImage {
    let vocabulary = vae.architecture.vocabulary
    let codes =
      tokens == nil
      ? Array(0..<vocabulary) : try CodebookUse.counted(in: files, vocabulary: vocabulary).use.byUse
    let patches = try patches(codes, vae)
    let columns = columns ?? Int(Double(2 * codes.count).squareRoot().rounded(.up))
    guard let mosaic = PixelImage.tiled(patches, columns: columns) else {
      throw DVAEError(.badData, file: tokens ?? "the model", "no codes in there")
    }
    return mosaic
  }

  private func drawImage(
    _ tokens: String, _ files: [String], _ vae: DiscreteVAE
  ) throws -> PixelImage {
    for (path, item) in NumberedTokens(files) {
      let item = try item.get()
      if let key, Key(key) != Key(item.key) { continue }
      try warnOfOtherWeights(
        path, TokenReader(contentsOf: path).provenance, vae, Console.current)
      let decoded = try vae.decode(item, of: path)
      let codes = Set(item.grid.tokens.map(Int.init)).sorted()
      let patches = Dictionary(uniqueKeysWithValues: zip(codes, try patches(codes, vae)))
      let alone = PixelImage.tiled(
        item.grid.tokens.compactMap { patches[Int($0)] }, columns: item.grid.width)
      guard let both = PixelImage.tiled([alone, decoded].compactMap(\.self), columns: 2) else {
        throw DVAEError(.internal, file: path, "\(item.key): nothing was drawn")
      }
      return both
    }
    throw DVAEError(
      .badData, file: tokens, key.map { "no image of the key '\($0)'" } ?? "no tokens in there")
  }

  private func patches(_ codes: [Int], _ vae: DiscreteVAE) throws -> [PixelImage] {
    let progress = Progress("painting", of: codes.count, unit: "codes", quiet: quiet.quiet)
    defer { progress.finish() }
    return try vae.patches(of: codes.map { UInt16($0) }) { progress.update($0) }
  }
}
