/// The treatment of an earlier run's unfinished output.
public enum JobStart: Sendable {
  /// Do not touch it; fail.
  case fresh
  /// Continue it; if there is none, begin.
  case resuming
  /// Discard it.
  case restarting
}
