import DVAEFiles

/// The content of `index.json` in a finished output.
struct PreparationIndex: Codable {
  /// The shard of a job in an output.
  struct Part: Codable, Hashable {
    var index: Int
    var count: Int
    /// The number of rows in all shards.
    var rows: Int
  }

  var settings: PreparationSettings
  /// The shard; nil for a complete job.
  var part: Part?
  var samples: Int
  var shards: [ShardOutput.Shard]
  /// The SHA-256 of `samples.jsonl`; outputs of earlier versions have none.
  var listSHA256: String?

  private enum CodingKeys: String, CodingKey {
    case settings, part, samples, shards
    case listSHA256 = "samples_sha256"
  }

  /// The shard of the job; nil if the file names an impossible one.
  var shard: Shard? {
    guard let part else { return .whole }
    return part.rows >= 0 ? Shard(part.index, of: part.count) : nil
  }
}

extension PreparationIndex {
  /// Reads the index in a folder; nil if it is missing or unreadable.
  init?(folder: String) {
    let path = folder + "/index.json"
    guard FileSystem.kind(path) == .file,
      let bytes = try? InputFile.contents(of: path, limit: 1 << 30),
      let index = try? decodedJSON(Self.self, bytes),
      index.shards.allSatisfy({ ShardOutput.Shard.isName($0.name) })
    else { return nil }
    self = index
  }
}

extension Funnel {
  /// Reads the funnel in the folder of a finished output.
  init(folder: String) throws {
    let path = folder + "/funnel.json"
    let bytes = try InputFile.contents(of: path, limit: 1 << 30)
    guard let funnel = try? decodedJSON(Funnel.self, bytes), funnel.isSound
    else {
      throw DVAEError.malformed(path: path, problem: "its numbers do not add up")
    }
    self = funnel
  }
}
