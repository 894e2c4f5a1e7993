import DVAETensors

/// A cosine schedule: half a cosine from one value to another, then constant.
///
/// v(t) = end + (start − end)·½(1 + cos(π·min(t, T)/T)) after t updates; T is the span. The paper
/// anneals the temperature, the KL weight and the learning rate this way (A.2).
///
///     Schedule(from: 1, to: 1.0 / 16, over: 150_000)(75_000)  // 0.53125
public struct Schedule: Hashable, Codable, Sendable {
  /// The value before the first update.
  public var start: Double
  /// The value from `updates` on.
  public var end: Double
  /// T, the span in updates; 0 means `end` from the start.
  public var updates: Int

  /// Makes the schedule.
  public init(from start: Double, to end: Double, over updates: Int) {
    self.start = start
    self.end = end
    self.updates = updates
  }

  /// Returns the value at an update, counted from 0.
  public func callAsFunction(_ update: Int) -> Double {
    guard update < updates else { return end }
    let phase = Double.pi * Double(update) / Double(updates)
    return end + (start - end) * 0.5 * (1 + cosine(phase))
  }

  /// Returns the same curve with its span multiplied by `ratio`; at least one update.
  public func scaled(by ratio: Double) -> Schedule {
    guard updates > 0 else { return self }
    return Schedule(from: start, to: end, over: max(1, Self.span(updates, scaledBy: ratio)))
  }

  /// Multiplies a number of updates by a factor, clamped to a range that cannot overflow.
  static func span(_ updates: Int, scaledBy ratio: Double) -> Int {
    Int(min(max((Double(updates) * ratio).rounded(), 0), 0x1p53))
  }
}
