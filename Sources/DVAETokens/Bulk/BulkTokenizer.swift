public import DVAEFiles
public import DVAEImages

/// A type that converts images to tokens in batches.
public protocol ImageTokenizer: Sendable {
  /// Returns the tokens of preprocessed images of one size, in their order.
  ///
  /// - Throws: `badData` for a batch that does not fit into memory; it is then split in half.
  func tokenize(batch images: [PixelImage]) throws -> [TokenizedImage]
}

/// The tokens of one image.
public struct TokenizedImage: Sendable {
  /// The most likely token of each position.
  public var grid: TokenGrid
  /// The soft tokens that are kept.
  public var soft: SoftTokens?

  /// Makes the tokens of one image.
  public init(_ grid: TokenGrid, soft: SoftTokens? = nil) {
    self.grid = grid
    self.soft = soft
  }
}

/// Tokenizes the images of a bulk job into a token file: the next images are read and resized while
/// the network works on the current ones, order is kept, and memory does not grow with the job.
///
/// Cancelling the task ends the job with `CancellationError`; a later one can resume it.
public struct BulkTokenizer<Model: ImageTokenizer>: Sendable {
  /// The network.
  public var model: Model
  /// The preprocessing of each image.
  public var preprocessing = Preprocessing()
  /// The limits that images are checked against before memory is allocated.
  public var limits = DecodingLimits.default
  /// The number of images in a batch; at least 1.
  public var batchSize = 1
  /// The number of images that may be read ahead, beyond those of a batch; at least 1.
  public var readAhead = 8
  /// Whether a shard whose images have all failed is left unfinished, for a caller that makes all
  /// shards and knows only at the end whether the job has tokens.
  package var leavesEmptyShards = false

  /// Makes a tokenizer of a model.
  public init(_ model: Model) { self.model = model }

  /// Tokenizes the items that the writer does not have yet, and finishes the output.
  ///
  /// If all items fail, no output is left, so that the corrected job finds its name free; but a shard may be empty,
  /// because the others would otherwise lack one.
  ///
  /// - Parameters:
  ///   - inputs: the job
  ///   - writer: for the same job
  ///   - isolation: the caller's actor, on which the writer and the closures run
  ///   - progress: called after every item
  ///   - failed: called with the error of every failed image; the job continues
  /// - Throws: errors that end the job, such as a full disk, and `CancellationError`; the job can
  ///   be resumed after the last commit.
  public func run(
    _ inputs: BulkInputs, into writer: TokenWriter,
    isolation: isolated (any Actor)? = #isolation,
    progress: (BulkProgress) -> Void = { _ in }, failed: (DVAEError) -> Void = { _ in }
  ) async throws {
    try inputs.refuse(output: writer.path, of: writer.format)
    var state = BulkProgress(done: writer.resumed, total: inputs.fingerprint.count)
    var pacing = CommitPacing()
    progress(state)
    do {
      for try await item in results(of: inputs, skipping: writer.resumed) {
        do {
          let made = try item.tokens.get()
          try writer.append(
            TokenRecord(
              key: item.key, .tokens(made.grid), soft: made.soft, sidecars: item.sidecars))
        } catch let error as DVAEError where error.isOfItem {
          failed(error)
          try writer.append(TokenRecord(key: item.key, .failure(error.description)))
        }
        state.done += 1
        progress(state)
        if pacing.isDue { try pacing.commit(writer.commit) }
      }
    } catch {
      // The items so far are kept; the error that ended the job is the one to tell.
      try? writer.commit()
      throw error
    }
    if writer.failed > 0, writer.failed == state.done {
      if !writer.isShard { return try writer.discard() }
      if leavesEmptyShards { return try writer.commit() }
    }
    try writer.finish()
  }

  /// Tokenizes the images of a job without writing anything.
  ///
  /// ```swift
  /// for try await item in BulkTokenizer(vae).results(of: try BulkInputs(["photos"])) {
  ///   print(item.key, try item.tokens.get().grid.count)
  /// }
  /// ```
  ///
  /// - Parameters:
  ///   - inputs: the job
  ///   - skipped: the number of items to skip at the beginning
  /// - Returns: the tokens or the error of each item, in order, computed on demand; the loop throws
  ///   `CancellationError`, and errors of the network other than `badData`
  public func results(of inputs: BulkInputs, skipping skipped: Int = 0) -> BulkResults<Model> {
    BulkResults(tokenizer: self, inputs: inputs, skipped: skipped)
  }
}

private let largestSidecar = 16 << 20

/// An image that is ready for the network, and the files beside it that the output keeps.
private typealias Loaded = (image: PixelImage, sidecars: [String: [UInt8]])

/// The results of a bulk job, computed on demand; see `BulkTokenizer.results(of:skipping:)`.
public struct BulkResults<Model: ImageTokenizer>: AsyncSequence {
  fileprivate let tokenizer: BulkTokenizer<Model>
  fileprivate let inputs: BulkInputs
  fileprivate let skipped: Int

  /// The outcome of one item.
  public struct Item: Sendable {
    /// The item's key in the job.
    public let key: String
    /// Its tokens, or the error.
    public let tokens: Result<TokenizedImage, DVAEError>
    /// The caption and the description of a sample: `txt` and `json`.
    let sidecars: [String: [UInt8]]
  }

  /// Begins the job.
  public func makeAsyncIterator() -> Iterator {
    let (preprocessing, limits) = (tokenizer.preprocessing, tokenizer.limits)
    let images = inputs.loading(
      ahead: Swift.max(1, tokenizer.batchSize) + Swift.max(1, tokenizer.readAhead),
      skipping: skipped
    ) { (input, _) throws(DVAEError) -> Loaded in
      let image = try preprocessing.apply(input.decode(limits: limits), name: input.name)
      // Only the caption and the description are copied; other files are not.
      return (image, try input.sidecars(["txt", "json"], limit: largestSidecar))
    }
    return Iterator(
      tokenizer: tokenizer,
      batches: images.batches(of: tokenizer.batchSize) { [$0.image.width, $0.image.height] })
  }

  /// Reads ahead, batches images of one size, and yields the results one by one.
  public struct Iterator: AsyncIteratorProtocol {
    fileprivate let tokenizer: BulkTokenizer<Model>
    fileprivate var batches: Batches<BulkInputs.Item, BulkInputs.Item, Loaded>
    // Results that are not yet returned, in reverse order.
    fileprivate var done: [Item] = []

    /// Returns the next result.
    ///
    /// - Parameter actor: the caller's actor; the network computes elsewhere
    /// - Returns: the result; nil after the last
    /// - Throws: `CancellationError`, and errors of the network that end the job
    public mutating func next(isolation actor: isolated (any Actor)?) async throws -> Item? {
      if done.isEmpty, let batch = try await batches.next(isolation: actor) {
        done = try await tokenizer.items(of: batch).reversed()
      }
      return done.popLast()
    }
  }
}

extension BulkTokenizer {
  /// Tokenizes a batch off the caller's actor, which is not blocked.
  fileprivate func items(
    of batch: Batch<BulkInputs.Item, Loaded>
  ) async throws -> [BulkResults<Model>.Item] {
    let results = try batch.results(describe: { $0.about($1.key) }) { loaded in
      Array(zip(try model.tokenize(batch: loaded.map(\.image)), loaded.map(\.sidecars)))
    }
    return results.map { item, result in
      .init(
        key: item.key, tokens: result.map { $0.0 }, sidecars: (try? result.get())?.1 ?? [:])
    }
  }
}

/// The progress of a bulk job.
public struct BulkProgress: Sendable {
  /// The number of items done, including those of earlier runs.
  public var done: Int
  /// The number of all items.
  public var total: Int
}
