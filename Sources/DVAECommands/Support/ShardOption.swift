import ArgumentParser
import DVAEFiles
import Foundation

/// The shard that this process works on.
struct ShardOption: ParsableArguments {
  @Option(help: ArgumentHelp("Do only part I (from 0) of N.", valueName: "I/N"))
  var shard: String?

  /// Returns the requested shard, else the one in a scheduler's variables, else the complete job.
  func chosen(_ console: Console) throws -> Shard {
    if let shard { return try Shard(shard) }
    guard let (shard, variables) = try Shard.scheduled(ProcessInfo.processInfo.environment),
      shard.count > 1
    else { return .whole }
    console.note("doing part \(shard) of the job, by \(variables) (--shard 0/1 for the whole)")
    return shard
  }
}
