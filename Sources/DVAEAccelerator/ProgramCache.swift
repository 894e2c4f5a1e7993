import DVAEFiles

/// A disk cache of compiled programs, so that each is compiled once per plugin and kind of device.
package struct ProgramCache: Sendable {
  private let cache: DiskCache

  /// Opens a cache in a folder; by default `dvae/programs` in the user's cache folder.
  package init(_ folder: String? = nil) {
    cache = DiskCache(folder ?? UserFolder.cache.path() + "/programs", capacity: 64)
  }

  /// Returns a program's name in the cache: a hash of what its compiled form depends on.
  static func key(_ program: [UInt8], _ options: [UInt8], _ accelerator: Accelerator) -> String {
    let plugin = accelerator.plugin
    var hash = FileHash()
    hash.add("dvae program 2")
    hash.add("\(plugin.version) \(accelerator.platform)")
    // Two builds of a plugin can have the same version of the interface, and it chooses kernels by measuring
    // those of the vendor's libraries.
    for file in [plugin.path] + PluginEnvironment.vendorLibraries(beside: plugin.path) {
      hash.add(identity(of: file))
    }
    for device in accelerator.deviceDescriptions() { hash.add(device.kind) }
    // Programs for the CPU use this processor's instructions.
    let processor = InputFile.systemText("/proc/cpuinfo") ?? ""
    hash.add(
      processor.split(separator: "\n")
        .first { $0.hasPrefix("flags") || $0.hasPrefix("Features") }.map(String.init) ?? "")
    hash.add(environmentVariable("XLA_FLAGS") ?? "")
    hash.update(options)
    hash.update(program)
    return hash.finished()
  }

  /// Returns what changes with a library's version: `libcudnn.so.9 1024 1700000000.5`.
  package static func identity(of file: String) -> String {
    "\(Path(file).name) \(FileSystem.size(file) ?? 0) \(FileSystem.changed(file) ?? 0)"
  }

  /// Returns the compiled program for a key, if it is there and intact.
  func read(_ key: String) -> [UInt8]? { cache.read(key, limit: 1 << 32) }

  /// Stores a compiled program.
  func write(_ program: [UInt8], _ key: String) { cache.write(program, key) }
}
