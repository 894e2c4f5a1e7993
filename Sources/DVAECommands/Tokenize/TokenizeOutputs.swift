import DVAEKit

/// The token files that a process writes: one, or those of a name with a range in braces.
///
/// Each of several files is a shard of the job, like a worker's with `--shard`. Workers that share
/// such a job write whole files.
struct TokenizeOutputs {
  /// A file and its shard of the job.
  struct Part {
    var path: String
    var shard: Shard
    var inputs: BulkInputs

    /// The number of its images.
    var count: Int { inputs.fingerprint.count }
  }

  /// The name of the file, or the pattern of all files that this process writes.
  let path: String
  let parts: [Part]
  /// Whether this process makes all files of the job.
  let isWhole: Bool

  /// Lists the images and distributes them over the files.
  ///
  /// - Parameters:
  ///   - output: a path, perhaps with a range in braces
  ///   - arguments: the images
  ///   - format: the form of the files
  ///   - soft: the soft tokens that are kept
  ///   - worker: the shard that this process works on
  ///   - samplesPerShard: the largest number of images per file of a range; nil uses all its names
  /// - Throws: if an argument does not exist or the range does not fit the images
  init(
    _ output: String, of arguments: [String], format: TokenFormat, soft: SoftTokens.Settings?,
    worker: Shard, samplesPerShard: Int?
  ) throws {
    let output = Path(output).withoutTrailingSlashes.text
    isWhole = worker == .whole
    guard let names = try NumberedNames(output) else {
      guard samplesPerShard == nil else {
        throw DVAEError(
          .usage, file: output,
          "--samples-per-shard needs a range in its name, such as 'tokens-{000000..000009}.tar'")
      }
      path = worker.path(output)
      parts = [
        Part(
          path: path, shard: worker,
          inputs: try BulkInputs(arguments, shard: worker, for: format, soft: soft))
      ]
      return
    }
    let inputs = try BulkInputs(arguments, for: format, soft: soft)
    let total = inputs.fingerprint.count
    let count = samplesPerShard.map { total / $0 + (total % $0 > 0 ? 1 : 0) } ?? names.count
    guard count <= names.count else {
      throw DVAEError(
        .usage, file: output,
        "\(counted(total, "image")) take \(counted(count, "file")), but the range has "
          + counted(names.count, "name"))
    }
    guard count <= total, worker.count <= count else {
      throw DVAEError(
        .usage, file: output,
        count > total
          ? "its range has \(counted(count, "name")) for \(counted(total, "image")): name fewer files"
          : "its \(counted(count, "file")) cannot be shared by \(worker.count) workers: name more of them"
      )
    }
    // Readers of the range would take it for a part of this output.
    let later = (count..<names.count).lazy.map { names[$0] }
    if let file = later.first(where: FileSystem.exists) {
      throw DVAEError(
        .cannotCreate, file: file,
        "lies behind the \(counted(count, "file")) of this job, in their range",
        advice: "remove it, or choose another name")
    }
    let places = worker.range(of: count)
    path = names.pattern(places)
    parts = places.compactMap { place in
      Shard(place, of: count).map {
        Part(path: names[place], shard: $0, inputs: inputs.part($0))
      }
    }
  }

  /// The number of images in all files.
  var count: Int { parts.reduce(0) { $0 + $1.count } }
}
