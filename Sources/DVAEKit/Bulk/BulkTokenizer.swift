import DVAEFiles
public import DVAEImages

/// Tokenizes the images of a bulk job into a token file: the next images are read and resized while
/// the network works on the present ones, order is kept, and memory does not grow with the job.
public struct BulkTokenizer: Sendable {
  /// Where a job stands.
  public struct Progress: Sendable {
    /// Items done, those of earlier runs included.
    public var done: Int
    /// Items in all.
    public var total: Int
  }

  /// What is done to each image.
  public var preprocessing = Preprocessing()
  /// Bounds that images are checked against before memory is taken.
  public var limits = DecodingLimits.default
  /// Images that go through the network together.
  public var batchSize = 1
  /// Images that may be read ahead, beyond those of a batch.
  public var readAhead = 8

  private static let largestCompanion = 16 << 20

  let tokenize: @Sendable ([PixelImage]) throws -> [(grid: TokenGrid, soft: SoftTokens?)]

  /// Makes a tokenizer of `tokenize`, which takes images of one size that are preprocessed.
  public init(_ tokenize: @escaping @Sendable ([PixelImage]) throws -> [TokenGrid]) {
    self.init(keeping: { try tokenize($0).map { ($0, nil) } })
  }

  private init(
    keeping tokenize: @escaping @Sendable ([PixelImage]) throws -> [(TokenGrid, SoftTokens?)]
  ) {
    self.tokenize = tokenize
  }

  /// Makes a tokenizer of a model; what it keeps beside the tokens takes some time.
  public init(_ vae: DiscreteVAE, soft: SoftTokens.Settings? = nil) {
    if let soft {
      self.init(keeping: { try vae.softTokens(of: $0, soft).map { ($0.grid, $0.soft) } })
    } else {
      self.init { try vae.tokens(of: $0) }
    }
  }

  /// Does the items that the writer has not got yet, and finishes the output.
  ///
  /// - Parameters:
  ///   - inputs: the job
  ///   - writer: for the same job
  ///   - progress: told after every batch
  ///   - failed: told of every image that cannot be done, in one line; the job goes on
  /// - Throws: what keeps the job from going on, as a full disk; everything that is committed by
  ///   then can be resumed.
  public func run(
    _ inputs: BulkInputs, into writer: TokenWriter,
    progress: @escaping (Progress) -> Void = { _ in },
    failed: @escaping (String) -> Void = { _ in }
  ) async throws {
    try inputs.refuse(output: writer.path, of: writer.format)
    let job = try BulkJob(self, inputs, writer, progress, failed)
    try await withThrowingTaskGroup(of: PreparedImage.self) { group in
      while let (number, item) = job.start() {
        group.addTask { prepare(item, number) }
      }
      for try await image in group {
        job.received(image)
        while try job.take() {
          while let (number, item) = job.start() {
            group.addTask { prepare(item, number) }
          }
          try job.finishFullBatch()
        }
      }
    }
    try job.finish()
  }

  private func prepare(_ item: BulkInputs.Item, _ number: Int) -> PreparedImage {
    do throws(DVAEError) {
      let input = try item.image.get()
      let image = try preprocessing.apply(input.decode(limits: limits), name: input.name)
      // The caption and the description; whatever else there is stays where it is.
      let companions = try input.companions(["txt", "json"], limit: Self.largestCompanion)
      return PreparedImage(
        number: number, key: item.key, image: .success(image), companions: companions)
    } catch {
      return PreparedImage(
        number: number, key: item.key, image: .failure(error), companions: [:])
    }
  }
}
