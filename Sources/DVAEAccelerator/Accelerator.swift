import CDVAEPJRT
package import DVAEFiles

/// A device of an accelerator.
package struct Device: Hashable, Sendable, Encodable {
  /// The device's kind, such as `NVIDIA H100 80GB HBM3`.
  package let kind: String
  /// The memory in bytes that programs may use, if the plugin reports it.
  package let memoryLimit: Int?
  /// The memory in bytes that is in use now, if the plugin reports it.
  package let memoryInUse: Int?
}

extension Device {
  /// Describes a device of which only the kind is known.
  package init(kind: String) { self.init(kind: kind, memoryLimit: nil, memoryInUse: nil) }
}

/// The devices of a plugin in this machine.
///
/// All functions are thread-safe.
package final class Accelerator: @unchecked Sendable {
  /// The plugin that drives the devices.
  package let plugin: Plugin
  /// The platform's name and version, as reported by the plugin.
  package let platform: String
  /// The number of devices that are used.
  package let deviceCount: Int
  private let openClient: Client
  private let devices: [UnsafeMutableRawPointer]

  /// The plugin's client, closed with its last reference, also where `init` throws.
  private final class Client {
    let plugin: Plugin
    let pointer: UnsafeMutableRawPointer

    init(_ plugin: Plugin, _ pointer: UnsafeMutableRawPointer) {
      self.plugin = plugin
      self.pointer = pointer
    }

    deinit { plugin.destroy(DVAE_PJRT_CLIENT_DESTROY, pointer) }
  }

  private var client: UnsafeMutableRawPointer { openClient.pointer }

  /// Opens the devices of a plugin.
  ///
  /// - Parameters:
  ///   - plugin: the plugin
  ///   - wanted: the number of devices to use; nil for all
  ///   - reservesMemory: whether to reserve a GPU's memory at once, which is faster later; not for
  ///     merely listing the devices
  /// - Throws: `missing` if there are none, `usage` if there are too few
  package init(
    _ plugin: Plugin, devices wanted: Int? = nil, reservesMemory: Bool = true
  ) throws(DVAEError) {
    self.plugin = plugin
    do throws(PluginFailure) {
      openClient = try Client(
        plugin, Self.makeClient(plugin, wanted, reservesMemory: reservesMemory))
      var list = dvae_pjrt_devices()
      list.client = openClient.pointer
      try plugin.call(DVAE_PJRT_CLIENT_ADDRESSABLE_DEVICES, &list)
      let found = UnsafeBufferPointer(start: list.devices, count: list.count).compactMap(\.self)
      devices = Array(found.prefix(wanted ?? found.count))
      deviceCount = devices.count
      let name = try plugin.text(DVAE_PJRT_CLIENT_PLATFORM_NAME, of: openClient.pointer)
      let version = try plugin.text(
        DVAE_PJRT_CLIENT_PLATFORM_VERSION, of: openClient.pointer)
      platform = version.isEmpty ? name : name + " " + version.filter { !$0.isNewline }
    } catch {
      throw plugin.error(error, .starting)
    }
    guard deviceCount > 0 else { throw DVAEError(.missing, file: plugin.name, "no device") }
    guard deviceCount >= wanted ?? 1 else {
      throw DVAEError(
        .usage, file: plugin.name, "expected \(wanted ?? 1) devices, found \(deviceCount)")
    }
  }

  private static func makeClient(
    _ plugin: Plugin, _ devices: Int?, reservesMemory: Bool
  ) throws(PluginFailure) -> UnsafeMutableRawPointer {
    // Plugins reject unknown options.
    var options: [(name: String, value: PluginOption)] = []
    if plugin.isCPU { options.append(("cpu_device_count", .integer(devices ?? 1))) }
    if plugin.isGPU, !reservesMemory { options.append(("preallocate", .flag(false))) }
    return try PluginOption.withValues(options) { (values) throws(PluginFailure) in
      var create = dvae_pjrt_create()
      create.options = values.baseAddress
      create.option_count = values.count
      try plugin.call(DVAE_PJRT_CLIENT_CREATE, &create)
      return try plugin.made(create.client, "the plugin made no client")
    }
  }

  /// The devices for display and records: `cuda NVIDIA H100 80GB HBM3`, with their number if there
  /// are several.
  package var name: String {
    let kind = deviceDescriptions().first?.kind ?? "unknown"
    let device = Path(plugin.name).name
    return "\(device) \(kind)" + (deviceCount > 1 ? " ×\(deviceCount)" : "")
  }

  /// Returns the current description of each device.
  package func deviceDescriptions() -> [Device] {
    devices.map { device in
      let kind = try? plugin.text(
        DVAE_PJRT_DESCRIPTION_KIND, of: plugin.related(DVAE_PJRT_DEVICE_DESCRIPTION, to: device))
      var memory = dvae_pjrt_device_memory()
      memory.device = device
      let isKnown = (try? plugin.call(DVAE_PJRT_DEVICE_MEMORY, &memory)) != nil
      return Device(
        kind: kind ?? "unknown",
        memoryLimit: isKnown && memory.has_limit ? Int(memory.limit) : nil,
        memoryInUse: isKnown ? Int(memory.in_use) : nil)
    }
  }

  // MARK: Tensors

  /// Copies a tensor to a device; the memory may be reused as soon as the function returns, while
  /// the transfer can overlap with a running program.
  ///
  /// - Parameters:
  ///   - bytes: the elements, row-major
  ///   - extents: the shape
  ///   - type: the type of the elements
  ///   - device: the number of the device
  /// - Returns: the tensor on the device
  /// - Throws: `inputOutput` if the device is out of memory or fails
  package func upload(
    _ bytes: UnsafeRawBufferPointer, _ extents: [Int], _ type: ElementType, to device: Int = 0
  ) throws(DVAEError) -> DeviceBuffer {
    precondition(
      bytes.count == extents.reduce(type.byteCount, *),
      "upload: \(bytes.count) bytes for \(extents) of \(type)")
    let wide = extents.map(Int64.init)
    do throws(PluginFailure) {
      return try wide.withRawBytes { (extents) throws(PluginFailure) in
        var arguments = dvae_pjrt_from_host()
        arguments.client = client
        arguments.data = bytes.baseAddress
        arguments.type = type.code
        arguments.extents = extents.assumingMemoryBound(to: Int64.self).baseAddress
        arguments.rank = wide.count
        arguments.semantics = Int32(DVAE_PJRT_DURING_CALL)
        arguments.device = devices[device]
        try plugin.call(DVAE_PJRT_CLIENT_BUFFER_FROM_HOST, &arguments)
        if let done = arguments.done { plugin.destroy(DVAE_PJRT_EVENT_DESTROY, done) }
        return DeviceBuffer(
          self, try plugin.made(arguments.buffer, "the plugin made no buffer"))
      }
    } catch {
      throw plugin.error(error, .moving(bytes: bytes.count), memory: memorySummary)
    }
  }

  /// Copies the elements of an array to a device.
  package func upload<T: BitwiseCopyable>(
    _ values: [T], _ extents: [Int], _ type: ElementType, to device: Int = 0
  ) throws(DVAEError) -> DeviceBuffer {
    try values.withRawBytes { (bytes) throws(DVAEError) in
      try upload(bytes, extents, type, to: device)
    }
  }

  // MARK: Programs

  /// Compiles a StableHLO program, or loads it from the cache.
  ///
  /// - Parameters:
  ///   - program: StableHLO as text or bytecode, with a public function `main`
  ///   - replicas: the number of devices that run the program, each on its own arguments
  ///   - cache: the cache of compiled programs; nil for none
  /// - Returns: the program
  /// - Throws: `internal` if the program cannot be compiled, `inputOutput` if memory is short
  package func compile(
    _ program: [UInt8], replicas: Int = 1, cache: ProgramCache? = ProgramCache()
  ) throws(DVAEError) -> DeviceProgram {
    precondition(
      replicas <= deviceCount, "compile: \(replicas) replicas, \(deviceCount) devices")
    let options = compileOptions(replicas: replicas)
    let key = ProgramCache.key(program, options, self)
    if let compiled = cache?.read(key), let loaded = try? load(compiled, options, replicas) {
      return loaded
    }
    let compiled: DeviceProgram
    do throws(PluginFailure) {
      compiled = try withProgram(program, options) { (program, options) throws(PluginFailure) in
        var arguments = dvae_pjrt_compile()
        arguments.client = client
        arguments.program = program
        arguments.options = options.baseAddress
        arguments.options_size = options.count
        try plugin.call(DVAE_PJRT_CLIENT_COMPILE, &arguments)
        return try DeviceProgram(
          self, plugin.made(arguments.executable, "the plugin made no executable"),
          replicas: replicas)
      }
    } catch {
      throw plugin.error(error, .compiling, memory: memorySummary)
    }
    if let cache, let bytes = try? compiled.serialized() { cache.write(bytes, key) }
    return compiled
  }

  private func load(
    _ compiled: [UInt8], _ options: [UInt8], _ replicas: Int
  ) throws(PluginFailure) -> DeviceProgram {
    try compiled.withChars { (chars) throws(PluginFailure) in
      try options.withChars { (optionChars) throws(PluginFailure) in
        var arguments = dvae_pjrt_load()
        arguments.client = client
        arguments.bytes = chars.baseAddress
        arguments.count = chars.count
        arguments.options = optionChars.baseAddress
        arguments.options_size = optionChars.count
        try plugin.call(DVAE_PJRT_EXECUTABLE_LOAD, &arguments)
        return try DeviceProgram(
          self, plugin.made(arguments.executable, "the plugin loaded nothing"), replicas: replicas)
      }
    }
  }

  /// The first device, for checks of memory: its name, the memory in bytes that programs may use, if the
  /// plugin reports it, and whether it is this machine's CPU.
  package var room: (name: String, memory: Int?, isCPU: Bool) {
    (name, deviceDescriptions().first?.memoryLimit, plugin.isCPU)
  }

  /// Returns the memory of the first device, for errors.
  func memorySummary() -> String {
    guard let device = deviceDescriptions().first, let limit = device.memoryLimit else { return "" }
    return "\(sizeText(device.memoryInUse ?? 0)) of \(sizeText(limit)) are in use"
  }
}

extension ElementType {
  /// The number of the type in PJRT's interface; only types that are uploaded have one.
  var code: Int32 {
    let code =
      switch self {
      case .int32: DVAE_PJRT_S32
      case .uint8: DVAE_PJRT_U8
      case .uint32: DVAE_PJRT_U32
      case .float32: DVAE_PJRT_F32
      default: preconditionFailure("upload: \(self)")
      }
    return Int32(code)
  }
}
