import CDVAEPJRT
package import DVAEFiles

/// A GPU that programs are compiled for without being in the machine.
package enum GPUTarget: String, CaseIterable, Sendable {
  /// NVIDIA's H100 SXM with 80 GB.
  case h100

  /// The GPU as a `GpuTargetConfigProto` of XLA in text form.
  var description: String {
    switch self {
    case .h100:
      """
      platform_name: "CUDA"
      device_description_str: "NVIDIA H100 80GB HBM3"
      dnn_version_info { major: 9 minor: 12 patch: 0 }
      gpu_device_info {
        name: "NVIDIA H100 80GB HBM3"
        device_vendor: "NVIDIA Corporation"
        cuda_compute_capability { major: 9 feature_extension: ACCELERATED_FEATURES }
        driver_version: "13.0.0" runtime_version: "13.0.0" compile_time_toolkit_version: "13.0.0"
        dnn_version: "9.12.0"
        core_count: 132 fpus_per_core: 128 clock_rate_ghz: 1.98
        device_memory_size: 84942979072 memory_bandwidth: 3352320000000
        l2_cache_size: 52428800 device_address_bits: 64
        threads_per_warp: 32 threads_per_block_limit: 1024 threads_per_core_limit: 2048
        thread_dim_limit_x: 1024 thread_dim_limit_y: 1024 thread_dim_limit_z: 64
        block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
        registers_per_core_limit: 65536 registers_per_block_limit: 65536
        shared_memory_per_core: 233472 shared_memory_per_block: 49152
        shared_memory_per_block_optin: 232448
      }
      """
    }
  }
}

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
