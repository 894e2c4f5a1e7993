public import ArgumentParser
import DVAECPUEngine
package import DVAEKit
import DVAEDeviceModel
import DVAEProgram
import Foundation

/// The model and its precision.
struct ModelOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The model: a folder with encoder and decoder files (.pkl, .pt, .safetensors), one "
        + ".safetensors, or a name: 'starter' (unless given), 'openai' or 'random'.",
      valueName: "path"), completion: .model)
  var weights: String?

  @OptionGroup var device: DeviceOption

  @Option(help: "Threads to compute with (default: one per core).")
  var threads: Int?

  func validate() throws {
    if let threads { try check("threads", threads, atMost: CPUEngine.mostThreads) }
  }

  func load(
    only half: ModelHalf? = nil, precision: Precision = .float32, singlePass: Bool = false
  ) throws -> DiscreteVAE {
    try DiscreteVAE.load(
      Self.location(weights), only: half, precision: precision,
      singlePass: singlePass, threads: threads, device: device.device)
  }

  /// Returns the model of --weights; without it the starter model, which is then named.
  static func location(_ weights: String?) -> WeightsLocation {
    if let weights { return WeightsLocation(weights) }
    Console.current.note("using the starter model, which is small; --weights names another")
    return .starter
  }
}

/// The model, and how its device computes batches of images or grids of one size.
struct BatchedModelOptions: ParsableArguments {
  @OptionGroup var model: ModelOptions

  @Option(help: "Images that go through the network together (default: 1; 32 on a device).")
  var batchSize: Int?

  @Option(
    help: ArgumentHelp(
      "On a device compute in float32, tf32, bfloat16 or float16.",
      valueName: "float32|tf32|bfloat16|float16"))
  var precision = ProgramPrecision.float32

  func validate() throws {
    if let batchSize { try check("batch-size", batchSize, atMost: 4096) }
    if model.device.isCPU, precision != .float32 {
      throw ValidationError("--precision \(precision.rawValue) needs another --device than cpu")
    }
  }

  /// The number of images in a batch.
  var images: Int { batchSize ?? model.device.usualBatch }

  func load(only half: ModelHalf? = nil, singlePass: Bool = false) throws -> DiscreteVAE {
    try model.load(only: half, precision: Precision(precision), singlePass: singlePass)
  }
}

/// The device that computes.
struct DeviceOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Where to compute: cpu, or a device of 'dvae devices', or the path of a PJRT plugin.",
      valueName: "name"), completion: .device)
  var device = "cpu"

  var isCPU: Bool { device == "cpu" }

  /// The number of images in a batch unless an option says otherwise: a device computes many as fast as
  /// one.
  var usualBatch: Int { isCPU ? 1 : 32 }
}

/// The preprocessing of images.
struct ImageOptions: ParsableArguments {
  @Option(
    name: .customLong("preprocessing"),
    help: ArgumentHelp(
      "The preprocessing of a published model: openai (256 pixels, center), beit (112, bounded) or flava "
        + "(112, stretch); the last two enlarge. The options below change parts of it.",
      valueName: "openai|beit|flava"))
  var name = Preprocessing.Name.openai

  @Option(
    help: "Side of the square the encoder sees, in pixels; a multiple of 8 (default: 256 or 112).")
  var resolution: Int?

  @Option(
    help: ArgumentHelp(
      "How an image becomes that square: center (short side to the resolution, then the middle), "
        + "stretch, bounded (an aspect ratio of 3:4 to 4:3 around the middle, then stretched), or "
        + "none (keep the size, cut to multiples of 8).",
      valueName: "center|stretch|bounded|none"))
  var crop: Preprocessing.CropMode?

  @Flag(help: "Enlarge images that are smaller than the resolution, which are otherwise errors.")
  var upscale = false

  @Option(help: "Refuse images that claim more pixels than this.")
  var maxPixels = DecodingLimits.default.maximumPixels

  func validate() throws {
    if crop == Preprocessing.CropMode.none {
      try CommandWords.refuse(
        "--resolution", "--upscale", reason: "means nothing with --crop none, which keeps the size")
    }
    if let problem = problem(of: { try preprocessing.validate() }) {
      throw ValidationError("--resolution: \(problem)")
    }
    try check(maxPixels: maxPixels)
  }

  /// The option that enlarges images; nil where they keep their size.
  var toEnlarge: String? { crop == Preprocessing.CropMode.none ? nil : "--upscale" }

  var preprocessing: Preprocessing {
    var settings = Preprocessing(name)
    if let resolution { settings.resolution = resolution }
    if let crop { settings.crop = crop }
    if upscale { settings.upscale = true }
    return settings
  }

  var limits: DecodingLimits { DecodingLimits(maximumPixels: maxPixels) }
}

/// Returns the error that a check throws, in words.
func problem(of check: () throws -> Void) -> String? {
  do {
    try check()
    return nil
  } catch {
    return "\(error)"
  }
}

extension Preprocessing.Name: ExpressibleByArgument {}
extension Preprocessing.CropMode: ExpressibleByArgument {}
extension Precision: ExpressibleByArgument {}

/// The options for the output of an interrupted run.
struct InterruptedJobOptions: ParsableArguments {
  @Flag(help: "Continue an interrupted run of the same job.")
  var resume = false

  @Flag(help: "Discard the unfinished output of an interrupted run.")
  var restart = false

  func validate() throws {
    if resume && restart { throw ValidationError("--resume and --restart exclude each other") }
  }

  var start: JobStart { resume ? .resuming : restart ? .restarting : .fresh }
}

/// The shard that this process works on.
struct ShardOption: ParsableArguments {
  @Option(help: ArgumentHelp("Do only part I (from 0) of N.", valueName: "I/N"))
  var shard: String?

  /// Returns the requested shard, else the one in a scheduler's variables, else the complete job.
  func chosen(_ console: Console) throws -> Shard {
    if let shard { return try Shard(shard) }
    guard let (shard, variables) = try Shard.scheduled(ProcessInfo.processInfo.environment),
      shard.count > 1
    else { return .whole }
    console.note("doing part \(shard) of the job, by \(variables) (--shard 0/1 for the whole)")
    return shard
  }
}

/// The option to print less.
struct QuietOption: ParsableArguments {
  @Flag(name: .shortAndLong, help: "Show no progress; notes and errors are still reported.")
  var quiet = false
}

/// The option for machine-readable results.
struct JSONOption: ParsableArguments {
  @Flag(help: "Print the results as JSON.")
  var json = false

  /// Prints a result: as one line of JSON, with sorted keys in snake case, or else as lines of text.
  func print(_ report: some Encodable, or lines: @autoclosure () -> [String] = []) throws {
    Console.current.print(
      lines: json
        ? [String(decoding: try jsonText(report, .snakeCase), as: UTF8.self)] : lines())
  }
}

/// Refuses an output without a name, which would go to the root folder, and `-`, which means
/// standard output to other programs.
func check(output path: String) throws {
  if path.isEmpty { throw ValidationError("--output must name a file or a folder") }
  if path == "-" {
    throw ValidationError("--output: '-' is not a file; './-' is one of that name")
  }
}

/// Refuses an output folder with the extension of a file, unless there is such a folder.
func check(outputFolder path: String) throws {
  try check(output: path)
  let name = Path(path)
  let isOfFile =
    name.hasImageExtension || name.hasOtherImageExtension || name.isArchive
    || (try? TokenFormat(path: path)).map { $0 != .folder } == true
  guard isOfFile, FileSystem.kind(path) != .folder else { return }
  throw ValidationError(
    "--output names a folder here, but '\(path)' has the extension of a file; try '\(name.withoutExtension)'"
  )
}

/// Refuses a limit of pixels that no image, or any, would meet.
func check(maxPixels: Int) throws { try check("max-pixels", maxPixels, atMost: 1 << 32) }

/// Refuses a number below 1 or implausibly large.
func check(_ flag: String, _ value: Int, atMost most: Int) throws {
  guard (1...most).contains(value) else {
    throw ValidationError("--\(flag) must be from 1 to \(most), not \(value)")
  }
}
