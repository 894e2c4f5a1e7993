package import DVAEFiles

/// Finds the plugin of a device.
///
/// It searches, in this order: the variable `PJRT_NAMES_AND_LIBRARY_PATHS` (`name:path,name:path`,
/// as in JAX), the folder of `Scripts/install-device.sh`, the active Python environment.
package struct PluginSearch: Sendable {
  /// A kind of device with known plugins.
  package struct Known: Sendable {
    /// The name of the device, such as `cuda`.
    package let name: String
    /// The plugins' paths below a folder of Python packages; `*` matches any end of a name.
    let paths: [String]
    /// A description of the device, and how to get its plugin.
    package let advice: String
  }

  /// The devices that have a name.
  package static let known = [
    Known(
      name: "cuda",
      paths: [
        "jax_plugins/xla_cuda*/xla_cuda_plugin.so", "jax_plugins/nvidia*/xla_cuda_plugin.so",
      ],
      advice: "NVIDIA GPUs on Linux: Scripts/install-device.sh cuda"),
    Known(
      name: "rocm", paths: ["jax_plugins/xla_rocm*/xla_rocm_plugin.so"],
      advice: "AMD GPUs on Linux with ROCm installed: Scripts/install-device.sh rocm"),
    Known(
      name: "tpu", paths: ["libtpu/libtpu.so"],
      advice: "Google's TPUs: Scripts/install-device.sh tpu"),
    Known(
      name: "metal", paths: ["jax_plugins/metal_plugin/pjrt_plugin_metal*"],
      advice: "Apple's GPUs: Scripts/install-device.sh metal"),
    Known(
      name: "cpu-xla",
      paths: [
        "lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so", "xla_cpu_pjrt/*.so",
      ],
      advice: "XLA's compiler for this CPU, for tests: Scripts/install-device.sh cpu-xla"),
  ]

  private let named: [(name: String, path: String)]
  /// The folder below which `Scripts/install-device.sh NAME` installs into NAME.
  package let installFolder: String
  private let pythonFolder: String?

  /// Prepares a search.
  ///
  /// - Parameter variable: the values of environment variables
  package init(variable: (String) -> String? = environmentVariable) {
    named = (variable("PJRT_NAMES_AND_LIBRARY_PATHS") ?? "").split(separator: ",").compactMap {
      guard let colon = $0.utf8.firstIndex(of: UInt8(ascii: ":")) else { return nil }
      return (String($0[..<colon]), String($0[$0.utf8.index(after: colon)...]))
    }
    installFolder = UserFolder.data.path(variable) + "/devices"
    pythonFolder = variable("VIRTUAL_ENV").map { $0 + "/lib" }
  }

  /// All names of devices, whether their plugin is installed or not.
  package var names: [String] {
    Self.known.map(\.name)
      + named.map(\.name).filter { name in
        name != "cpu" && !Self.known.contains { $0.name == name }
      }
  }

  /// Returns the path of a device's plugin.
  ///
  /// - Parameter device: a name such as `cuda`, or the path of a plugin
  /// - Returns: the path
  /// - Throws: `usage` for an unknown name, `missing` if no plugin is installed
  package func plugin(of device: String) throws(DVAEError) -> String {
    if device.utf8.contains(UInt8(ascii: "/")) || device.hasSuffix(".so")
      || device.hasSuffix(".dylib")
    {
      return device
    }
    if let path = find(device) { return path }
    guard let known = Self.known.first(where: { $0.name == device }) else {
      throw DVAEError(
        .usage,
        "\(device.isEmpty ? "''" : device): unknown device; known are cpu, \(names.joined(separator: ", ")) and the path of "
          + "a PJRT plugin")
    }
    throw DVAEError(
      .missing,
      "\(device): no PJRT plugin is installed in \(installFolder)/\(device); \(known.advice)")
  }

  /// Returns the path of a named device's plugin, if it is installed.
  package func find(_ name: String) -> String? {
    if let path = named.first(where: { $0.name == name })?.path { return path }
    guard let known = Self.known.first(where: { $0.name == name }) else { return nil }
    var folders = [installFolder + "/" + name]
    if let pythonFolder {
      folders += matches("python*/site-packages", in: pythonFolder)
    }
    for folder in folders {
      for path in known.paths {
        if let found = matches(path, in: folder).last { return found }
      }
    }
    return nil
  }

  /// Returns the paths below a folder that match a pattern whose components may hold one `*` each.
  private func matches(_ pattern: String, in folder: String) -> [String] {
    pattern.split(separator: "/").reduce([folder]) { folders, part in
      let halves = part.split(separator: "*", omittingEmptySubsequences: false)
      return folders.flatMap { folder in
        let names = (try? FileSystem.names(in: folder)) ?? []
        return names.filter {
          halves.count == 1 ? $0 == part : $0.hasPrefix(halves[0]) && $0.hasSuffix(halves[1])
        }.map { folder + "/" + $0 }
      }
    }
  }
}
