/// A counter-based generator, Philox4x32-10.
///
/// Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3".
/// A draw is a pure function of (seed, stream, counter), so noise does not depend on threads or
/// order, and the state of a generator is one saved number.
package struct SeededGenerator: RandomNumberGenerator, Hashable, Codable, Sendable {
  /// The key.
  package let seed: UInt64
  /// An independent sequence under the same seed, for example for an update, an epoch or a worker.
  package let stream: UInt64
  /// The number of 64-bit draws so far; restoring it resumes the sequence exactly.
  package var position: UInt64

  /// Makes the generator of a stream, by default at its start.
  package init(seed: UInt64, stream: UInt64 = 0, position: UInt64 = 0) {
    self.seed = seed
    self.stream = stream
    self.position = position
  }

  /// Returns the next 64 random bits.
  package mutating func next() -> UInt64 {
    let words = Self.block(seed: seed, stream: stream, counter: position / 2)
    let low = position % 2 == 0 ? words.0 : words.2
    let high = position % 2 == 0 ? words.1 : words.3
    position += 1
    return UInt64(low) | UInt64(high) << 32
  }

  /// Draws a float in the open interval (0, 1): 24 random bits, centred in their cell.
  package mutating func uniform() -> Float { Self.uniform(UInt32(truncatingIfNeeded: next())) }

  /// Maps 32 random bits to a float in (0, 1): (⌊bits / 2⁸⌋ + ½) / 2²⁴, never 0 or 1 (the largest
  /// value rounds to 1 − 2⁻²⁴).
  package static func uniform(_ bits: UInt32) -> Float {
    let cell = Float(bits >> 8)
    return min((cell + 0.5) * 0x1p-24, 1 - 0x1p-24)
  }

  /// Draws from the standard normal distribution (Box–Muller, in double).
  package mutating func normal() -> Float {
    let radius = (-2 * naturalLogarithm((Double(next() >> 11) + 0.5) * 0x1p-53)).squareRoot()
    let angle = 2 * Double.pi * (Double(next() >> 11) * 0x1p-53)
    return Float(radius * cosine(angle))
  }

  /// Returns the four 32-bit words of one Philox block.
  package static func block(
    seed: UInt64, stream: UInt64, counter: UInt64
  ) -> (UInt32, UInt32, UInt32, UInt32) {
    var c0 = UInt32(truncatingIfNeeded: counter)
    var c1 = UInt32(truncatingIfNeeded: counter >> 32)
    var c2 = UInt32(truncatingIfNeeded: stream)
    var c3 = UInt32(truncatingIfNeeded: stream >> 32)
    var k0 = UInt32(truncatingIfNeeded: seed)
    var k1 = UInt32(truncatingIfNeeded: seed >> 32)
    for _ in 0..<10 {
      let p0 = c0.multipliedFullWidth(by: 0xD251_1F53)
      let p1 = c2.multipliedFullWidth(by: 0xCD9E_8D57)
      (c0, c1, c2, c3) = (p1.high ^ c1 ^ k0, p1.low, p0.high ^ c3 ^ k1, p0.low)
      k0 &+= 0x9E37_79B9
      k1 &+= 0xBB67_AE85
    }
    return (c0, c1, c2, c3)
  }
}
