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

  /// Checks that an instruction set has this precision.
  func check(_ instructionSet: InstructionSet) throws(DVAEError) {
    guard self == .bfloat16, !instructionSet.multipliesBfloat16 else { return }
    throw DVAEError(
      .usage, expected: "a processor with bfloat16 products (AVX512_BF16)",
      found: "the instruction set \(instructionSet)",
      advice: "compute in float32, or on another device in bfloat16")
  }
}
