internal import CDVAEKernels

/// The inner loops of resizing for one instruction set; all give the same bytes.
package struct ImageKernels: @unchecked Sendable {
  // Plain C functions without state, hence safe to share.
  let table: dvae_image_kernels
  /// The name of the instruction set.
  package let name: String

  /// The kernels that this machine supports.
  package static let supported: [ImageKernels] = (0..<dvae_instruction_sets())
    .filter { dvae_instruction_set_supported($0) != 0 }
    .map(ImageKernels.init)

  /// The default: the same instruction set as the engine's.
  package static let preferred = ImageKernels(dvae_instruction_set_preferred())

  private init(_ instructionSet: Int32) {
    table = dvae_image_kernels_at(instructionSet).pointee
    name = String(cString: dvae_instruction_set_name(instructionSet))
  }
}
