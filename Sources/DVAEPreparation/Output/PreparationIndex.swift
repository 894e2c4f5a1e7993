import DVAEFiles

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What `index.json` of a finished output says.
struct PreparationIndex: Codable {
  /// The part of a job that an output is.
  struct Part: Codable, Hashable {
    var index: Int
    var count: Int
    /// The rows of all parts together.
    var rows: Int
  }

  var settings: PreparationSettings
  /// Nil where the output is the whole job's.
  var part: Part?
  var samples: Int
  var shards: [ShardOutput.Shard]

  /// The part of the job; nil where the file names one that cannot be.
  var shard: Shard? {
    guard let part else { return .whole }
    return part.rows >= 0 ? Shard(part.index, of: part.count) : nil
  }

  /// The index in a folder; nil where there is none that can be read.
  init?(folder: String) {
    let path = folder + "/index.json"
    guard FileSystem.kind(path) == .file,
      let bytes = try? InputFile.contents(of: path, limit: 1 << 30),
      let index = try? JSONDecoder().decode(Self.self, from: Data(bytes))
    else { return nil }
    self = index
  }

  init(
    settings: PreparationSettings, part: Part?, samples: Int, shards: [ShardOutput.Shard]
  ) {
    self.settings = settings
    self.part = part
    self.samples = samples
    self.shards = shards
  }
}

extension Funnel {
  /// The funnel in the folder of a finished output.
  init(folder: String) throws {
    let path = folder + "/funnel.json"
    let bytes = try InputFile.contents(of: path, limit: 1 << 30)
    guard let funnel = try? JSONDecoder().decode(Funnel.self, from: Data(bytes)), funnel.isSound
    else {
      throw DVAEError.malformed(path: path, problem: "its numbers do not add up")
    }
    self = funnel
  }
}
