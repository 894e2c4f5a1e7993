package import DVAEFiles
import DVAEImages

/// Token files to be concatenated into one, in the same form or another.
///
/// Tokens, keys, captions, descriptions and failures are kept if the new form holds them; each
/// file's images come first, then its failures.
package struct TokenMerge {
  /// The common provenance of the files, which must belong to one job or to compatible jobs; nil if no
  /// file has one.
  package let provenance: Provenance?
  /// The number of images, if all files state it.
  package let count: Int?
  /// Whether the files hold soft tokens and the new form cannot.
  package let losesSoftTokens: Bool
  /// The shards that the job of the files has besides them: their number, and the first ten.
  package let missing: (count: Int, first: [Shard])
  /// The files of which a part was taken as a grid without being told, with the grid.
  package let guesses: [(path: String, part: TokenReader.GuessedGrid, grid: [Int])]
  private let paths: [String]
  private let grid: TokenExtent.Grid?
  private let format: TokenFormat

  /// Opens the files.
  ///
  /// - Parameters:
  ///   - paths: files or folders of tokens, in the order of the result; shards of a job are put into its order
  ///   - path: the path of the result
  ///   - format: the form of the result
  ///   - grid: the grid of every image, for `.npy` arrays with one row per image
  /// - Throws: if the files contradict each other, or only some have provenance; if the result would
  ///   replace an input.
  package init(
    _ paths: [String], into path: String, _ format: TokenFormat, grid: TokenExtent.Grid? = nil
  ) throws {
    guard !paths.isEmpty else { throw DVAEError(.usage, "no file of tokens to read") }
    self.grid = grid
    self.format = format
    var records: [(path: String, Provenance)] = []
    var unknown: [String] = []
    var counts: [Int] = []
    var guesses: [(path: String, part: TokenReader.GuessedGrid, grid: [Int])] = []
    for input in paths {
      let reader = try Self.open(input, grid)
      let files = Set(reader.format.files(input).compactMap { FileIdentity($0) })
      for file in format.files(path) {
        try FileIdentity.refuse(output: file, replacing: files)
      }
      if let record = reader.provenance {
        records.append((input, record))
      } else {
        unknown.append(input)
      }
      if let extent = reader.extent {
        counts.append(extent.count)
        if grid == nil, let part = reader.guessedGrid { guesses.append((input, part, extent.grid)) }
      }
    }
    self.guesses = guesses
    if let unknown = unknown.first, let known = records.first {
      throw DVAEError(
        .badData, file: unknown,
        "it does not say which model its tokens are of, as \(known.path) does",
        advice: "make it again, or add the file that belongs to it")
    }
    Self.order(&records)
    self.paths = records.isEmpty ? paths : records.map(\.path)
    try TokenWriter.refuse(inputs: Set(paths.compactMap { FileIdentity($0) }), output: path, format)
    var provenance = try Self.join(records)
    losesSoftTokens = provenance?.soft != nil && !format.holdsSoftTokens
    if losesSoftTokens { provenance?.soft = nil }
    let held = records.count > 1 ? records.flatMap(\.1.heldShards) : []
    missing = Self.missing(from: held)
    if missing.count > 0 {
      provenance?.shards = Set(held).sorted { $0.index < $1.index }.map(\.description)
    }
    self.provenance = provenance
    count = counts.count == paths.count ? counts.reduce(0, +) : nil
  }

  /// Writes the items that the writer does not have yet, and finishes the result.
  ///
  /// - Parameters:
  ///   - writer: the writer of the result, with this provenance
  ///   - progress: called with the number of items done
  ///   - failed: called with the error of an item whose key cannot be a name in the new form
  /// - Returns: the captions and descriptions that the new form does not hold as they are
  /// - Throws: if an item is damaged, repeats a key, or does not fit into the form.
  package func run(
    into writer: TokenWriter, progress: (Int) -> Void, failed: (DVAEError) -> Void = { _ in }
  ) throws -> FormLosses {
    var (done, pacing, keys) = (0, CommitPacing(), UniqueKeys())
    // Hashes instead of keys, so that hundreds of millions fit into memory.
    var seen = Set<HalfHash>()
    var losses = FormLosses()
    func add(_ record: TokenRecord, _ path: String) throws {
      guard seen.insert(HalfHash(of: Array(record.key.utf8))).inserted else {
        throw DVAEError(
          .badData, file: path,
          "the key '\(record.key)' is there twice"
            + (paths.count > 1 ? ": these are not parts of one job, or one is named twice" : ""))
      }
      var record = record
      // In file names, the key would end at its first dot.
      let isName = format == .tar || format == .folder || provenance?.soft != nil
      record.key =
        isName ? keys.path(for: WebDatasetSample.archiveKey(record.key)) : keys.unique(record.key)
      losses.add(record, in: format)
      done += 1
      if done > writer.resumed {
        do {
          try writer.append(record)
        } catch let error as DVAEError where error.code == .impossibleName {
          failed(error)
          try writer.append(TokenRecord(key: record.key, .failure(error.description)))
        }
      }
      progress(done)
      if pacing.isDue { try pacing.commit(writer.commit) }
    }
    // One file is open at a time: a job may have more shards than a process may have files.
    for path in paths {
      let reader = try Self.open(path, grid)
      // The result has a checksum of its own, which would hide the damage.
      try reader.checkIntact()
      for result in reader {
        let item = try result.get()
        try add(
          TokenRecord(
            key: item.key, .tokens(item.grid), soft: provenance?.soft == nil ? nil : item.soft,
            sidecars: item.sidecars), path)
        if provenance == nil, item.soft != nil { losses.softTokens += 1 }
      }
      for failure in try reader.failures() {
        try add(TokenRecord(key: failure.key, .failure(failure.error)), path)
      }
    }
    try writer.finish()
    return losses
  }

  /// Sorts the different shards of a job, which the shell puts in another order: `t-10` before `t-2`.
  private static func order(_ records: inout [(path: String, Provenance)]) {
    let shards = records.flatMap(\.1.heldShards)
    let firsts = records.compactMap { $0.1.heldShards.map(\.index).min() }
    guard firsts.count == records.count, Set(shards.map(\.count)).count == 1,
      Set(shards.map(\.index)).count == shards.count
    else { return }
    records = zip(firsts, records).sorted { $0.0 < $1.0 }.map(\.1)
  }

  private static func missing(from held: [Shard]) -> (count: Int, first: [Shard]) {
    guard let count = held.first?.count, held.allSatisfy({ $0.count == count }) else {
      return (0, [])
    }
    let found = Set(held.map(\.index))
    let first = (0..<count).lazy.filter { !found.contains($0) }.prefix(10)
    return (count - found.count, first.compactMap { Shard($0, of: count) })
  }

  private static func open(_ path: String, _ grid: TokenExtent.Grid?) throws -> TokenReader {
    var reader = try TokenReader(contentsOf: path, grid: grid)
    reader.readsSidecars = true
    return reader
  }

  /// Returns the joint provenance of tokens of one model and preprocessing; the inputs of several
  /// files are summed up, and all shards of a job give the complete job.
  private static func join(_ records: [(path: String, Provenance)]) throws -> Provenance? {
    guard let (_, first) = records.first else { return nil }
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
      guard !overflow else {
        throw DVAEError(.badData, file: path, "its provenance counts \(record.inputs.count) images")
      }
      joined.inputs.count = sum
      hash.add(record.inputs.sha256)
    }
    joined.inputs.sha256 = hash.finished()
    (joined.shard, joined.shards) = (nil, nil)
    return joined
  }
}
