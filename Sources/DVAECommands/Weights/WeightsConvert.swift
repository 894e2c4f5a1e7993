import ArgumentParser
import DVAEKit
import DVAEModel
import ImagePipeline

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
    let weights = try inputs.count == 1 ? WeightsFiles(inputs[0]) : WeightsFiles(files: inputs)
    try FileSystem.makeFolder(FileSystem.folder(of: output))
    try weights.convert(to: output, float16: float16, ranges: try ranges(weights))
    Console.current.print(output)
  }

  private func ranges(_ weights: WeightsFiles) throws -> ActivationRanges? {
    guard !calibrate.isEmpty else { return nil }
    var meter = try RangeMeter(weights)
    var items = try BulkInputs(calibrate, for: .jsonLines).items()
    while let item = items.next() {
      let image = try item.image.get()
      try meter.add(image.decode(), name: image.name)
    }
    return meter.ranges
  }
}
