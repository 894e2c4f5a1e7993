import DVAEFiles
import ArgumentParser
import DVAEKit
import DVAEModel
import DVAEImages

/// `dvae weights convert`.
struct WeightsConvert: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Put weights into one safetensors file.",
    discussion: """
      Reads .pkl, .pt and .safetensors with OpenAI's names or those of Hugging Face's FLAVA, \
      executing nothing. Writes the official names behind 'encoder.' and 'decoder.'.

      Example:
        dvae weights convert encoder.pkl decoder.pkl --output dvae.safetensors
      With --calibrate, 'dvae tokenize --precision int8' is scaled by photos of yours and begins at \
      once; else it measures a few that come with the program first.
      """)

  @Argument(help: "A weights file or folder, or an encoder's file and a decoder's.")
  var inputs: [String]

  @Option(name: .shortAndLong, help: "The .safetensors file to write.")
  var output: String

  @Flag(help: "Write half precision: half the size, a few tokens will differ.")
  var float16 = false

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "Measure on these photos how large the encoder's activations get, for int8.",
      valueName: "path"))
  var calibrate: [String] = []

  func validate() throws {
    guard (1...2).contains(inputs.count) else {
      throw ValidationError("expected one or two weights files, not \(inputs.count)")
    }
    guard output.lowercased().hasSuffix(".safetensors") else {
      throw ValidationError("--output must end in .safetensors: \(output)")
    }
  }

  func run() async throws {
    let weights =
      try inputs.count == 1 ? WeightsFiles(WeightsLocation(inputs[0])) : WeightsFiles(files: inputs)
    try FileSystem.makeFolder(Path(output).folder.text)
    guard !calibrate.isEmpty else {
      try weights.convert(to: output, float16: float16, ranges: nil)
      return Console.current.print(output)
    }
    let photos = try BulkInputs(calibrate, for: .jsonLines)
    var meter = try RangeMeter(weights)
    let failed = try measure(photos, with: &meter)
    let total = photos.fingerprint.count
    guard failed < total else {
      throw DVAEError(
        .badData, file: calibrate.joined(separator: ", "), "none of the \(total) photos can be used"
      )
    }
    try weights.convert(to: output, float16: float16, ranges: meter.ranges)
    Console.current.print(output)
    if failed > 0 { throw FinishedWithFailures(failed: failed, total: total) }
  }

  /// Returns how many of the photos could not be used.
  private func measure(_ photos: BulkInputs, with meter: inout RangeMeter) throws -> Int {
    var failed = 0
    for item in photos.items() {
      do {
        let image = try item.image.get()
        try meter.add(image.decode(), name: image.name)
      } catch  where ExitStatus.isOfItem(error) {
        Console.current.note("dvae: \(error)")
        failed += 1
      }
    }
    return failed
  }
}
