import DVAEFiles
import DVAEImages
import DVAEModel
import DVAEReports
import DVAETensors
import DVAETraining

/// Reports a run: the line on the console, and the tables, pictures and pages in its folder.
struct TrainingReporter: TrainingObserver {
  private let folder: RunFolder
  private let configuration: TrainingConfiguration
  private let signals: StopSignals
  private let quiet: Bool
  private let console: Console
  private let metrics: OutputFile
  private let validation: OutputFile
  private let events: EventLog
  private var history: RunHistory
  private var validationHistory: RunHistory
  private var summary: RunSummary
  private var schedule = ReportSchedule(start: .now)
  private var shown = ContinuousClock.now - .seconds(60)
  private var pace = Pace()
  /// The update that the run resumes from.
  private let first: Int

  /// Opens the files of a run, truncated to the update that it resumes from.
  init(
    _ folder: RunFolder, _ configuration: TrainingConfiguration, from update: Int,
    images: Int, machine: String, signals: StopSignals, quiet: Bool, _ console: Console
  ) throws {
    self.folder = folder
    first = update
    self.configuration = configuration
    self.signals = signals
    self.quiet = quiet
    self.console = console
    metrics = try openTable(folder.metrics, columns: UpdateRecord.columns, upTo: update)
    validation = try openTable(
      folder.validation, columns: ValidationRecord.columns, upTo: update)
    history = RunHistory(folder.metrics, columns: UpdateRecord.columns)
    validationHistory = RunHistory(folder.validation, columns: ValidationRecord.columns)
    events = try EventLog(folder.path, from: update, of: configuration.updates)
    summary = RunSummary(
      name: folder.name, configuration: configuration, update: update,
      images: images, seconds: 0, machine: machine)
    summary.validated = RunSummary.Validation(validationHistory.lastRow)
    // A resumed run keeps its pages until there is something new.
    if update == 0 { try writePages() }
  }

  /// The newest validation.
  var validated: RunSummary.Validation? { summary.validated }

  var shouldStop: Bool { signals.shouldStop }

  var wantsPictures: Bool { schedule.wantsPictures(at: .now) }

  mutating func didUpdate(_ record: UpdateRecord) throws {
    try metrics.append(Array((record.row + "\n").utf8))
    history.append(record.row)
    try events.append(record)
    pace.add(record)
    summary.update = record.update
    let now = ContinuousClock.now
    if schedule.wantsPages(at: now) { try writePages() }
    guard !quiet else { return }
    let isLast = record.update == configuration.updates
    guard isLast || now - shown >= console.pause else { return }
    shown = now
    if isLast, console.isTerminal {
      console.note(
        "update \(record.update): loss \(Numbers.fixed(record.loss, 4)), reconstruction "
          + "\(Numbers.fixed(record.reconstruction, 4)), KL \(Numbers.fixed(record.kl, 3)) nats")
    } else {
      console.draw(fields(record))
    }
  }

  mutating func didDraw(_ pictures: ValidationPictures, update: Int) throws {
    guard let grid = pictures.grid else { return }
    try AtomicFile.write(encodePNG(grid), to: folder.images + "/preview.png")
    try show(grid, update)
    try writePages()
  }

  mutating func didValidate(_ record: ValidationRecord, _ pictures: ValidationPictures) throws {
    try validation.append(Array((record.row + "\n").utf8))
    validationHistory.append(record.row)
    summary.validated = RunSummary.Validation(record)
    summary.codebook = record.codebook
    let grid = pictures.grid
    let png = try grid.map(encodePNG)
    if let png {
      try AtomicFile.write(png, to: folder.images + "/\(zeroPadded(record.update, 9)).png")
    }
    try events.append(record, grid, png: png)
    if let grid { try show(grid, record.update) }
    try writePages()
    guard !quiet else { return }
    console.note(
      "validation after update \(record.update): PSNR \(Numbers.fixed(record.psnr, 2)) dB, "
        + "\(record.codebook.used) of \(record.codebook.counts.count) codes")
  }

  mutating func didSave(_ path: String, update: Int) throws {
    try metrics.sync()
    try validation.sync()
  }

  mutating func didNotice(_ warning: String) throws { console.note("warning: \(warning)") }

  /// Updates the pages, if there is something new, and clears the line.
  mutating func finish() throws {
    if summary.update > first { try writePages() }
    if !quiet { console.draw([]) }
  }

  /// Only the first pictures and the latest are shown.
  private mutating func show(_ grid: PixelImage, _ update: Int) throws {
    let picture = (title: "After update \(update)", jpeg: try encodeJPEG(grid, quality: 85))
    summary.pictures = [picture] + summary.pictures.suffix(1)
    schedule.drew(at: .now)
  }

  /// Rewrites the page and the model card.
  private mutating func writePages() throws {
    summary.training = history.curves
    summary.validation = validationHistory.curves
    summary.seconds = history.secondsPerImage * Double(configuration.batchSize)
    try AtomicFile.write(Array(summary.page.html.utf8), to: folder.report)
    try AtomicFile.write(Array(summary.modelCard.utf8), to: folder.modelCard)
    schedule.wrote(at: .now)
  }

  /// Returns the fields of the progress line, the most important first, because only these fit into a narrow terminal.
  private func fields(_ record: UpdateRecord) -> [String] {
    let left = Double(configuration.updates - record.update) * pace.seconds
    return [
      "\(record.update)/\(configuration.updates)", "\(Numbers.clock(seconds: left)) left",
      "loss \(Numbers.fixed(record.loss, 4))",
      "\(Numbers.fixed(Double(record.images) / pace.seconds, 2)) images/s",
      "reconstruction \(Numbers.fixed(record.reconstruction, 4))",
      "KL \(Numbers.fixed(record.kl, 3)) nats",
      "τ \(Numbers.fixed(record.temperature, 3))", "β \(Numbers.fixed(record.klWeight, 2))",
      "learning rate \(Numbers.scientific(record.learningRate, 2))",
      "gradient \(Numbers.fixed(record.gradientNorm, 3))",
      "\(Numbers.percent(pace.waiting / pace.seconds)) waiting for data",
    ]
  }
}

/// The schedule for rewriting the pages of a run and for pictures between validations.
package struct ReportSchedule {
  private var pages: ContinuousClock.Instant?
  private var pictures: ContinuousClock.Instant?
  private let start: ContinuousClock.Instant

  private static let pageInterval = Duration.seconds(60)
  // Pictures cost about as much as an update: soon the first time, then rarely.
  private static let firstPictures = Duration.seconds(20)
  private static let pictureInterval = Duration.seconds(600)

  /// Starts the schedule.
  package init(start: ContinuousClock.Instant) { self.start = start }

  /// Returns whether the pages should be rewritten.
  package func wantsPages(at now: ContinuousClock.Instant) -> Bool {
    pages.map { now - $0 >= Self.pageInterval } ?? true
  }

  /// Returns whether pictures are wanted.
  package func wantsPictures(at now: ContinuousClock.Instant) -> Bool {
    pictures.map { now - $0 >= Self.pictureInterval } ?? (now - start >= Self.firstPictures)
  }

  /// Records that the pages were written.
  package mutating func wrote(at now: ContinuousClock.Instant) { pages = now }

  /// Records that pictures were made.
  package mutating func drew(at now: ContinuousClock.Instant) { pictures = now }
}

extension ValidationPictures {
  /// A row per image: original, soft, hard and the error of hard; nil without images.
  fileprivate var grid: PixelImage? {
    let rows = zip(originals, zip(soft, hard)).flatMap { original, made in
      let row = [original, made.0, made.1].map { mapped in
        unmapPixels(
          UnsafeBufferPointer(mapped.elements), width: mapped.shape.width,
          height: mapped.shape.height)
      }
      return row + [row[0].difference(from: row[2])]
    }
    return PixelImage.tiled(rows, columns: 4, gap: 4, background: 255)
  }
}

/// The curves of a run: thinned-out columns of one of its tables.
struct RunHistory {
  private let columns: [String]
  /// Curves by the names of their columns.
  private(set) var curves: [String: Curve] = [:]
  /// The newest row by the names of its columns; empty before the first.
  private(set) var lastRow: [String: Double] = [:]
  /// Seconds per image, summed over the updates.
  private(set) var secondsPerImage = 0.0

  /// Begins with the existing rows of a table.
  init(_ table: String, columns: String) {
    self.columns = columns.split(separator: ",").map(String.init)
    for name in self.columns.dropFirst() { curves[name] = Curve() }
    guard let file = try? InputFile(path: table) else { return }
    var lines = LineReader(file)
    while let line = try? lines.next() { append(String(decoding: line, as: UTF8.self)) }
  }

  /// Adds a row of comma-separated values.
  mutating func append(_ row: String) {
    let values = row.split(separator: ",").map { Double($0) ?? .nan }
    guard values.count == columns.count, values.allSatisfy(\.isFinite),
      let update = Int(exactly: values[0]), (0...1 << 53).contains(update)
    else { return }
    lastRow = Dictionary(uniqueKeysWithValues: zip(columns, values))
    for (name, value) in zip(columns, values).dropFirst() {
      curves[name]?.append(update, value)
      if name == "images_per_second", value > 0 { secondsPerImage += 1 / value }
    }
  }
}

/// The recent seconds per update.
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

/// Opens a table whose rows begin with their update, for appending; rows after `update` and an incomplete
/// last row are removed.
///
/// Damaged rows between others stay.
///
/// - Throws: `badData` if it begins with other columns
private func openTable(
  _ path: String, columns: String, upTo update: Int
) throws -> OutputFile {
  let file = try OutputFile(path, emptied: false)
  let header = Array((columns + "\n").utf8)
  let bytes = try file.read(at: 0, count: file.size)
  guard bytes.starts(with: header) || header.starts(with: bytes) || update == 0 else {
    throw DVAEError(
      .badData, file: path, "does not begin with the columns \(columns)",
      advice: "restore its first line, or move it away")
  }
  var end = bytes.starts(with: header) ? header.count : 0
  var start = end
  while end > 0, let newline = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
    let first = bytes[start..<newline].prefix { $0 != UInt8(ascii: ",") }
    start = newline + 1
    guard let row = Int(String(decoding: first, as: UTF8.self)) else { continue }
    guard row <= update else { break }
    end = start
  }
  try file.truncate(to: end)
  if end == 0 { try file.append(header) }
  return file
}
