import CDVAEKernels
import DVAEFiles

/// The precision of the factors of convolutions and their gradients; sums are float32.
package enum FactorPrecision: Sendable {
  /// float32.
  case float32
  /// bfloat16, on processors with instructions for it; in 3×3 convolutions only where these are fast
  /// enough to do without Winograd's algorithm.
  case bfloat16
  /// bfloat16 in all convolutions on any processor, for tests: emulated, and slow, where the
  /// instructions are missing.
  case bfloat16Anywhere
  /// Each factor as the sum of two bfloat16 numbers, 16 binary digits, in products over channels; float32
  /// in Winograd's.
  ///
  /// (a + a′)(b + b′) is summed as a·b + a·b′ + a′·b, three terms in the place of one (Henry, Tang and
  /// Heinecke: Leveraging the bfloat16 Artificial Intelligence Datatype For Higher-Precision Computations,
  /// 2019). With |a′| ≤ 2⁻⁸|a|, a′·b′ is within 2⁻¹⁶ of the product, and so is what the pairs leave of both
  /// factors, 2⁻¹⁷ of each: together 2⁻¹⁵, and below 2⁻¹⁸ on average. Factors below 2⁻¹¹⁸ have fewer digits; infinite
  /// ones, and those that become so in bfloat16, give NaN.
  case bfloat16Pairs

  /// The number of words that `count` factors of a sum take, each in the place of a float.
  func words(of count: Int) -> Int {
    switch self {
    case .float32: count
    case .bfloat16, .bfloat16Anywhere: (count + 1) / 2
    case .bfloat16Pairs: (count + 1) / 2 * 3
    }
  }

  /// The factors that are in a range of words, from the start of a group of them to the end of one.
  func factors(in words: Range<Int>) -> Range<Int> {
    switch self {
    case .float32: words
    case .bfloat16, .bfloat16Anywhere: words.lowerBound * 2..<words.upperBound * 2
    case .bfloat16Pairs: words.lowerBound / 3 * 2..<words.upperBound / 3 * 2
    }
  }

  /// The largest number of words in one step of a product over channels, in whole groups: longer sums would
  /// evict the panels from L2.
  var deepest: Int { self == .bfloat16Pairs ? 1008 : 1024 }

  /// The words of factors on the left.
  var left: dvae_side { self == .bfloat16Pairs ? DVAE_LEFT_PAIRS : DVAE_ROUNDED }
  /// The words of factors on the right.
  var right: dvae_side { self == .bfloat16Pairs ? DVAE_RIGHT_PAIRS : DVAE_ROUNDED }

  /// Checks that an instruction set has this precision.
  func check(_ instructionSet: InstructionSet) throws(DVAEError) {
    guard self == .bfloat16, !instructionSet.multipliesBfloat16 else { return }
    throw DVAEError(
      .usage, expected: "a processor with bfloat16 products (AVX512_BF16)",
      found: "the instruction set \(instructionSet)",
      advice: "compute in float32, or on another device in bfloat16")
  }
}
