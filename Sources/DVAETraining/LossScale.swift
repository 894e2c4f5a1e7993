/// Dynamic loss scaling: the factor that keeps gradients within the range of float16.
///
/// The loss is multiplied by the factor before it is differentiated, and the gradients are divided by
/// it. A step whose gradients are not finite is skipped, and the factor halved; after 2000 steps
/// without one it is doubled.
package struct LossScale: Codable, Hashable, Sendable {
  /// The factor of the next update.
  package private(set) var factor: Double
  /// Steps since the factor changed.
  package private(set) var steps = 0
  /// Steps that were skipped in the whole run.
  package private(set) var skipped = 0

  private static let interval = 2000
  private static let largest = 0x1p24

  /// The start of a run.
  package init(factor: Double = 65_536) { self.factor = factor }

  /// Whether a gradient that is not finite is no longer the factor's fault.
  var isSmallest: Bool { factor <= 1 }

  /// Whether a run can have come to these numbers.
  var isPlausible: Bool {
    factor.isFinite && factor >= 1 && (0..<Self.interval).contains(steps)
      && (0...1 << 53).contains(skipped)
  }

  /// Takes account of an update.
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
