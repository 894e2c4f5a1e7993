/// What a job does about an unfinished output of an earlier run.
public enum JobStart: Sendable {
  /// Refuse to touch it.
  case fresh
  /// Go on where it stopped; where there is none, begin.
  case resuming
  /// Throw it away.
  case restarting
}
