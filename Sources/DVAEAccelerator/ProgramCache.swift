import DVAEFiles

/// A disk cache of compiled programs, so that each is compiled once per plugin and kind of device.
///
/// A file holds the SHA-256 of its content and the content. A damaged file makes the program be
/// compiled again; the cache never makes a run fail.
package struct ProgramCache: Sendable {
  /// The number of programs to keep; the least recently used are removed.
  static let capacity = 64

  /// The folder of the files.
  package let folder: String

  /// Opens a cache in a folder; by default `dvae/programs` in the user's cache folder.
  package init(_ folder: String? = nil) {
    self.folder = folder ?? UserFolder.cache.path() + "/programs"
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
  func read(_ key: String) -> [UInt8]? {
    guard let content = try? InputFile.contents(of: path(key), limit: 1 << 32) else { return nil }
    let program = Array(content.dropFirst(64))
    guard Array(content.prefix(64)) == Array(FileHash.of(program).utf8) else { return nil }
    FileSystem.touch(path(key))
    return program
  }

  /// Stores a compiled program; a failure to write only costs time.
  func write(_ program: [UInt8], _ key: String) {
    try? FileSystem.makeFolder(folder)
    try? AtomicFile.write(Array(FileHash.of(program).utf8) + program, to: path(key))
    removeOldest()
  }

  private func path(_ key: String) -> String { folder + "/" + key }

  private func removeOldest() {
    let files = ((try? FileSystem.names(in: folder)) ?? []).map { folder + "/" + $0 }
    guard files.count > Self.capacity else { return }
    let times = files.map { (path: $0, time: FileSystem.changed($0) ?? 0) }
    for file in times.sorted(by: { $0.time < $1.time }).prefix(files.count - Self.capacity) {
      try? FileSystem.remove(file.path)
    }
  }
}
