import ArgumentParser
import DVAECPUEngine
import DVAEFiles
import DVAEImages
import DVAEKit
import DVAEModel
import DVAEReports
import DVAETokens
import DVAETransformer
import Foundation

struct Sample: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Draw new pictures, or complete the upper halves of given ones.",
    discussion: """
      The sheet shows new pictures in rows; or, with --complete, one row for each given picture: the
      picture as its tokens paint it, the half that the model sees, and what it draws below.

      Examples:
        DVAENextToken sample model.safetensors --sheet new.jpg
        DVAENextToken sample model.safetensors --complete tokens.npy --sheet completed.jpg
        DVAENextToken sample model.safetensors --output new.npy && dvae decode new.npy --output new
      """)

  @Argument(help: "A model of DVAENextToken train.")
  var model: String

  @Option(help: "The sheet to write, .png or .jpg.")
  var sheet: String?

  @Option(name: .shortAndLong, help: "The token file to write, in any form.")
  var output: String?

  @Option(help: "Token file of pictures to complete.")
  var complete: String?

  @Option(help: "Pictures to draw; with --complete, pictures to complete.")
  var count = 24

  @Option(help: "Pictures of the file to skip.")
  var skip = 0

  @Option(help: "Pictures in a row of the sheet; with --complete, drawings of each picture.")
  var columns = 6

  @Option(help: "Below 1, likely tokens become more likely still.")
  var temperature = 1.0

  @Option(help: "Sample from this many most likely codes.")
  var topK = 256

  @Option(help: "The dVAE that paints the tokens: a name or a path, as of dvae decode.")
  var weights = "starter"

  @Option(help: "Threads (default: one per core); the result does not depend on them.")
  var threads: Int?

  @Option(help: "The random seed.")
  var seed: UInt64 = 0

  func validate() throws {
    for value in [count, columns, topK] where !(1...1 << 16).contains(value) {
      throw ValidationError("every number must be at least 1")
    }
    guard temperature > 0, temperature.isFinite, skip >= 0 else {
      throw ValidationError("the temperature must be greater than 0")
    }
    guard sheet != nil || output != nil else {
      throw ValidationError("give a --sheet to look at, or an --output for the tokens")
    }
  }

  func run() throws {
    let file = try ModelFile(contentsOf: model)
    let shape = file.transformer.shape
    let pass = Pass(try CPUEngine(threads: threads), parameters: file.state.average)
    let sampler = Sampler(temperature: temperature, topK: topK, seed: seed)
    let (given, unseen) =
      try complete.map { try file.read($0, skip: skip, count: count) } ?? ([], 0)
    if unseen > 0 {
      warn(
        "\(unseen) tokens of the given pictures did not occur in training; \(file.tokens[0]) "
          + "stands for them")
    }
    let beginnings =
      complete == nil
      ? Array(repeating: [], count: count)
      : given.flatMap {
        Array(repeating: Array($0.prefix(shape.rows / 2 * shape.columns)), count: columns)
      }
    let drawn = sampler.draw(given: beginnings, file.transformer, pass).map(file.grid)
    if let output { try write(drawn, to: output, file) }
    guard let sheet else { return }
    let vae = try DiscreteVAE.load(WeightsLocation(weights), only: .decoder, threads: threads)
    let here = try vae.provenance(
      preprocessing: file.provenance.preprocessing, inputs: file.provenance.inputs
    ).weights
    if !here.agrees(with: file.provenance.weights) {
      warn(
        "the model learned tokens of \(file.provenance.weights.file); \(here.file) paints others")
    }
    var pictures = try vae.decode(drawn)
    if complete != nil {
      let originals = try vae.decode(given.map(file.grid))
      pictures = originals.enumerated().flatMap { n, original in
        [original, original.withoutLowerHalf(rows: 8 * (shape.rows / 2))]
          + pictures[n * columns..<(n + 1) * columns]
      }
    }
    let width = complete == nil ? columns : columns + 2
    guard let tiled = PixelImage.tiled(pictures, columns: width, gap: 4, background: 255)
    else { return }
    try tiled.write(sheet: sheet)
  }

  private func warn(_ text: String) {
    FileHandle.standardError.write(Data("DVAENextToken: warning: \(text)\n".utf8))
  }

  private func write(_ grids: [TokenGrid], to path: String, _ file: ModelFile) throws {
    var provenance = file.provenance
    // These are all there are, not those that the transformer learned from.
    provenance.inputs.count = grids.count
    provenance.grid = [file.transformer.shape.rows, file.transformer.shape.columns]
    let writer = try TokenWriter(
      path, format: TokenFormat(path: path), provenance: provenance, replacing: true)
    for (n, grid) in grids.enumerated() {
      try writer.append(TokenRecord(key: "\(n)", .tokens(grid)))
    }
    try writer.finish()
  }
}

extension ModelFile {
  /// Returns the grid of a list of codes.
  fileprivate func grid(_ codes: [Int32]) -> TokenGrid {
    TokenGrid(
      height: transformer.shape.rows, width: transformer.shape.columns,
      tokens: codes.map { tokens[Int($0)] })
  }
}

extension PixelImage {
  /// Returns the same image, grey from a row on.
  fileprivate func withoutLowerHalf(rows: Int) -> PixelImage {
    let kept = 3 * rows * width
    return PixelImage(
      width: width, height: height,
      pixels: pixels[..<kept] + [UInt8](repeating: 200, count: pixels.count - kept))
  }

  fileprivate func write(sheet path: String) throws {
    let file = try AtomicFile(path)
    switch Path(path).fileExtension {
    case "png": try file.write(encodePNG(self))
    case "jpg", "jpeg": try file.write(encodeJPEG(self, quality: 88))
    default:
      throw DVAEError(
        .usage, file: path, expected: "a sheet named .png or .jpg", found: "another name")
    }
    try file.commit()
  }
}
