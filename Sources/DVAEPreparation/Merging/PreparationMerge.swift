import DVAEImages
package import DVAEFiles

/// Joins the shards of a job to the output of a single run, byte for byte: funnels are added, and
/// duplicates are dropped across all shards, in the order of the rows.
package struct PreparationMerge {
  private let parts: [PreparedPart]
  private let settings: PreparationSettings
  private let funnel: Funnel

  /// The number of samples in all shards.
  package var count: Int { parts.reduce(0) { $0 + $1.funnel.left } }

  /// Opens the shards.
  ///
  /// - Parameter paths: the finished outputs of all shards of one job, in any order
  /// - Throws: if a shard is unfinished, damaged, of another job, repeated, or missing
  package init(_ paths: [String]) throws {
    let found = try paths.map { try PreparedPart($0) }
    guard let first = found.first else { throw DVAEError(.usage, "no part is given") }
    for part in found { try Self.check(part, belongsTo: first) }
    parts = found.sorted { $0.shard.index < $1.shard.index }
    for (part, next) in zip(parts, parts.dropFirst()) where part.shard == next.shard {
      throw DVAEError(
        .usage, file: next.path, "is part \(next.shard), as is \(part.path): give each part once")
    }
    let given = Set(parts.map(\.shard.index))
    let missing = (0..<first.shard.count).lazy.filter { !given.contains($0) }
    guard missing.isEmpty else {
      let named = missing.prefix(10).map { "\($0)/\(first.shard.count)" }
      throw DVAEError(
        .usage, expected: "all \(first.shard.count) parts",
        found: "\(given.count), without " + named.joined(separator: ", ")
          + (given.count + 10 < first.shard.count ? ", …" : ""))
    }
    settings = first.index.settings
    var funnel = Funnel([
      (.duplicates, Duplicates(settings.filters).active(excluding: !settings.excluded.isEmpty))
    ])
    for part in parts { funnel.add(part.funnel) }
    self.funnel = funnel.ofDropped
  }

  /// Refuses a shard of another job than the first one's.
  private static func check(
    _ part: PreparedPart, belongsTo first: PreparedPart
  ) throws(DVAEError) {
    func refuse(_ difference: String) throws(DVAEError) {
      throw DVAEError(
        .usage, file: part.path, "\(difference): it does not belong to \(first.path)")
    }
    if part.shard.count != first.shard.count {
      try refuse("is one of \(part.shard.count) parts, not of \(first.shard.count)")
    }
    // The rules name the excluded images themselves, whose lists may lie elsewhere on another machine.
    let settings = try part.index.settings.differences(from: first.index.settings).filter {
      $0 != "excluded"
    }
    if !settings.isEmpty {
      try refuse("was made with another \(settings.joined(separator: ", "))")
    }
    if part.rows != first.rows {
      try refuse("its sources had \(counted(part.rows, "row")), not \(first.rows)")
    }
    if part.funnel.rules != first.funnel.rules {
      try refuse(
        "its filters are those of another build of the program, or its excluded images are others")
    }
  }

  /// Returns the funnel of a finished output of this same job; see `Preparation.finished`.
  package func finished(_ path: String, replaceable: Bool = false) throws -> Funnel? {
    try PreparationOutput.finished(path, settings, replaceable: replaceable)
  }

  /// Joins the shards, or the rest that an earlier run left.
  ///
  /// - Parameters:
  ///   - path: the output folder
  ///   - start: the treatment of an unfinished output
  ///   - replacing: whether the output replaces a finished one
  ///   - samplesPerCommit: samples between two commits; by default they follow from the duration of
  ///     a commit
  ///   - progress: called after every sample with the number done
  ///   - page: makes `funnel.html` from the complete funnel; nil makes none
  /// - Returns: the result
  /// - Throws: errors that end the job; it can then be resumed
  package func run(
    _ path: String, start: JobStart = .fresh, replacing: Bool = false,
    samplesPerCommit: Int? = nil, progress: (_ samples: Int) throws -> Void,
    page: ((Funnel) throws -> String)? = nil
  ) throws -> Preparation.Summary {
    let begin = ContinuousClock.now
    try refuse(output: path)
    var duplicates = Duplicates(settings.filters)
    let output = try PreparationOutput(
      path, settings, parts.map { SourceFingerprint($0.path) }, start, replacing: replacing,
      funnel: funnel
    ) { duplicates.restore($0) }
    output.rowsPerCommit = samplesPerCommit
    var summary = Preparation.Summary(funnel: output.funnel)
    summary.resumed = output.rows
    var toSkip = output.rows
    for part in parts {
      let skipped = min(toSkip, part.funnel.left)
      toSkip -= skipped
      try part.forEachSample(skipping: skipped) { sample, record in
        let result = try Self.judged(sample, record, &duplicates, part.path)
        let isKept = (try? result.get()) != nil
        try output.add(
          result, origin: record.source, caption: isKept ? nil : sample.originalCaption)
        try progress(output.rows)
      }
    }
    try output.finish(parts.map(\.path), page: page)
    summary.funnel = output.funnel
    summary.elapsed = .now - begin
    return summary
  }

  private static func judged(
    _ sample: WebDatasetSample, _ record: SampleRecord, _ duplicates: inout Duplicates,
    _ path: String
  ) throws(DVAEError) -> Result<PreparedSample, Drop> {
    guard let fingerprint = record.fingerprint else {
      throw DVAEError.malformed(
        path: path + "/samples.jsonl", problem: "the hash of \(record.key) is none")
    }
    do throws(Drop) {
      try duplicates.add(fingerprint)
    } catch {
      return .failure(error)
    }
    return .success((sample.fields, fingerprint))
  }

  /// Refuses an output that would replace a shard, lie in one, or be removed with one.
  private func refuse(output path: String) throws(DVAEError) {
    let above = FileIdentity.above(path)
    let own = FileIdentity(path)
    for part in parts {
      let isAbove = FileIdentity(part.path).map { above.contains($0) } ?? false
      let isBelow = own.map { FileIdentity.above(part.path).contains($0) } ?? false
      guard isAbove || isBelow else { continue }
      throw DVAEError(
        .usage, file: path,
        isAbove
          ? "lies in the part \(part.path): choose another"
          : "contains the part \(part.path), which would be removed: choose another")
    }
  }
}

extension WebDatasetSample {
  /// The source's caption, from the description of a prepared sample.
  fileprivate var originalCaption: String? {
    guard let json = self["json"],
      case .object(let members)? = try? JSONValue(parsing: json, path: key),
      case .string(let caption)? = members["original_caption"] ?? members["caption"]
    else { return nil }
    return caption
  }
}

extension PreparationSettings {
  /// Returns the names of the settings that differ from `other`.
  fileprivate func differences(from other: PreparationSettings) throws(DVAEError) -> [String] {
    let own = try JSONValue(parsing: jsonText(self), path: "settings")
    let others = try JSONValue(parsing: jsonText(other), path: "settings")
    return own.differences(from: others).map(\.name)
  }
}
