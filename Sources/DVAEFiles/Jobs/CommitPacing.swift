/// Decides when a job commits: often enough to lose little work, rarely enough to cost little time.
package struct CommitPacing {
  private var last = ContinuousClock.now
  private var pause = shortest

  // The work between two commits, in multiples of a commit's duration, so commits take at most 5 %.
  private static let workPerCommit = 20
  private static let shortest = Duration.milliseconds(100)
  // The limit for slow disks, where commits would otherwise become ever rarer.
  private static let longest = Duration.seconds(5)

  /// Starts as if a commit had just been made.
  package init() {}

  /// Whether a commit is due.
  package var isDue: Bool { ContinuousClock.now - last >= pause }

  /// Commits, and derives the time of the next commit from the duration of this one.
  package mutating func commit(_ body: () throws -> Void) rethrows {
    let start = ContinuousClock.now
    try body()
    last = .now
    pause = min(max((last - start) * Self.workPerCommit, Self.shortest), Self.longest)
  }
}
