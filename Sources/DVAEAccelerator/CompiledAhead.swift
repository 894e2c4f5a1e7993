import CDVAEPJRT
package import DVAEFiles

extension Plugin {
  /// Compiles a program for a GPU that need not be in this machine.
  ///
  /// The compiler chooses kernels without measuring them.
  ///
  /// - Parameters:
  ///   - program: StableHLO as text or bytecode, with a public function `main`
  ///   - target: the GPU
  /// - Returns: the memory that the compiled program needs, if the plugin reports it, and the size of its
  ///   machine code and constants in bytes
  /// - Throws: `usage` if the plugin compiles only for devices of this machine, `internal` if the
  ///   program cannot be compiled
  package func compile(
    _ program: [UInt8], for target: GPUTarget
  ) throws(DVAEError) -> (memory: ProgramMemory?, size: Int) {
    do throws(PluginFailure) {
      let topology = try topology(of: target)
      defer { destroy(DVAE_PJRT_TOPOLOGY_DESTROY, topology) }
      let executable = try withProgram(program, compileOptions(replicas: 1)) {
        (program, options) throws(PluginFailure) in
        var arguments = dvae_pjrt_compile_ahead()
        arguments.topology = UnsafeRawPointer(topology)
        arguments.program = program
        arguments.options = options.baseAddress
        arguments.options_size = options.count
        try call(DVAE_PJRT_COMPILE_AHEAD, &arguments)
        return try made(arguments.executable, "the plugin made no executable")
      }
      defer { destroy(DVAE_PJRT_EXECUTABLE_DESTROY, executable) }
      return (
        DeviceProgram.memory(of: executable, self),
        try DeviceProgram.serialized(executable, self).count
      )
    } catch {
      guard error.code != DVAE_PJRT_UNIMPLEMENTED else {
        throw DVAEError(
          .usage, "\(name): this plugin compiles only for devices of this machine: \(error.message)"
        )
      }
      throw self.error(error, .compiling)
    }
  }

  /// Returns the description of one GPU of a kind; the caller destroys it.
  private func topology(of target: GPUTarget) throws(PluginFailure) -> UnsafeMutableRawPointer {
    try PluginOption.withValues([
      ("target_config", .text(target.description)), ("topology", .text("1x1x1")),
    ]) { (values) throws(PluginFailure) in
      var arguments = dvae_pjrt_topology()
      arguments.options = values.baseAddress
      arguments.option_count = values.count
      try call(DVAE_PJRT_TOPOLOGY_CREATE, &arguments)
      return try made(arguments.topology, "the plugin made no topology")
    }
  }
}
