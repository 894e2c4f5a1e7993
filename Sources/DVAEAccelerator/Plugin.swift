package import CDVAEPJRT
package import DVAEFiles
import Synchronization

/// A PJRT plugin: a library that compiles and runs programs for one kind of device.
///
/// All functions are thread-safe.
package final class Plugin: @unchecked Sendable {
  /// The library's path.
  package let path: String
  /// The requested device, such as `cuda`, or the path; for messages.
  package let name: String
  /// The version of the interface, such as `0.115`.
  package let version: String
  private let api: UnsafePointer<dvae_pjrt_api>

  private static let loaded = Mutex<[Path: Plugin]>([:])

  /// Loads the plugin of a device once per path; it stays loaded until the process ends.
  ///
  /// - Parameters:
  ///   - device: a name such as `cuda`, or the path of a plugin
  ///   - search: finds the plugins of names
  /// - Returns: the plugin
  /// - Throws: `missing` if there is no plugin, `badData` if the file is something else or its
  ///   interface is too old
  package static func load(
    _ device: String, _ search: PluginSearch = PluginSearch()
  ) throws(DVAEError) -> Plugin {
    let path = try search.plugin(of: device)
    return try loaded.withLock { (loaded) throws(DVAEError) in
      if let plugin = loaded[Path(path)] { return plugin }
      let plugin = try Plugin(path, name: device)
      loaded[Path(path)] = plugin
      return plugin
    }
  }

  private convenience init(_ path: String, name: String) throws(DVAEError) {
    let kind = FileSystem.kind(path)
    guard kind == .file else {
      throw DVAEError(
        .missing, file: path, expected: "a PJRT plugin",
        found: kind == .folder ? "a folder" : "no file")
    }
    // This is checked before anything of the plugin runs, because starting it can take minutes.
    guard PluginEnvironment.isPossible(path) else {
      throw DVAEError(.missing, file: name, "this machine has no TPU")
    }
    try PluginFile.check(path)
    PluginEnvironment.prepare(for: path)
    // A bare name would be searched in the system's folders.
    let place = path.utf8.contains(UInt8(ascii: "/")) ? path : "./" + path
    guard let library = System.load(place) else {
      throw DVAEError(
        .badData, file: path,
        "cannot be loaded as a PJRT plugin, which is a shared library: \(System.loadFailure())")
    }
    guard let symbol = System.symbol("GetPjrtApi", in: library),
      let api = dvae_pjrt_table(symbol)
    else {
      throw DVAEError(
        .badData, file: path, "expected a PJRT plugin, found a library without GetPjrtApi")
    }
    try self.init(path, name: name, api)
  }

  private init(
    _ path: String, name: String, _ api: UnsafePointer<dvae_pjrt_api>
  ) throws(DVAEError) {
    let (major, minor) = (Int(api.pointee.version.major), Int(api.pointee.version.minor))
    (self.path, self.name, self.api) = (path, name, api)
    version = "\(major).\(minor)"
    guard major == 0, minor >= DVAE_PJRT_OLDEST_MINOR else {
      throw DVAEError(
        .badData, file: path,
        "expected version 0.\(DVAE_PJRT_OLDEST_MINOR) or later of the PJRT interface, found "
          + "\(version); install \(major > 0 ? "an older" : "a newer") plugin")
    }
    let (size, needed) = (api.pointee.head.size, MemoryLayout<dvae_pjrt_api>.size)
    guard size >= needed else {
      throw DVAEError(
        .badData, file: path,
        "expected a table of PJRT functions of at least \(needed) bytes, found \(size) bytes in "
          + "version \(version); install a newer plugin")
    }
    var nothing = dvae_pjrt_nothing()
    do throws(PluginFailure) {
      try call(DVAE_PJRT_PLUGIN_INITIALIZE, &nothing)
    } catch {
      throw DVAEError(.missing, file: path, "the plugin cannot start: \(error.message)")
    }
  }

  /// Makes a plugin whose calls go through another table of functions, for tests of failures.
  ///
  /// - Throws: as `load` does for the file of such a table
  package convenience init(
    _ plugin: Plugin,
    through table: (UnsafePointer<dvae_pjrt_api>) -> UnsafePointer<dvae_pjrt_api>
  ) throws(DVAEError) {
    try self.init(plugin.path, name: plugin.name, table(plugin.api))
  }

  /// Returns the plugin's attributes, such as the StableHLO version that it reads.
  package func attributes() -> [String: String] {
    var list = dvae_pjrt_attributes()
    // Some plugins lack this function.
    guard (try? call(DVAE_PJRT_PLUGIN_ATTRIBUTES, &list)) != nil else { return [:] }
    let values = UnsafeBufferPointer(start: list.values, count: list.count)
    return values.reduce(into: [:]) { attributes, value in
      attributes[Self.text(value.name, value.name_size)] =
        switch Int(value.type) {
        case DVAE_PJRT_STRING: Self.text(value.value.string, value.value_size)
        case DVAE_PJRT_INT64: "\(value.value.integer)"
        case DVAE_PJRT_INT64_LIST:
          UnsafeBufferPointer(start: value.value.integers, count: value.value_size)
            .map(String.init).joined(separator: ".")
        case DVAE_PJRT_FLOAT: "\(value.value.number)"
        default: "\(value.value.flag)"
        }
    }
  }

  /// Whether the plugin's devices are this machine's CPU.
  var isCPU: Bool { Path(path).name.contains("cpu") }
  /// Whether it is XLA's plugin for GPUs.
  var isGPU: Bool { path.hasSuffix("xla_cuda_plugin.so") || path.hasSuffix("xla_rocm_plugin.so") }

  // MARK: Calls

  /// Calls a function of the table after setting the size of the arguments.
  ///
  /// - Throws: the function's error, or that the table lacks the function
  func call<Arguments>(
    _ function: Int, _ arguments: inout Arguments
  ) throws(PluginFailure) {
    guard dvae_pjrt_has(api, Int32(function)) else {
      throw PluginFailure(
        code: DVAE_PJRT_UNIMPLEMENTED,
        text: "the plugin lacks \(String(cString: dvae_pjrt_name(Int32(function))))")
    }
    guard let error = raw(function, &arguments) else { return }
    var message = dvae_pjrt_text()
    message.object = error
    _ = raw(DVAE_PJRT_ERROR_MESSAGE, &message)
    var code = dvae_pjrt_code()
    code.object = error
    _ = raw(DVAE_PJRT_ERROR_CODE, &code)
    let failure = PluginFailure(
      code: Int(code.value), text: Self.text(message.text, message.count))
    var object = dvae_pjrt_object()
    object.object = error
    _ = raw(DVAE_PJRT_ERROR_DESTROY, &object)
    throw failure
  }

  /// Calls a function; without effect if the table lacks it.
  private func raw<Arguments>(
    _ function: Int, _ arguments: inout Arguments
  ) -> UnsafeMutableRawPointer? {
    withUnsafeMutableBytes(of: &arguments) { bytes in
      bytes.storeBytes(of: bytes.count, as: Int.self)
      return dvae_pjrt_call(api, Int32(function), bytes.baseAddress)
    }
  }

  /// Waits for an event and frees it.
  func wait(for event: UnsafeMutableRawPointer?) throws(PluginFailure) {
    guard let event else { return }
    defer { destroy(DVAE_PJRT_EVENT_DESTROY, event) }
    var arguments = dvae_pjrt_object()
    arguments.object = event
    try call(DVAE_PJRT_EVENT_AWAIT, &arguments)
  }

  /// Frees an object.
  func destroy(_ function: Int, _ object: UnsafeMutableRawPointer) {
    var arguments = dvae_pjrt_object()
    arguments.object = object
    try? call(function, &arguments)
  }

  /// Returns the text that a function reports about an object.
  func text(_ function: Int, of object: UnsafeMutableRawPointer) throws(PluginFailure) -> String {
    var arguments = dvae_pjrt_text()
    arguments.object = object
    try call(function, &arguments)
    return Self.text(arguments.text, arguments.count)
  }

  /// Returns an object that belongs to another one.
  func related(
    _ function: Int, to object: UnsafeMutableRawPointer
  ) throws(PluginFailure) -> UnsafeMutableRawPointer {
    var arguments = dvae_pjrt_related()
    arguments.object = object
    try call(function, &arguments)
    return try made(arguments.result, "the plugin returned nothing")
  }

  /// Returns the object that a function made.
  ///
  /// - Throws: `problem` if there is none
  func made(
    _ object: UnsafeMutableRawPointer?, _ problem: String
  ) throws(PluginFailure) -> UnsafeMutableRawPointer {
    guard let object else { throw PluginFailure(code: DVAE_PJRT_INTERNAL, text: problem) }
    return object
  }

  private static func text(_ text: UnsafePointer<CChar>?, _ count: Int) -> String {
    guard let text else { return "" }
    let bytes = UnsafeRawBufferPointer(start: text, count: count)
    return String(decoding: bytes, as: UTF8.self)
  }
}
