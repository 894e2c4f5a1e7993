import DVAEFiles

/// The settings that a plugin needs before it is loaded.
package enum PluginEnvironment {
  /// The vendor libraries that NVIDIA's plugin opens by name, in the order of their dependencies.
  private static let vendorNames = [
    "libcudart.so", "libnvJitLink.so", "libnvrtc.so", "libcublasLt.so", "libcublas.so",
    "libnccl.so",
    "libcupti.so", "libcusparse.so", "libcusolver.so", "libcufft.so", "libnvshmem_host.so",
    "libcudnn.so",
  ]

  /// Sets environment variables and loads vendor libraries for the plugin at a path.
  ///
  /// Plugins read the environment when they are loaded; later changes have no effect.
  static func prepare(for plugin: String) {
    // Silences XLA's log on standard error; errors are also returned.
    if environmentVariable("TF_CPP_MIN_LOG_LEVEL") == nil {
      System.setVariable("TF_CPP_MIN_LOG_LEVEL", to: "3")
    }
    setDataFolder(vendorFolders(beside: plugin))
    // If a library cannot be loaded, the plugin reports it by name.
    for library in vendorLibraries(beside: plugin) { _ = System.load(library) }
  }

  /// Returns the vendor's libraries that a plugin is installed with, in the order of their dependencies.
  package static func vendorLibraries(beside plugin: String) -> [String] {
    let libraries = vendorFolders(beside: plugin).flatMap { folder in
      ((try? FileSystem.names(in: folder + "/lib")) ?? []).map { folder + "/lib/" + $0 }
    }
    return vendorNames.compactMap { name in
      libraries.first { Path($0).name.hasPrefix(name + ".") }
    }
  }

  /// Returns the folders of NVIDIA's wheels, which are two folders above the plugin.
  private static func vendorFolders(beside plugin: String) -> [String] {
    let vendor = Path(plugin).folder.folder.folder.text + "/nvidia"
    return ((try? FileSystem.names(in: vendor)) ?? []).map { vendor + "/" + $0 }
  }

  /// Sets the path where XLA finds the assembler and libdevice.
  private static func setDataFolder(_ folders: [String]) {
    let flags = environmentVariable("XLA_FLAGS") ?? ""
    guard !flags.contains("xla_gpu_cuda_data_dir"),
      let folder = folders.first(where: { FileSystem.kind($0 + "/nvvm/libdevice") == .folder })
    else { return }
    let quote = folder.utf8.contains(UInt8(ascii: " ")) ? "'" : ""
    System.setVariable(
      "XLA_FLAGS", to: flags + " --xla_gpu_cuda_data_dir=" + quote + folder + quote)
  }

  /// Returns whether this machine can have the device.
  ///
  /// Google's plugin waits minutes for a server that exists only on Google's machines.
  static func isPossible(_ plugin: String) -> Bool {
    guard Path(plugin).name.hasPrefix("libtpu") else { return true }
    return ["/dev/accel0", "/dev/vfio/0"].contains { FileSystem.kind($0) != .missing }
  }
}
