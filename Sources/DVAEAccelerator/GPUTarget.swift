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
