package import DVAEFiles
import CDVAEKernels

/// A set of vector instructions that the kernels were compiled for.
package struct InstructionSet: Sendable, CustomStringConvertible {
  /// `avx512amx`, `avx512bf16`, `avx512vnni`, `avx512`, `avx2`, `neon` or `portable`.
  package let name: String
  /// Whether this processor and operating system support it.
  package let isSupported: Bool
  let kernels: dvae_kernels

  /// Whether it has instructions for products of bfloat16 numbers.
  package var multipliesBfloat16: Bool { kernels.bfloat16_gain > 0 }

  /// The name.
  package var description: String { name }

  /// The environment variable that selects one by name.
  package static let environmentVariable = "DVAE_INSTRUCTION_SET"

  /// All in this build, best first.
  package static let all: [InstructionSet] = (0..<dvae_instruction_sets()).map { index in
    InstructionSet(
      name: String(cString: dvae_instruction_set_name(index)),
      isSupported: dvae_instruction_set_supported(index) != 0,
      kernels: dvae_kernels_at(index).pointee)
  }

  /// The supported ones, best first; the last is always `portable`.
  package static var supported: [InstructionSet] { all.filter(\.isSupported) }

  /// Returns the one with a name; for unknown or unsupported names the error lists the choices.
  package static func named(_ name: String) throws(DVAEError) -> InstructionSet {
    guard let found = supported.first(where: { $0.name == name }) else {
      throw DVAEError(
        .usage,
        "the instruction set '\(name)' is not available here; \(environmentVariable) may be one of: "
          + supported.map(\.name).joined(separator: ", "))
    }
    return found
  }

  /// Returns the one in the environment variable, else the best supported one.
  package static func preferred() throws(DVAEError) -> InstructionSet {
    if let name = DVAEFiles.environmentVariable(environmentVariable), !name.isEmpty {
      return try named(name)
    }
    return supported[0]
  }
}
