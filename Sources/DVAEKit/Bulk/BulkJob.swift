import DVAEFiles
import DVAEImages

/// An image that is ready for the network, or why there is none.
struct PreparedImage: Sendable {
  /// Its place in the job, from 0.
  let number: Int
  let key: String
  let image: Result<PixelImage, DVAEError>
  let companions: [String: [UInt8]]

  /// Width and height; nil for a failure.
  var size: [Int]? { (try? image.get()).map { [$0.width, $0.height] } }
}

/// A bulk job under way: which images are being prepared, which wait for their turn, which are in
/// the batch at hand.
final class BulkJob {
  private let tokenizer: BulkTokenizer
  private let writer: TokenWriter
  private let progress: (BulkTokenizer.Progress) -> Void
  private let failed: (String) -> Void
  private var items: any IteratorProtocol<BulkInputs.Item>
  private var state: BulkTokenizer.Progress
  // Images started and images taken: between them is all that memory is held for.
  private var (started, taken) = (0, 0)
  private var early: [Int: PreparedImage] = [:]
  private var batch: [PreparedImage] = []
  private var (committed, pause) = (ContinuousClock.now, Duration.zero)

  // Work between two commits, in times that a commit takes: what it costs is 5 % at most.
  private static let workPerCommit = 20

  init(
    _ tokenizer: BulkTokenizer, _ inputs: BulkInputs, _ writer: TokenWriter,
    _ progress: @escaping (BulkTokenizer.Progress) -> Void, _ failed: @escaping (String) -> Void
  ) throws {
    self.tokenizer = tokenizer
    self.writer = writer
    self.progress = progress
    self.failed = failed
    items = try inputs.items(skipping: writer.resumed)
    state = .init(done: writer.resumed, total: inputs.fingerprint.count)
    progress(state)
  }

  /// The next item to be prepared; nil at the end, or while enough are under way.
  func start() -> (number: Int, item: BulkInputs.Item)? {
    guard started - taken < tokenizer.batchSize + tokenizer.readAhead, let item = items.next()
    else { return nil }
    defer { started += 1 }
    return (started, item)
  }

  /// An image is ready, perhaps before its turn.
  func received(_ image: PreparedImage) { early[image.number] = image }

  /// Puts the image whose turn it is into the batch; false while it is not ready.
  func take() throws -> Bool {
    guard let next = early.removeValue(forKey: taken) else { return false }
    taken += 1
    if let size = next.size, let other = batch.lazy.compactMap(\.size).first, other != size {
      try finishBatch()
    }
    batch.append(next)
    return true
  }

  /// Tokenizes the batch once there are enough images in it.
  func finishFullBatch() throws {
    if batch.count >= tokenizer.batchSize { try finishBatch() }
  }

  /// Tokenizes what is left, and completes the output.
  func finish() throws {
    if !batch.isEmpty { try finishBatch() }
    guard state.done == state.total else {
      throw DVAEError.startOver(
        .inputOutput, path: writer.path,
        "only \(state.done) of \(state.total) inputs were there: they have changed during the job")
    }
    try writer.finish()
  }

  private func finishBatch() throws {
    try write()
    state.done += batch.count
    batch = []
    progress(state)
    let now = ContinuousClock.now
    guard now - committed >= pause else { return }
    try writer.commit()
    committed = .now
    pause = (committed - now) * Self.workPerCommit
  }

  private func write() throws {
    var results = try tokenize(batch.compactMap { try? $0.image.get() }[...]).makeIterator()
    for item in batch {
      if case .failure(let error) = item.image {
        try write(failure: error.description, item.key)
        continue
      }
      switch results.next() {
      case .success(let made)?:
        do {
          try writer.append(
            TokenRecord(
              key: item.key, .tokens(made.grid), soft: made.soft, companions: item.companions))
        } catch let error as DVAEError where error.kind == .badData {
          try write(failure: error.description, item.key)
        }
      case .failure(let error)?:
        try write(failure: "\(item.key): \(error)", item.key)
      case nil:
        throw DVAEError(.internal, file: item.key, "the network gave too few grids of tokens")
      }
    }
  }

  // A batch that is too large for the memory is halved: only an image that does not fit alone is
  // to blame, and others may be smaller.
  private func tokenize(
    _ images: ArraySlice<PixelImage>
  ) throws -> [Result<(grid: TokenGrid, soft: SoftTokens?), DVAEError>] {
    if images.isEmpty { return [] }
    do {
      return try tokenizer.tokenize(Array(images)).map { .success($0) }
    } catch let error as DVAEError where error.kind == .badData {
      if images.count == 1 { return [.failure(error)] }
      let middle = images.startIndex + images.count / 2
      return try tokenize(images[..<middle]) + tokenize(images[middle...])
    }
  }

  private func write(failure: String, _ key: String) throws {
    failed(failure)
    try writer.append(TokenRecord(key: key, .failure(failure)))
  }
}
