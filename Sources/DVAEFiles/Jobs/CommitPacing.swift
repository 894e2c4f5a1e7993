/// Decides when a job commits: often enough to lose little, seldom enough to cost little.
package struct CommitPacing {
  private var last = ContinuousClock.now
  private var pause = shortest

  // Work between two commits, as a multiple of the time that a commit takes: 5 % of it at most.
  private static let workPerCommit = 20
  private static let shortest = Duration.milliseconds(100)
  // A slow disk must not put the commits further and further apart.
  private static let longest = Duration.seconds(5)

  /// Starts with a commit that has just been made.
  package init() {}

  /// Whether it is time to commit.
  package var isDue: Bool { ContinuousClock.now - last >= pause }

  /// Makes a commit, and decides by the time it takes when the next one is due.
  package mutating func commit(_ body: () throws -> Void) rethrows {
    let start = ContinuousClock.now
    try body()
    last = .now
    pause = min(max((last - start) * Self.workPerCommit, Self.shortest), Self.longest)
  }
}
