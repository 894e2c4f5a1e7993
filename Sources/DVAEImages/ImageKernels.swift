internal import CDVAEKernels

/// The inner loops of resizing for one instruction set; all give the same bytes.
package struct ImageKernels: @unchecked Sendable {
  // Plain C functions without state, hence safe to share.
  let table: dvae_kernels

  /// The name of the instruction set.
  package var name: String { String(cString: table.name) }

  /// The kernels that this machine supports.
  package static let supported: [ImageKernels] = (0..<dvae_kernels_count())
    .filter { dvae_kernels_supported($0) != 0 }
    .map { ImageKernels(table: dvae_kernels_at($0).pointee) }

  /// The default: the same instruction set as the engine's.
  package static let preferred = ImageKernels(table: dvae_kernels_preferred().pointee)
}
