import CDVAEPJRT
package import DVAEFiles

/// A tensor in the memory of a device.
package final class DeviceBuffer: @unchecked Sendable {
  /// The tensor's devices, which stay open as long as it lives.
  private let accelerator: Accelerator
  let buffer: UnsafeMutableRawPointer

  init(_ accelerator: Accelerator, _ buffer: UnsafeMutableRawPointer) {
    self.accelerator = accelerator
    self.buffer = buffer
  }

  deinit { accelerator.plugin.destroy(DVAE_PJRT_BUFFER_DESTROY, buffer) }

  /// Waits until the tensor is computed and copies it to the host.
  ///
  /// - Parameter memory: room for the elements, row-major
  /// - Throws: `inputOutput` if the device or the program that computes the tensor failed
  package func copy(to memory: UnsafeMutableRawBufferPointer) throws(DVAEError) {
    let plugin = accelerator.plugin
    do throws(PluginFailure) {
      var arguments = dvae_pjrt_to_host()
      arguments.buffer = buffer
      // Called without memory, the plugin returns the required size.
      try plugin.call(DVAE_PJRT_BUFFER_TO_HOST, &arguments)
      guard arguments.size == memory.count else {
        throw PluginFailure(
          code: DVAE_PJRT_INVALID_ARGUMENT,
          text: "expected a tensor of \(memory.count) bytes, found \(arguments.size)")
      }
      arguments.data = memory.baseAddress
      try plugin.call(DVAE_PJRT_BUFFER_TO_HOST, &arguments)
      try plugin.wait(for: arguments.done)
    } catch {
      throw plugin.error(
        error, .running, memory: accelerator.memorySummary)
    }
  }

  /// Waits until the tensor is computed and returns its elements.
  package func array<T: BitwiseCopyable>(of type: T.Type, count: Int) throws(DVAEError) -> [T] {
    let memory = UnsafeMutableBufferPointer<T>.allocate(capacity: count)
    defer { memory.deallocate() }
    try copy(to: UnsafeMutableRawBufferPointer(memory))
    return Array(memory)
  }
}
