// For queues, which FoundationEssentials lacks.
import Foundation
import DVAEWeb
import DVAEImages
package import DVAEFiles

/// A job that converts text-image pairs to WebDataset shards: it reads, filters, obtains and judges
/// them, drops duplicates and writes the rest; every dropped pair is counted under a reason.
///
/// Many tasks process pairs, which are written in the order of the sources: the output is a
/// function of the sources, the settings and, for fetched images, the servers' answers.
package struct Preparation: Sendable {
  /// The result of a job.
  package struct Summary: Sendable {
    /// The counts of all pairs, including those of earlier runs.
    package var funnel: Funnel
    /// The number of rows done by an earlier run.
    package var resumed = 0
    /// The number of images decoded in this run.
    package var decoded = 0
    /// The time in the image decoders, summed over the threads.
    package var decoding = Duration.zero
    /// The time in the encoder, likewise.
    package var encoding = Duration.zero
    /// The duration of this run.
    package var elapsed = Duration.zero

    /// Makes the summary of a run that had nothing to do or has not begun.
    package init(funnel: Funnel) { self.funnel = funnel }
  }

  let settings: PreparationSettings
  let threads: Int
  private let shard: Shard
  private let fetcher: Fetcher
  private let zips = ZipCache()

  /// Prepares a job.
  ///
  /// - Parameters:
  ///   - settings: the settings of the job
  ///   - shard: the part of the rows that is done; duplicates are left out once parts are merged
  ///   - fetch: the settings for fetching images
  ///   - threads: the number of images that are processed at a time
  /// - Throws: if settings are impossible
  package init(
    _ settings: PreparationSettings, shard: Shard = .whole, fetch: FetchSettings = .init(),
    threads: Int
  ) throws(DVAEError) {
    try settings.validate()
    try fetch.validate()
    self.settings = settings
    self.shard = shard
    self.threads = max(1, threads)
    fetcher = Fetcher(fetch, maxBytes: settings.image.maxBytes)
  }

  /// Refuses the name of a finished output, unless it is prepared data that is to be replaced.
  package static func check(output path: String, replacing: Bool) throws(DVAEError) {
    try OutputFolder(path, of: .preparedData).check(replacing: replacing)
  }

  /// Returns the funnel of a finished output of this same job; nil if there is none.
  ///
  /// - Parameters:
  ///   - path: the path of the output
  ///   - replaceable: whether another job's output counts as none
  /// - Returns: the funnel, or nil
  /// - Throws: if the output of another job is there
  package func finished(_ path: String, replaceable: Bool = false) throws -> Funnel? {
    try PreparationOutput.finished(path, settings, shard, replaceable: replaceable)
  }

  /// Does the job, or the rest that an earlier run left.
  ///
  /// - Parameters:
  ///   - path: the output folder
  ///   - start: the treatment of an unfinished output
  ///   - replacing: whether the output replaces a finished one
  ///   - rowsPerCommit: rows between two commits; by default they follow from the duration of a
  ///     commit
  ///   - progress: called after every row with the number of rows done; if it throws, the job stops
  ///     and can be resumed
  ///   - page: makes `funnel.html` from the complete funnel; nil makes none
  /// - Returns: the result
  /// - Throws: errors that end the job; it can then be resumed
  package func run(
    _ path: String, start: JobStart = .fresh, replacing: Bool = false, rowsPerCommit: Int? = nil,
    progress: (_ rows: Int) throws -> Void, page: ((Funnel) throws -> String)? = nil
  ) async throws -> Summary {
    let begin = ContinuousClock.now
    try refuse(output: path)
    // Which of several alike stays depends on all rows before them, so a part keeps them all.
    var duplicates = Duplicates(settings.filters, comparing: shard == .whole)
    try await exclude(from: &duplicates)
    let empty = Funnel([
      (.caption, settings.filters.captionRules), (.picture, settings.imageRules),
      (.duplicates, duplicates.active(excluding: !settings.excluded.isEmpty)),
    ])
    let files = settings.sources + [settings.source.subset].compactMap(\.self)
    let fingerprints = files.map { SourceFingerprint($0) }
    var sources = try Sources(settings.sources, settings.source)
    try sources.check()
    let (rows, part) = try rows()
    let output = try PreparationOutput(
      path, settings, part: part, fingerprints, start, replacing: replacing, funnel: empty
    ) { duplicates.restore($0) }
    output.rowsPerCommit = rowsPerCommit
    var summary = Summary(funnel: output.funnel)
    summary.resumed = output.rows
    var network = NetworkWatch(isResumed: output.rows > 0)
    var read = rows.lowerBound + output.rows
    for _ in 0..<read { guard try sources.next() != nil else { break } }
    let decoders = OperationQueue()
    decoders.maxConcurrentOperationCount = threads
    // Pairs that wait for servers must not idle the decoders.
    let window = 4 * threads + max(16, 4 * fetcher.settings.connections)
    let worked = OrderedMap(window: window) {
      guard read < rows.upperBound, let row = try sources.next() else { return nil }
      read += 1
      return row
    } work: { row -> WorkedRow in
      await work(row, decoders)
    }
    do {
      for try await done in worked {
        summary.decoded += done.time.decoding == nil ? 0 : 1
        summary.decoding += done.time.decoding ?? .zero
        summary.encoding += done.time.encoding
        var result = done.result
        if case .success(let sample) = result {
          do throws(Drop) {
            try duplicates.add(sample.fingerprint)
          } catch {
            result = .failure(error)
          }
        }
        if network.isLost(after: done.isAnswered, from: done.address) {
          throw lostNetwork(path, result)
        }
        output.mayCommit = !network.isInDoubt
        try output.add(
          result, origin: done.origin, caption: done.caption, isAnswered: done.isAnswered)
        try progress(output.rows)
      }
    } catch let error as CancellationError {
      // The rows so far are kept.
      if output.mayCommit { try? output.commit() }
      throw error
    }
    // A part is finished even so: a server that is gone must not keep the others from being merged.
    if network.isDeaf, shard == .whole { throw lostNetwork(path, nil) }
    try output.finish(settings.sources, page: page)
    summary.funnel = output.funnel
    summary.elapsed = .now - begin
    return summary
  }

  /// Returns the error of a job that stops because the network has gone away.
  private func lostNetwork(
    _ path: String, _ last: Result<PreparedSample, Drop>?
  ) -> DVAEError {
    let detail: String
    if case .failure(let drop) = last {
      detail =
        "\(NetworkWatch.most) images in a row, whose servers answered before, cannot be reached: "
        + drop.detail
    } else {
      detail = "no server has answered since the job was resumed"
    }
    return DVAEError(
      .inputOutput, file: path, detail,
      advice: "the rows before them are kept; connect to the network and continue the output")
  }

  /// The rows to be done; for a part, all rows are counted first.
  private func rows() throws -> (Range<Int>, PreparationIndex.Part?) {
    let most = settings.limit ?? .max
    guard shard != .whole else { return (0..<most, nil) }
    var sources = try Sources(settings.sources, settings.source)
    var count = 0
    while count < most, try sources.next() != nil {
      try Task.checkCancellation()
      count += 1
    }
    return (
      shard.range(of: count),
      PreparationIndex.Part(index: shard.index, count: shard.count, rows: count)
    )
  }

  /// Refuses an output whose shards would become inputs, and one that would replace an input.
  private func refuse(output path: String) throws(DVAEError) {
    let inputs = Set((settings.sources + settings.excluded).compactMap { FileIdentity($0) })
    try OutputFolder(path, of: .preparedData).refuse(inputs: inputs)
    let above = FileIdentity.above(path)
    for source in settings.sources where FileSystem.kind(source) == .folder {
      guard let identity = FileIdentity(source), above.contains(identity) else { continue }
      throw DVAEError(
        .usage, file: path,
        "lies in the source \(source), so that outputs would become inputs: choose another"
      )
    }
  }

  /// A row after all work that does not depend on other rows.
  private struct WorkedRow: Sendable {
    var origin: String
    var caption: String?
    var result: Result<PreparedSample, Drop>
    var time: CodecTime = (decoding: nil, encoding: .zero)
    /// The image's address, if it was fetched.
    var address: String?
    /// Whether the image's server answered; nil if none was asked.
    var isAnswered: Bool?
  }

  private func work(_ row: SourceRow, _ decoders: OperationQueue) async -> WorkedRow {
    switch row {
    case .unusable(let origin, let reason, let detail):
      return WorkedRow(
        origin: origin, caption: nil, result: .failure(Drop(.source, reason, detail)))
    case .pair(let pair):
      var worked = WorkedRow(
        origin: pair.origin, caption: pair.caption, result: .failure(Drop(.source, "", "")))
      do throws(Drop) {
        let caption = try settings.filters.filtered(pair.caption)
        worked.result = .success(try await prepared(pair, caption, decoders, &worked))
      } catch {
        worked.result = .failure(error)
      }
      return worked
    }
  }

  private func prepared(
    _ pair: Pair, _ caption: String, _ decoders: OperationQueue, _ worked: inout WorkedRow
  ) async throws(Drop) -> PreparedSample {
    var fetched: [UInt8]?
    if case .address(let address) = pair.image {
      worked.address = address
      do throws(WebFailure) {
        fetched = try await fetcher.fetch(address)
        worked.isAnswered = true
      } catch {
        worked.isAnswered = error.isAnswered
        throw Drop(.image, error.kind, "\(address): \(error.detail)")
      }
    }
    let name = worked.address ?? pair.origin
    let (result, time) = await withCheckedContinuation { [fetched] judgement in
      decoders.addOperation {
        var time: CodecTime = (decoding: nil, encoding: .zero)
        let result = Result { () throws(Drop) in
          try settings.prepared(bytes(of: pair, fetched), name: name, time: &time)
        }
        judgement.resume(returning: (result, time))
      }
    }
    worked.time = time
    return try result.get().sample(pair, caption)
  }

  private func bytes(of pair: Pair, _ fetched: [UInt8]?) throws(Drop) -> [UInt8] {
    do throws(DVAEError) {
      switch pair.image {
      case .item(let item): return try item.load(limits: settings.image.limits)
      case .zipMember(let archive, let member):
        return try zips.contents(of: member, in: archive, limit: settings.image.maxBytes)
      case .address: return fetched ?? []
      }
    } catch {
      let kind =
        switch error.code {
        case .missing: "missing-file"
        case .tooManyBytes, .limitExceeded: "too-large"
        case .noImage: "no-image"
        default: "unreadable"
        }
      throw Drop(.image, kind, "\(error)")
    }
  }
}
