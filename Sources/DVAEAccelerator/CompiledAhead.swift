import CDVAEPJRT
package import DVAEFiles

/// A program that was compiled for a GPU without being loaded onto one.
package struct CompiledAhead: Sendable {
  /// The memory that it needs, if the plugin reports it.
  package let memory: ProgramMemory?
  /// The size of the machine code and of the constants in bytes.
  package let size: Int
}

extension Plugin {
  /// Compiles a program for a GPU that need not be in this machine.
  ///
  /// The compiler chooses kernels without measuring them.
  ///
  /// - Parameters:
  ///   - program: StableHLO as text or bytecode, with a public function `main`
  ///   - options: the options of the compiler
  ///   - target: the GPU
  /// - Returns: a description of the compiled program
  /// - Throws: `usage` if the plugin compiles only for devices of this machine, `internal` if the
  ///   program cannot be compiled
  package func compile(
    _ program: [UInt8], _ options: CompileOptions = CompileOptions(), for target: GPUTarget
  ) throws(DVAEError) -> CompiledAhead {
    do throws(PluginFailure) {
      let topology = try topology(of: target)
      defer { destroy(DVAE_PJRT_TOPOLOGY_DESTROY, topology) }
      let executable = try withProgram(program, options.bytes) {
        (program, options) throws(PluginFailure) in
        var arguments = dvae_pjrt_compile_ahead()
        arguments.topology = UnsafeRawPointer(topology)
        arguments.program = program
        arguments.options = options.baseAddress
        arguments.options_size = options.count
        try call(DVAE_PJRT_COMPILE_AHEAD, &arguments)
        guard let executable = arguments.executable else {
          throw PluginFailure(code: DVAE_PJRT_INTERNAL, text: "the plugin made no executable")
        }
        return executable
      }
      defer { destroy(DVAE_PJRT_EXECUTABLE_DESTROY, executable) }
      return CompiledAhead(
        memory: DeviceProgram.memory(of: executable, self),
        size: try DeviceProgram.serialized(executable, self).count)
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
      guard let topology = arguments.topology else {
        throw PluginFailure(code: DVAE_PJRT_INTERNAL, text: "the plugin made no topology")
      }
      return topology
    }
  }
}
