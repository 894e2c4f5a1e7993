import DVAEFiles
import DVAEKit
import DVAEModel
import DVAETraining
import Foundation
import DVAEImages
import DVAEWeights

/// Watches a run: the line on the console, the tables and pictures in its folder.
struct TrainingReporter: TrainingObserver {
  private let folder: RunFolder
  private let configuration: TrainingConfiguration
  private let images: Int
  private let machine: String
  private let signals: StopSignals
  private let quiet: Bool
  private let console: Console
  private let metrics: OutputFile
  private let validation: OutputFile
  private let events: EventLog
  private var history: RunHistory
  private var validationHistory: RunHistory
  /// The newest validation since the program started.
  private(set) var validated: ValidationRecord?
  private var grids: [RunReport.Picture] = []
  private var shown = ContinuousClock.now - .seconds(60)
  private var pace = Pace()

  /// Opens the files of a run, cut back to the update that it goes on from.
  init(
    _ folder: RunFolder, _ configuration: TrainingConfiguration, from update: Int,
    images: Int, machine: String, signals: StopSignals, quiet: Bool, _ console: Console
  ) throws {
    self.folder = folder
    self.configuration = configuration
    self.images = images
    self.machine = machine
    self.signals = signals
    self.quiet = quiet
    self.console = console
    metrics = try Table.open(folder.metrics, columns: UpdateRecord.columns, upTo: update)
    validation = try Table.open(
      folder.validation, columns: ValidationRecord.columns, upTo: update)
    history = RunHistory(folder.metrics, columns: UpdateRecord.columns)
    validationHistory = RunHistory(folder.validation, columns: ValidationRecord.columns)
    events = try EventLog(folder.path, from: update, of: configuration.updates)
  }

  var shouldStop: Bool { signals.signalNumber != nil }

  mutating func didUpdate(_ record: UpdateRecord) throws {
    try metrics.append(Array((record.row + "\n").utf8))
    history.append(record.row)
    try events.append(record)
    pace.add(record)
    guard !quiet else { return }
    let now = ContinuousClock.now
    let isLast = record.update == configuration.updates
    guard isLast || now - shown >= (console.isTerminal ? .milliseconds(200) : .seconds(30)) else {
      return
    }
    shown = now
    let line = line(record)
    if console.isTerminal && !isLast { console.draw(line) } else { console.note(line) }
  }

  mutating func didValidate(_ record: ValidationRecord, _ pictures: ValidationPictures) throws {
    try validation.append(Array((record.row + "\n").utf8))
    validationHistory.append(record.row)
    validated = record
    let grid = PictureGrid(pictures).image
    let png = try grid.map(encodePNG)
    if let png {
      let name = String(format: "%09d.png", record.update)
      let file = try AtomicFile(folder.images + "/" + name)
      try file.write(png)
      try file.commit()
    }
    try events.append(record, grid, png: png)
    try writeReport(record, grid)
    guard !quiet else { return }
    console.note(
      String(
        format: "update %d validated: reconstruction %.4f, KL %.3f nats, PSNR %.2f dB, ",
        record.update, record.reconstruction, record.kl, record.psnr)
        + String(
          format: "%d of %d codes, perplexity %.0f", record.codebook.used,
          record.codebook.counts.count, record.codebook.perplexity))
  }

  mutating func didSave(_ path: String, update: Int) throws {
    try metrics.sync()
    try validation.sync()
  }

  mutating func didNotice(_ warning: String) throws { console.note("warning: \(warning)") }

  /// Rewrites the page and the card.
  private mutating func writeReport(_ record: ValidationRecord, _ grid: PixelImage?) throws {
    // The first pictures and the latest tell enough.
    if let grid {
      grids = Array(grids.prefix(1)) + [try RunReport.Picture(grid, update: record.update)]
    }
    let report = RunReport(
      title: "Run \(Path(folder.path).name)",
      status: "After update \(record.update) of \(configuration.updates): reconstruction "
        + String(
          format: "%.4f nats per value, KL %.3f nats per token, PSNR %.2f dB.",
          record.reconstruction, record.kl, record.psnr),
      training: history.curves, validation: validationHistory.curves, pictures: grids.reversed(),
      codebook: record.codebook,
      configuration: String(decoding: try configuration.json(), as: UTF8.self))
    try write(report.html, to: folder.report)
    let card = ModelCard(
      configuration: configuration, update: record.update, images: images,
      hours: history.secondsPerImage * Double(configuration.batchSize) / 3600, machine: machine,
      validation: record)
    try write(card.markdown, to: folder.modelCard)
  }

  private func write(_ text: String, to path: String) throws {
    let file = try AtomicFile(path)
    try file.write(text)
    try file.commit()
  }

  /// Takes the line away.
  func finish() {
    if !quiet, console.isTerminal { console.draw("") }
  }

  private func line(_ record: UpdateRecord) -> String {
    let left = Double(configuration.updates - record.update) * pace.seconds
    return "\(record.update)/\(configuration.updates)"
      + String(
        format: ", loss %.4f, reconstruction %.4f, KL %.3f nats, τ %.3f, β %.2f, ",
        record.loss, record.reconstruction, record.kl, record.temperature, record.klWeight)
      + String(
        format: "step size %.2e, gradient %.3f, %.2f images/s, ", record.learningRate,
        record.gradientNorm, Double(record.images) / pace.seconds)
      + String(
        format: "%.0f%% waiting for data, %@ left", 100 * pace.waiting / pace.seconds,
        Progress.clock(left))
  }
}

/// Seconds per update of late.
private struct Pace {
  var seconds = 0.0
  var waiting = 0.0
  private var count = 0.0

  mutating func add(_ record: UpdateRecord) {
    count = min(count + 1, 20)
    seconds += (record.seconds - seconds) / count
    waiting += (record.waiting - waiting) / count
  }
}

/// A table whose rows begin with the update that they are about.
enum Table {
  /// Opens a table to append to it; rows after `update`, and half of a row, are cut off.
  static func open(_ path: String, columns: String, upTo update: Int) throws -> OutputFile {
    let file = try OutputFile(path, emptied: false)
    let header = Array((columns + "\n").utf8)
    let bytes = try file.read(file.size, at: 0)
    var end = bytes.starts(with: header) ? header.count : 0
    while end > 0, let newline = bytes[end...].firstIndex(of: UInt8(ascii: "\n")) {
      let first = bytes[end..<newline].prefix { $0 != UInt8(ascii: ",") }
      guard let row = Int(String(decoding: first, as: UTF8.self)), row <= update else { break }
      end = newline + 1
    }
    try file.truncate(to: end)
    if end == 0 { try file.append(header) }
    return file
  }
}
