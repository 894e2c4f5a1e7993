import DVAEFiles
public import DVAEImages

/// Something that turns images into tokens, a batch at a time.
public protocol ImageTokenizer: Sendable {
  /// Returns the tokens of preprocessed images of one size, in their order.
  ///
  /// - Throws: `badData` for a batch that does not fit into memory; it is tried again in halves.
  func tokenize(batch images: [PixelImage]) throws -> [TokenizedImage]
}

/// The tokens of one image.
public struct TokenizedImage: Sendable {
  /// The most likely token of each position.
  public var grid: TokenGrid
  /// What is kept beside them.
  public var soft: SoftTokens?

  /// Makes the tokens of one image.
  public init(_ grid: TokenGrid, soft: SoftTokens? = nil) {
    self.grid = grid
    self.soft = soft
  }
}

/// Tokenizes the images of a bulk job into a token file: the next images are read and resized while
/// the network works on the present ones, order is kept, and memory does not grow with the job.
///
/// Cancelling the task ends the job with `CancellationError`; a later one can resume it.
public struct BulkTokenizer<Model: ImageTokenizer>: Sendable {
  /// The network.
  public var model: Model
  /// What is done to each image.
  public var preprocessing = Preprocessing()
  /// Bounds that images are checked against before memory is taken.
  public var limits = DecodingLimits.default
  /// The number of images that go through the network together.
  public var batchSize = 1
  /// The number of images that may be read ahead, beyond those of a batch.
  public var readAhead = 8

  /// Makes a tokenizer of a model.
  public init(_ model: Model) { self.model = model }

  /// Does the items that the writer does not have yet, and finishes the output.
  ///
  /// - Parameters:
  ///   - inputs: the job
  ///   - writer: for the same job
  ///   - isolation: the actor that the network, the writer and the closures run on; the caller's
  ///   - progress: called after every batch
  ///   - failed: called with one line for every image that cannot be done; the job goes on
  /// - Throws: what keeps the job from going on, such as a full disk, and `CancellationError`;
  ///   everything that is committed by then can be resumed.
  public func run(
    _ inputs: BulkInputs, into writer: TokenWriter,
    isolation: isolated (any Actor)? = #isolation,
    progress: (BulkProgress) -> Void = { _ in }, failed: (String) -> Void = { _ in }
  ) async throws {
    try inputs.refuse(output: writer.path, of: writer.format)
    var items = inputs.items(skipping: writer.resumed).makeIterator()
    var state = BulkProgress(done: writer.resumed, total: inputs.fingerprint.count)
    var batch: [PreparedImage] = []
    var pacing = CommitPacing()
    func flush() throws {
      try write(batch, to: writer, failed)
      state.done += batch.count
      batch = []
      progress(state)
      if pacing.isDue { try pacing.commit(writer.commit) }
    }
    progress(state)
    try await orderedMap(window: batchSize + readAhead) {
      items.next()
    } work: { item in
      prepare(item)
    } each: { image in
      if let size = image.size, let other = batch.lazy.compactMap(\.size).first, other != size {
        try flush()
      }
      batch.append(image)
      if batch.count >= batchSize { try flush() }
    }
    if !batch.isEmpty { try flush() }
    try writer.finish()
  }

  /// Tokenizes a batch and writes what became of each image.
  private func write(
    _ batch: [PreparedImage], to writer: TokenWriter, _ failed: (String) -> Void
  ) throws {
    func write(failure: String, _ key: String) throws {
      failed(failure)
      try writer.append(TokenRecord(key: key, .failure(failure)))
    }
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
        try write(failure: error.about(item.key).description, item.key)
      case nil:
        throw DVAEError(
          .internal, file: item.key, "the network gave too few grids of tokens")
      }
    }
  }

  // A batch that is too large for the memory is halved: only an image that does not fit alone is
  // to blame, and others may be smaller.
  private func tokenize(
    _ images: ArraySlice<PixelImage>
  ) throws -> [Result<TokenizedImage, DVAEError>] {
    if images.isEmpty { return [] }
    do {
      return try model.tokenize(batch: Array(images)).map { .success($0) }
    } catch let error as DVAEError where error.kind == .badData {
      if images.count == 1 { return [.failure(error)] }
      let middle = images.startIndex + images.count / 2
      return try tokenize(images[..<middle]) + tokenize(images[middle...])
    }
  }

  private func prepare(_ item: BulkInputs.Item) -> PreparedImage {
    do throws(DVAEError) {
      let input = try item.image.get()
      let image = try preprocessing.apply(input.decode(limits: limits), name: input.name)
      // The caption and the description; whatever else there is stays where it is.
      let companions = try input.companions(["txt", "json"], limit: largestCompanion)
      return PreparedImage(key: item.key, image: .success(image), companions: companions)
    } catch {
      return PreparedImage(key: item.key, image: .failure(error), companions: [:])
    }
  }
}

/// Where a bulk job stands.
public struct BulkProgress: Sendable {
  /// The number of items done, those of earlier runs included.
  public var done: Int
  /// The number of all items.
  public var total: Int
}

private let largestCompanion = 16 << 20

/// An image that is ready for the network, or why there is none.
private struct PreparedImage: Sendable {
  let key: String
  let image: Result<PixelImage, DVAEError>
  let companions: [String: [UInt8]]

  /// Width and height; nil for a failure.
  var size: [Int]? { (try? image.get()).map { [$0.width, $0.height] } }
}
