import DVAETensors

/// A quantity that moves along half a cosine from one value to another, and then stays there.
///
/// v(t) = end + (start − end)·½(1 + cos(π·min(t, T)/T)), t updates done, T the span. The paper
/// anneals the temperature, the weight of the KL term and the step size this way (A.2).
///
///     Schedule(from: 1, to: 1.0 / 16, over: 150_000)(75_000)  // 0.53125
public struct Schedule: Hashable, Codable, Sendable {
  /// The value before the first update.
  public var start: Double
  /// The value from `updates` on.
  public var end: Double
  /// T, the span in updates; 0 means `end` from the beginning.
  public var updates: Int

  /// Makes the schedule.
  public init(from start: Double, to end: Double, over updates: Int) {
    self.start = start
    self.end = end
    self.updates = updates
  }

  /// The value at an update, counted from 0.
  public func callAsFunction(_ update: Int) -> Double {
    guard update < updates else { return end }
    let phase = Double.pi * Double(update) / Double(updates)
    return end + (start - end) * 0.5 * (1 + cosine(phase))
  }

  /// The same curve over a span that is `ratio` times as long, at least one update.
  public func scaled(by ratio: Double) -> Schedule {
    guard updates > 0 else { return self }
    return Schedule(from: start, to: end, over: max(1, Self.span(updates, scaledBy: ratio)))
  }

  /// A number of updates times a factor, within the numbers that can be counted with.
  static func span(_ updates: Int, scaledBy ratio: Double) -> Int {
    Int(min(max((Double(updates) * ratio).rounded(), 0), 0x1p53))
  }
}
