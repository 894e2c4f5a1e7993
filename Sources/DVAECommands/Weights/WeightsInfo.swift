import ArgumentParser
import DVAEKit
import DVAETensors
import DVAEWeights

/// `dvae weights info`.
struct WeightsInfo: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info",
    abstract: "Describe weights.",
    discussion: """
      Opens the weights as every command does, so that what is missing or wrong is named. Nothing \
      in a file is executed.

      Example:
        dvae weights info encoder.pkl
      """)

  @Argument(
    help: "A weights file, a folder of them, or a name: 'starter' or 'openai'.",
    completion: .modelFiles)
  var weights: String

  @OptionGroup var json: JSONOption
  @OptionGroup var quiet: QuietOption

  func run() async throws {
    let report = try WeightsReport(WeightsFiles(WeightsLocation(weights)))
    try json.print(report, or: report.lines)
  }
}

/// The description of weights.
struct WeightsReport: Encodable {
  /// One file.
  struct File: Encodable {
    var path: String
    var format: WeightsFile.Format
    var bytes: Int
    var sha256: String
    var dtypes: [String]
    var metadata: [String: String]
  }

  /// The encoder or decoder.
  struct Half: Encodable {
    var parameters: Int
    var tensors: Int
  }

  var files: [File]
  var architecture: Architecture
  var encoder: Half?
  var decoder: Half?

  init(_ weights: WeightsFiles) throws {
    files = try weights.files.map { file in
      File(
        path: file.path, format: file.format, bytes: FileSystem.size(file.path) ?? 0,
        sha256: try FileHash.of(file.path),
        dtypes: Set(file.tensors.map(\.elementType.rawValue)).sorted(),
        metadata: file.metadata.byText)
    }
    architecture = weights.model.architecture
    let half = { (half: ModelHalf) in
      weights.parameters(half).map { set in
        Half(
          parameters: set.parameters.reduce(0) { $0 + $1.values.count },
          tensors: set.parameters.count)
      }
    }
    (encoder, decoder) = (half(.encoder), half(.decoder))
  }

  var lines: [String] {
    var lines: [String] = []
    for file in files {
      lines.append("\(file.path)")
      lines.append("  format        \(file.format.name), \(file.bytes) bytes")
      lines.append("  numbers       \(file.dtypes.joined(separator: ", "))")
      lines.append("  SHA-256       \(file.sha256)")
      for (name, value) in file.metadata.sorted(by: { $0.key < $1.key }) {
        lines += Self.wrapped(name, value)
      }
    }
    for (name, half) in [("encoder", encoder), ("decoder", decoder)] {
      lines.append(
        "\(name)         "
          + (half.map { "\($0.parameters) parameters in \($0.tensors) tensors" } ?? "not in there"))
    }
    let a = architecture
    lines.append(
      "architecture    n_hid \(a.hidden), \(counted(a.blocksPerGroup, "block")) per group, vocabulary \(a.vocabulary)"
    )
    lines.append(
      "                n_init \(a.initial), channels \(a.inputChannels) to \(a.outputChannels)")
    return lines
  }

  /// Returns lines of at most 80 characters, broken after commas: metadata is often JSON without blanks.
  private static func wrapped(_ name: String, _ value: String) -> [String] {
    let line = "  \(name): \(value)"
    if line.count <= 80 { return [line] }
    var lines = ["  \(name):", "    "]
    for part in value.split(separator: ",", omittingEmptySubsequences: false) {
      let last = lines[lines.count - 1]
      if last.count + part.count >= 80, last != "    " { lines.append("    ") }
      lines[lines.count - 1] += part + ","
    }
    lines[lines.count - 1].removeLast()
    return lines
  }
}
