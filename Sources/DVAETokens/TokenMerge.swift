import DVAEFiles
import DVAEImages

/// Token files, one after the other, to be written as one, in the same form or another.
///
/// Tokens, keys, captions, descriptions and failures are kept where the new form holds them; of each file
/// the images come first, then what failed.
package struct TokenMerge {
  /// Where the tokens come from: that of the files, which must be of one job or of like ones.
  package let provenance: Provenance
  /// The number of images, where all files say it.
  package let count: Int?
  /// What the new form does not hold; nil if nothing is lost.
  package let loss: String?
  private let readers: [TokenReader]
  private let paths: [String]
  private let format: TokenFormat

  /// Opens the files.
  ///
  /// - Parameters:
  ///   - paths: files or folders of tokens, in the order of the result
  ///   - path: of the result
  ///   - format: of the result
  /// - Throws: files that do not say where their tokens come from, or that tell different things;
  ///   a result that would replace an input, or cannot hold soft tokens.
  package init(_ paths: [String], into path: String, _ format: TokenFormat) throws {
    self.paths = paths
    self.format = format
    let target = format.files(path).compactMap { FileIdentity($0) }
    readers = try paths.map { input in
      var reader = try TokenReader(contentsOf: input)
      let files = reader.format.files(input).compactMap { FileIdentity($0) }
      guard target.allSatisfy({ !files.contains($0) }) else {
        throw DVAEError(
          .usage, file: input, "is an input, which the output would replace: choose another")
      }
      reader.readCompanions()
      return reader
    }
    let records = try zip(paths, readers).map { path, reader in
      guard let record = reader.provenance else {
        throw DVAEError(
          .badData, file: path, "it does not say which model its tokens are of",
          advice: "make it again, or add the file that belongs to it")
      }
      return (path, record)
    }
    provenance = try Self.join(records)
    if provenance.soft != nil, !format.holdsSoftTokens {
      throw DVAEError(
        .usage, file: path, "soft tokens are kept in .safetensors, .tar or a folder: choose one")
    }
    let counts = readers.compactMap(\.extent?.count)
    count = counts.count == readers.count ? counts.reduce(0, +) : nil
    loss = format == .safetensors ? "captions and descriptions, if there are any" : nil
  }

  /// Writes everything that the writer does not have yet, and finishes the result.
  ///
  /// - Parameters:
  ///   - writer: of the result, with this provenance
  ///   - progress: told of the number of items done
  /// - Throws: an item that is damaged, has a key that came before, or does not fit into the form.
  package func run(into writer: TokenWriter, progress: (Int) -> Void) throws {
    var (done, pacing, seen, keys) = (0, CommitPacing(), Set<Key>(), UniqueKeys())
    func add(_ record: TokenRecord, _ path: String) throws {
      guard seen.insert(Key(record.key)).inserted else {
        throw DVAEError(
          .badData, file: path,
          "the key '\(record.key)' is there twice: these are not parts of one job"
        )
      }
      var record = record
      // Where a key is the name of a file, its dots would end it.
      let isName = format == .tar || format == .folder || provenance.soft != nil
      record.key = keys.unique(isName ? WebDatasetSample.archiveKey(record.key) : record.key)
      done += 1
      if done > writer.resumed { try writer.append(record) }
      progress(done)
      if pacing.isDue { try pacing.commit(writer.commit) }
    }
    for (path, reader) in zip(paths, readers) {
      for result in reader {
        let item = try result.get()
        try add(
          TokenRecord(
            key: item.key, .tokens(item.grid), soft: item.soft, companions: item.companions), path)
      }
      for failure in try reader.failedItems() {
        try add(TokenRecord(key: failure.key, .failure(failure.error)), path)
      }
    }
    try writer.finish()
  }

  /// The one provenance of tokens of one model and preprocessing; of several files the inputs are counted
  /// together, and all shards of a job are the whole job.
  private static func join(_ records: [(path: String, Provenance)]) throws -> Provenance {
    guard let (_, first) = records.first else {
      throw DVAEError(.usage, "no file of tokens to read")
    }
    guard records.count > 1 else { return first }
    var joined = first
    var hash = FileHash()
    joined.inputs.count = 0
    for (path, record) in records {
      var alike = record
      (alike.inputs, alike.shard) = (first.inputs, first.shard)
      if let difference = alike.difference(from: first) {
        throw DVAEError(
          .badData, file: path,
          "its tokens are of other \(difference) than those of "
            + "\(records[0].path): they do not belong together")
      }
      let (sum, overflow) = joined.inputs.count.addingReportingOverflow(record.inputs.count)
      guard !overflow, record.inputs.count >= 0 else {
        throw DVAEError(.badData, file: path, "its provenance counts \(record.inputs.count) images")
      }
      joined.inputs.count = sum
      hash.add(record.inputs.sha256)
    }
    joined.inputs.sha256 = hash.finished()
    joined.shard = nil
    return joined
  }
}
