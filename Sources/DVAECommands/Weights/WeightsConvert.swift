import ArgumentParser
import DVAEKit

/// `dvae weights convert`.
struct WeightsConvert: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Convert weights to one safetensors file, or to the files of another package.",
    usage: "dvae weights convert <inputs> ... --output <output> [<options>]",
    discussion: """
      Reads .pkl, .pt and .safetensors with OpenAI's names or those of Hugging Face's FLAVA, \
      executing nothing. The formats:
        dvae    one .safetensors, the official names behind 'encoder.' and
                'decoder.'
        dall_e  a folder for OpenAI's package: encoder.pt, decoder.pt, for
                dall_e.Encoder().load_state_dict(torch.load(…))
        flava   a folder for Hugging Face's
                FlavaImageCodebook.from_pretrained, the encoder alone:
                model.safetensors, config.json

      Example:
        dvae weights convert encoder.pkl decoder.pkl --output dvae.safetensors
        dvae weights convert openai --format flava --output codebook

      With --calibrate, 'dvae tokenize --precision int8' is scaled by photos of yours and begins at \
      once; else it measures a few that come with the program first.
      """)

  @Argument(
    help: "A weights file or folder, or an encoder's file and a decoder's.",
    completion: .modelFiles)
  var inputs: [String]

  @Option(
    name: .shortAndLong, help: "The .safetensors file or the folder to write.", completion: .file())
  var output: String

  @Option(help: "The layout to write.")
  var format = Format.dvae

  enum Format: String, CaseIterable, ExpressibleByArgument {
    case dvae
    case official = "dall_e"
    case flava

    /// Another package's layout; nil for this package's own.
    var layout: WeightsLayout? { WeightsLayout(rawValue: rawValue) }
  }

  @Flag(help: "Write half precision: half the size, a few tokens will differ (dvae).")
  var float16 = false

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "Measure on these photos how large the encoder's activations get, for int8 (dvae).",
      valueName: "path"), completion: .file())
  var calibrate: [String] = []

  @OptionGroup var overwrite: OverwriteOption
  @OptionGroup var quiet: QuietOption

  func validate() throws {
    guard (1...2).contains(inputs.count) else {
      throw ValidationError("expected one or two weights files, not \(inputs.count)")
    }
    try check(output: output)
    let isFile = output.lowercased().hasSuffix(".safetensors")
    guard format.layout == nil else {
      if isFile { throw ValidationError("--output must name a folder: \(output)") }
      if float16 || !calibrate.isEmpty {
        throw ValidationError("--float16 and --calibrate need --format dvae")
      }
      return
    }
    guard isFile else { throw ValidationError("--output must end in .safetensors: \(output)") }
  }

  func run() async throws {
    try overwrite.check(output)
    let weights =
      try inputs.count == 1 ? WeightsFiles(WeightsLocation(inputs[0])) : WeightsFiles(files: inputs)
    if let layout = format.layout {
      try weights.write(to: output, as: layout)
      return Console.current.print(output)
    }
    // A name that is taken is refused now, because measuring the photos takes minutes.
    try weights.refuse(output: output)
    try AtomicFile.check(output)
    let measured = try calibrate.isEmpty ? nil : measured(weights)
    try FileSystem.withFolder(of: output) {
      try weights.convert(to: output, float16: float16, calibration: measured?.calibration)
    }
    Console.current.print(output)
    if let measured, measured.failed > 0 {
      throw FinishedWithFailures(failed: measured.failed, total: measured.total)
    }
  }

  /// Calibrates on the photos; some of them may be unusable.
  private func measured(
    _ weights: WeightsFiles
  ) throws -> (calibration: Calibration, failed: Int, total: Int) {
    let photos = try BulkInputs(calibrate, for: .jsonLines)
    var calibrator = try Calibrator(weights)
    let total = photos.fingerprint.count
    var failed = 0
    var notes = FailureNotes(toEnlarge: nil)
    defer { notes.finish() }
    for item in photos.items() {
      do {
        let image = try item.image.get()
        try calibrator.add(image.decode(), name: image.name)
      } catch let error as DVAEError where error.isOfItem {
        notes.add(error)
        failed += 1
      }
    }
    guard failed < total else {
      throw DVAEError(
        .badData, file: calibrate.joined(separator: ", "), "none of the \(total) photos can be used"
      )
    }
    return (calibrator.calibration, failed, total)
  }
}
