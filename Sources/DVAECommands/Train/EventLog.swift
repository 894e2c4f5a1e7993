import DVAEFiles
import DVAEImages
import DVAEModel
import DVAEReports
import DVAETraining
import Foundation

/// The TensorBoard log of a run: a file for every start of the program that has updates to do.
struct EventLog {
  private let file: OutputFile?
  /// The number of updates between points of the curves: TensorBoard would take minutes to read
  /// millions.
  private let interval: Int

  /// Begins a file in a folder.
  ///
  /// - Parameters:
  ///   - folder: the run's folder
  ///   - update: the update to resume from; older files' later events become void
  ///   - updates: the number of updates in the whole run
  /// - Throws: if the file cannot be created
  init(_ folder: String, from update: Int, of updates: Int) throws {
    interval = max(1, updates / 10_000)
    guard update < updates else {
      file = nil
      return
    }
    let now = Date().timeIntervalSince1970
    let host = ProcessInfo.processInfo.hostName
    var name =
      "events.out.tfevents.\(Int(now)).\(host).\(ProcessInfo.processInfo.processIdentifier)"
    name.removeAll { $0 == "/" }
    file = try OutputFile("\(folder)/\(name)", emptied: true)
    try append(.version, update: 0)
    try append(.start, update: update + 1)
  }

  func append(_ record: UpdateRecord) throws {
    guard record.update % interval == 0 else { return }
    try append(
      .scalars([
        ("train/loss", record.loss), ("train/reconstruction", record.reconstruction),
        ("train/kl", record.kl), ("train/gradient_norm", record.gradientNorm),
        ("schedule/temperature", record.temperature), ("schedule/kl_weight", record.klWeight),
        ("schedule/learning_rate", record.learningRate),
        ("speed/images_per_second", Double(record.images) / record.seconds),
        ("speed/data_seconds", record.waiting),
      ]), update: record.update)
  }

  func append(_ record: ValidationRecord, _ grid: PixelImage?, png: [UInt8]?) throws {
    try append(
      .scalars([
        ("validation/loss", record.loss), ("validation/reconstruction", record.reconstruction),
        ("validation/kl", record.kl), ("validation/psnr", record.psnr),
        ("codebook/used", Double(record.codebook.used)),
        ("codebook/entropy", record.codebook.entropy),
        ("codebook/perplexity", record.codebook.perplexity),
      ]), update: record.update)
    guard let grid, let png else { return }
    try append(
      .picture(
        tag: "validation/original, soft, hard, error", width: grid.width, height: grid.height,
        png: png), update: record.update)
  }

  private func append(_ event: TensorBoardEvent, update: Int) throws {
    try file?.append(event.record(time: Date().timeIntervalSince1970, step: update))
  }
}
