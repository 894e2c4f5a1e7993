/// FNV-1a in 64 bits: quick, and the same in every run, unlike Swift's own hashes.
///
/// It is not for adversaries, who can make collisions at will.
package struct FNVHash: Sendable {
  /// The hash of everything so far.
  package private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

  /// Starts with nothing.
  package init() {}

  /// Feeds bytes.
  package mutating func add(_ bytes: some Sequence<UInt8>) {
    for byte in bytes { add(UInt64(byte)) }
  }

  /// Feeds a number as if it were one large byte.
  package mutating func add(_ number: UInt64) { value = (value ^ number) &* 0x100_0000_01B3 }
}
