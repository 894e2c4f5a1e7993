/// Dynamic loss scaling, which keeps gradients within the range of float16.
///
/// The loss is multiplied by the factor before differentiation, and the gradients are divided by
/// it. An update with non-finite gradients is skipped and halves the factor; 2000 updates in a row
/// without one double it.
package struct LossScale: Codable, Hashable, Sendable {
  /// The factor of the next update.
  package private(set) var factor: Double
  /// Updates since the factor changed.
  package private(set) var steps = 0
  /// Skipped updates of the whole run.
  package private(set) var skipped = 0

  private static let interval = 2000
  private static let largest = 0x1p24

  /// The state at the start of a run.
  package init(factor: Double = 65_536) { self.factor = factor }

  /// Whether non-finite gradients can no longer be blamed on the factor.
  var isSmallest: Bool { factor <= 1 }

  /// Whether a run can reach these values.
  var isPlausible: Bool {
    factor.isFinite && factor >= 1 && (0..<Self.interval).contains(steps)
      && (0...1 << 53).contains(skipped)
  }

  /// Adjusts the factor after an update.
  mutating func record(isFinite: Bool) {
    guard isFinite else {
      (factor, steps, skipped) = (max(1, factor / 2), 0, skipped + 1)
      return
    }
    steps += 1
    guard steps == Self.interval else { return }
    (factor, steps) = (max(factor, min(2 * factor, Self.largest)), 0)
  }
}
