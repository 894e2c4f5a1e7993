import DVAEFiles
import DVAEImages

/// The finished output of one shard of a job.
struct PreparedPart {
  let path: String
  let shard: Shard
  /// The number of rows in all shards.
  let rows: Int
  let index: PreparationIndex
  let funnel: Funnel

  /// Opens an output.
  ///
  /// - Throws: if an output is unfinished, damaged, or not a shard
  init(_ path: String) throws {
    let path = Path(path).withoutTrailingSlashes.text
    for unfinished in [path, Path(path).unfinished.text]
    where Path(unfinished).isUnfinished && FileSystem.kind(unfinished) != .missing {
      throw DVAEError(
        .usage, file: unfinished, "this part is not finished", advice: "continue it first")
    }
    guard FileSystem.kind(path) != .missing else { throw DVAEError.missing(path: path) }
    guard let index = PreparationIndex(folder: path) else {
      throw DVAEError(
        .badData, file: path, "is not prepared data: it has no index.json that can be read")
    }
    guard let part = index.part else {
      throw DVAEError(.usage, file: path, "is the output of a whole job, not of a part")
    }
    funnel = try Funnel(folder: path)
    guard let shard = index.shard, shard.count > 1, index.samples == funnel.left,
      index.shards.allSatisfy({ $0.samples >= 0 }),
      shard.range(of: part.rows).count == funnel.entered
    else {
      throw DVAEError.malformed(
        path: path + "/index.json", problem: "its numbers contradict those of funnel.json")
    }
    self.path = path
    self.shard = shard
    self.index = index
    rows = part.rows
  }

  /// Reads the samples in order.
  ///
  /// - Parameters:
  ///   - skipped: the number of samples to skip at the beginning
  ///   - body: called with each sample and its record
  /// - Throws: if shards do not match the index, and errors of `body`
  func forEachSample(
    skipping skipped: Int, _ body: (WebDatasetSample, SampleRecord) throws -> Void
  ) throws {
    let list = path + "/samples.jsonl"
    if let listSHA256 = index.listSHA256, try FileHash.of(list) != listSHA256 {
      // A hash that is not the image's would hide a duplicate.
      throw DVAEError.malformed(
        path: list, problem: "its bytes are not those that index.json counts")
    }
    var lines = LineReader(try InputFile(path: list))
    var toSkip = skipped
    for shard in index.shards {
      if toSkip >= shard.samples {
        for _ in 0..<shard.samples { guard try lines.next() != nil else { break } }
        toSkip -= shard.samples
        continue
      }
      var reader = try open(shard)
      for _ in 0..<shard.samples {
        guard let line = try lines.next(),
          let record = try? decodedJSON(SampleRecord.self, line)
        else {
          throw DVAEError.malformed(path: list, problem: "it lacks samples of \(shard.name)")
        }
        guard toSkip == 0 else {
          _ = try reader.nextRecord()
          toSkip -= 1
          continue
        }
        guard let sample = try reader.next(), Key(record.key) == Key(sample.key) else {
          throw DVAEError.malformed(
            path: list, problem: "the sample \(record.key) is not in \(shard.name)")
        }
        try body(sample, record)
      }
    }
  }

  private func open(_ shard: ShardOutput.Shard) throws -> WebDatasetReader {
    let file = path + "/" + shard.name
    guard FileSystem.size(file) == shard.bytes, try FileHash.of(file) == shard.sha256 else {
      throw DVAEError.malformed(
        path: file, problem: "its bytes are not those that index.json counts")
    }
    return try WebDatasetReader(path: file)
  }
}
