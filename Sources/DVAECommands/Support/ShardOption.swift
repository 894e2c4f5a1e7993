import ArgumentParser
import DVAEFiles
import Foundation

/// The part of a job that this process does.
struct ShardOption: ParsableArguments {
  @Option(help: ArgumentHelp("Do only part I (from 0) of N.", valueName: "I/N"))
  var shard: String?

  /// The part that was asked for, else the one that a scheduler's variables name, else the whole.
  func chosen(_ console: Console) throws -> Shard {
    if let shard { return try Shard(shard) }
    guard let (shard, variables) = try Shard.scheduled(ProcessInfo.processInfo.environment),
      shard.count > 1
    else { return .whole }
    console.note("doing part \(shard) of the job, by \(variables) (--shard 0/1 for the whole)")
    return shard
  }
}
