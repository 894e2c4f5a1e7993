import DVAEDeviceModel
public import ArgumentParser
package import DVAEKit
package import DVAEProgram

/// `dvae export`.
struct ExportCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Write a model for other programs: ONNX, StableHLO or PyTorch.",
    usage: "dvae export --half <half> --output <output> [<options>]",
    discussion: """
      onnx: opset 17, any batch and size. The encoder takes 'pixels', uint8 [N, H, W, 3], and gives \
      'tokens', int64 [N, H/8, W/8]; the decoder takes 'tokens' and gives 'pixels'. Only resizing \
      is needed before it. Sides that are not multiples of 8 and tokens outside of \
      the vocabulary are errors of the runtime that name the node.
      stablehlo: text for XLA and its tools, for one batch and size; the parameters are arguments.
      pytorch: the state dict of one half, which torch.load reads.

      Example:
        dvae export --half encoder --weights openai --output encoder.onnx
      """)

  enum Format: String, CaseIterable, ExpressibleByArgument {
    case onnx, stablehlo, pytorch

    /// The extensions that programs expect.
    var extensions: [String] {
      switch self {
      case .onnx: ["onnx"]
      case .stablehlo: ["mlir", "stablehlo"]
      case .pytorch: ["pt", "pth", "bin", "pkl"]
      }
    }
  }

  @Option(help: "The form of the file.") var format = Format.onnx

  @Option(help: "The half of the model.") var half: ModelHalf

  @Option(
    help: ArgumentHelp(
      "The model, as in 'dvae tokenize'.", valueName: "path"), completion: .model)
  var weights: String?

  @Option(name: .shortAndLong, help: "The file to write.", completion: .file()) var output: String

  @Flag(help: "Give an encoder's logits too (onnx, stablehlo).") var logits = false

  @Flag(help: "Give a decoder's statistics too: μ, then ln b (onnx, stablehlo).")
  var statistics = false

  @Option(help: "Images in a batch (stablehlo; default: 1).") var batch: Int?

  @Option(help: "Rows of pixels, a multiple of 8 (stablehlo; default: 256).") var height: Int?

  @Option(help: "Columns of pixels, a multiple of 8 (stablehlo; default: 256).") var width: Int?

  @Option(help: "The precision of activations (stablehlo; default: float32).")
  var precision: ProgramPrecision?

  @Option(
    help:
      "The names of the parameters (pytorch): OpenAI's or those of Hugging Face's FLAVA (default: official)."
  )
  var names: ModelExport.Names?

  @OptionGroup var overwrite: OverwriteOption
  @OptionGroup var quiet: QuietOption

  /// The options that only some formats have: the name, whether it is given, and the formats.
  private var optionsOfFormats: [(name: String, isGiven: Bool, formats: [Format])] {
    [
      ("logits", logits, [.onnx, .stablehlo]), ("statistics", statistics, [.onnx, .stablehlo]),
      ("batch", batch != nil, [.stablehlo]), ("height", height != nil, [.stablehlo]),
      ("width", width != nil, [.stablehlo]), ("precision", precision != nil, [.stablehlo]),
      ("names", names != nil, [.pytorch]),
    ]
  }

  func validate() throws {
    try check(output: output)
    for option in optionsOfFormats where option.isGiven && !option.formats.contains(format) {
      throw ValidationError(
        "--\(option.name) is an option of --format "
          + "\(option.formats.map(\.rawValue).joined(separator: " and ")), not of \(format.rawValue)"
      )
    }
    if let batch { try check("batch", batch, atMost: 65_536) }
    for (name, side) in [("height", height), ("width", width)] {
      guard let side else { continue }
      try check(name, side, atMost: 65_536)
      guard side % Architecture.pixelsPerToken == 0 else {
        throw ValidationError("--\(name) must be a multiple of 8, not \(side)")
      }
    }
    let suffix = Path(output).fileExtension.lowercased()
    guard format.extensions.contains(suffix) else {
      let names = format.extensions.map { "." + $0 }.joined(separator: ", ")
      throw ValidationError(
        "--output \(output): expected the extension of \(format.rawValue) (\(names)): change it, or --format"
      )
    }
    if logits && half == .decoder { throw ValidationError("--logits are an encoder's") }
    if statistics && half == .encoder { throw ValidationError("--statistics are a decoder's") }
  }

  func run() async throws {
    try overwrite.check(output)
    try AtomicFile.check(output)
    let model = try await ModelExport(ModelOptions.location(weights), half)
    try FileSystem.withFolder(of: output) {
      switch format {
      case .onnx: try model.writeONNX(to: output, showsLikelihood: logits || statistics)
      case .stablehlo:
        try model.writeStableHLO(
          to: output, batch: batch ?? 1, height: height ?? 256, width: width ?? 256,
          precision: Precision(precision ?? .float32),
          showsLikelihood: logits || statistics)
      case .pytorch: try model.writeStateDict(to: output, names: names ?? .official)
      }
    }
    Console.current.print(output)
  }
}

extension ModelHalf: ExpressibleByArgument {}
extension ProgramPrecision: ExpressibleByArgument {}
extension ModelExport.Names: ExpressibleByArgument {}
