import CDVAEKernels
import DVAEFiles

/// The precision of the factors of plain matrix products; sums are float32.
///
/// Plain matrix products are all but Winograd's: 1×1 convolutions and the first 7×7 layer, with their
/// gradients.
package enum FactorPrecision: Sendable {
  /// float32.
  case float32
  /// bfloat16, on processors with instructions for it.
  case bfloat16
  /// bfloat16 on any processor, for tests: emulated, and slow, where the instructions are missing.
  case bfloat16Anywhere

  /// Checks that an instruction set has this precision.
  func check(_ instructionSet: InstructionSet) throws(DVAEError) {
    guard self == .bfloat16, instructionSet.kernels.table.has_bfloat16 == 0 else { return }
    throw DVAEError(
      .usage, expected: "a processor with bfloat16 products (AVX512_BF16)",
      found: "the instruction set \(instructionSet)",
      advice: "compute in float32, or on another device in bfloat16")
  }
}
