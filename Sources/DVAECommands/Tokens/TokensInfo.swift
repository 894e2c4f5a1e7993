import ArgumentParser
import DVAEKit

/// `dvae tokens info`.
struct TokensInfo: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info",
    abstract: "Describe token files and their provenance.",
    discussion: """
      Example:
        dvae tokens info tokens.npy
      """)

  @Argument(help: "Files or folders of tokens, of any form.", completion: .file())
  var tokens: [String]

  @OptionGroup var json: JSONOption
  @OptionGroup var quiet: QuietOption

  func run() async throws {
    let console = Console.current
    var (reports, failures) = ([TokensReport](), [any Error]())
    for path in try NumberedTokens.expanded(tokens) {
      do {
        let report = try TokensReport(path)
        reports.append(report)
        if !json.json { console.print(lines: report.lines) }
      } catch let error as DVAEError {
        console.note("dvae: \(error.line(of: Self.self))")
        failures.append(error)
      }
    }
    try json.print(reports)
    guard let first = failures.first else { return }
    throw FinishedWithFailures(
      failed: failures.count, total: failures.count + reports.count, what: "could not be read",
      status: ExitStatus.of(first) ?? ExitStatus.badData)
  }
}

/// The description of a file of tokens.
struct TokensReport: Encodable {
  var path: String
  var format: String
  var bytes: Int
  var images: Int
  /// The number of images with each grid, by `rows×columns`.
  var grids: [String: Int]
  var failures: Int
  var provenance: Provenance?
  /// The reason for which the file is not the complete output of its job; nil if it is.
  var problem: String?

  init(_ path: String) throws {
    let reader = try TokenReader(contentsOf: path)
    self.path = path
    format = reader.format.rawValue
    bytes = reader.format.files(path).reduce(0) { $0 + (FileSystem.size($1) ?? 0) }
    failures = try reader.failures().count
    provenance = reader.provenance
    if let extent = reader.extent {
      images = extent.count
      grids = extent.count > 0 ? ["\(extent.grid[0])×\(extent.grid[1])": extent.count] : [:]
      return
    }
    (images, grids) = (0, [:])
    for item in reader {
      do {
        let grid = try item.get().grid
        images += 1
        grids["\(grid.height)×\(grid.width)", default: 0] += 1
      } catch let error as DVAEError where error.code == .incomplete {
        // The rest of the description is right all the same.
        problem = error.description
      }
    }
  }

  var lines: [String] {
    var lines = [path]
    let size = format == TokenFormat.folder.rawValue ? "" : ", \(bytes) bytes"
    lines.append("  form          \(format)\(size)")
    lines.append("  images        \(images), failures \(failures)")
    for (grid, count) in grids.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
      lines.append("  grid          \(grid)" + (grids.count > 1 ? ": \(count)" : ""))
    }
    if let problem { lines.append("  incomplete    \(problem)") }
    guard let provenance else { return lines + ["  provenance    none"] }
    let (weights, architecture) = (provenance.weights, provenance.architecture)
    lines.append("  weights       \(weights.file)")
    lines.append("                SHA-256 \(weights.sha256)")
    lines.append(
      "  architecture  n_hid \(architecture.hidden), vocabulary \(architecture.vocabulary)")
    let preprocessing = provenance.preprocessing
    lines.append(
      "  preprocessing " + (preprocessing.name.map { "\($0.rawValue): " } ?? "")
        + "resolution \(preprocessing.resolution), crop "
        + "\(preprocessing.crop.rawValue)\(preprocessing.upscale ? ", smaller images enlarged" : "")"
    )
    lines.append("  inputs        \(provenance.inputs.count)")
    lines.append("                SHA-256 \(provenance.inputs.sha256)")
    let shards = provenance.heldShards
    if let first = shards.first {
      lines.append(
        "  shard         \(first)" + (shards.count > 1 ? " and \(shards.count - 1) more" : ""))
    }
    if let soft = provenance.soft {
      let kept = [soft.topK.map { "top \($0)" }, soft.margin ? "margin" : nil]
      lines.append("  soft tokens   " + kept.compactMap(\.self).joined(separator: ", "))
    }
    lines.append("  made by       version \(provenance.version), \(provenance.engine)")
    return lines
  }
}
