/// One worker's part of a bulk job: part `index` (from 0) of `count` equal, contiguous parts.
///
/// Shards are contiguous, so that the outputs of all workers, concatenated, are in input order.
public struct Shard: Hashable, Sendable, CustomStringConvertible {
  /// The number of this shard, from 0.
  public let index: Int
  /// The number of shards.
  public let count: Int

  /// The whole job.
  public static let whole = Shard(unchecked: 0, of: 1)

  /// Makes part `index` of `count`; nil unless 0 ≤ index < count.
  public init?(_ index: Int, of count: Int) {
    guard index >= 0, index < count else { return nil }
    self.init(unchecked: index, of: count)
  }

  private init(unchecked index: Int, of count: Int) {
    self.index = index
    self.count = count
  }

  /// Reads `I/N`: `0/4` is the first quarter.
  public init(_ text: String) throws(DVAEError) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
    guard parts.count == 2, let index = parts[0], let count = parts[1],
      let shard = Shard(index, of: count)
    else {
      throw DVAEError(
        .usage, "shard '\(text)': expected I/N with I from 0 to N−1, as 0/4 for the first quarter")
    }
    self = shard
  }

  /// Returns the positions of this shard among `total` items.
  public func range(of total: Int) -> Range<Int> { bound(index, total)..<bound(index + 1, total) }

  // Computes total·i/count without overflow: the first (total mod count) parts are one longer.
  private func bound(_ i: Int, _ total: Int) -> Int {
    i * (total / count) + min(i, total % count)
  }

  /// Inserts `-I-of-N` before a path's extension, so that workers do not overwrite each other.
  ///
  /// `I` has as many digits as `N`, so that names sort. The complete job leaves the path unchanged.
  public func path(_ path: String) -> String {
    guard count > 1 else { return path }
    let suffix = "-\(zeroPadded(index, String(count).count))-of-\(count)"
    let stem = Path(path).withoutExtension.text
    return stem + suffix + String(decoding: path.utf8.dropFirst(stem.utf8.count), as: UTF8.self)
  }

  /// `I/N`.
  public var description: String { "\(index)/\(count)" }
}

extension Shard {
  // Nearest launcher first: torchrun and mpirun set theirs inside a scheduler's job.
  private static let launchers = [
    ("RANK", "WORLD_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_NTASKS"),
    ("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS"),
  ]

  /// Returns the shard according to a scheduler's variables, and their names; nil if there are
  /// none.
  ///
  /// Known are torchrun's `RANK`/`WORLD_SIZE`, Open MPI's `OMPI_COMM_WORLD_RANK`/`…_SIZE`, Slurm's
  /// `SLURM_PROCID`/`SLURM_NTASKS` and Kubernetes' `JOB_COMPLETION_INDEX`. Kubernetes does not
  /// provide the count: put it into `JOB_COMPLETIONS`. Slurm's batch script has the variables of a first
  /// task too, but no other task runs it: only `srun` starts the steps that share the work.
  public static func scheduled(
    _ environment: [String: String]
  ) throws(DVAEError) -> (shard: Shard, variables: String)? {
    for (rank, size) in launchers {
      guard let index = environment[rank], rank != "SLURM_PROCID" || !isBatchScript(environment)
      else { continue }
      guard let count = environment[size] else {
        guard rank == "JOB_COMPLETION_INDEX" else { continue }
        throw DVAEError(
          .usage,
          "JOB_COMPLETION_INDEX is \(index) but JOB_COMPLETIONS is not set",
          advice: "set it to the job's completions, or name the shard \(index)/N")
      }
      guard let i = Int(index), let n = Int(count), let shard = Shard(i, of: n) else {
        throw DVAEError(
          .usage,
          "\(rank)=\(index) of \(size)=\(count) is not a part of a job: expected 0 ≤ \(rank) < \(size)",
          advice: "name the shard I/N, or 0/1 for the whole")
      }
      return (shard, "\(rank)/\(size)")
    }
    return nil
  }

  private static func isBatchScript(_ environment: [String: String]) -> Bool {
    environment["SLURM_JOB_ID"] != nil
      && ["SLURM_STEP_ID", "SLURM_STEPID"].allSatisfy { environment[$0] == nil }
  }
}
