import CDVAEPJRT
package import DVAEFiles

/// The memory that a program needs on each device, in bytes.
package struct ProgramMemory: Hashable, Sendable {
  /// The size of its arguments.
  package let arguments: Int
  /// The size of its results, without those that reuse arguments' memory.
  package let results: Int
  /// The size of its temporary memory.
  package let temporary: Int

  /// The sum of all.
  package var total: Int { arguments + results + temporary }
}

/// A compiled program that runs on one device or on several at once.
package final class DeviceProgram: @unchecked Sendable {
  /// The number of tensors that it returns on each device.
  package let resultCount: Int
  /// The memory that it needs, if the plugin reports it.
  package let memory: ProgramMemory?
  private let accelerator: Accelerator
  private let loaded: UnsafeMutableRawPointer
  private let replicas: Int

  init(
    _ accelerator: Accelerator, _ loaded: UnsafeMutableRawPointer, replicas: Int
  ) throws(PluginFailure) {
    let plugin = accelerator.plugin
    self.accelerator = accelerator
    self.loaded = loaded
    self.replicas = replicas
    do throws(PluginFailure) {
      let executable = try plugin.related(DVAE_PJRT_LOADED_EXECUTABLE, to: loaded)
      defer { plugin.destroy(DVAE_PJRT_EXECUTABLE_DESTROY, executable) }
      var count = dvae_pjrt_count()
      count.object = executable
      try plugin.call(DVAE_PJRT_EXECUTABLE_RESULT_COUNT, &count)
      resultCount = count.value
      memory = Self.memory(of: executable, plugin)
    } catch {
      plugin.destroy(DVAE_PJRT_LOADED_DESTROY, loaded)
      throw error
    }
  }

  deinit { accelerator.plugin.destroy(DVAE_PJRT_LOADED_DESTROY, loaded) }

  static func memory(of executable: UnsafeMutableRawPointer, _ plugin: Plugin) -> ProgramMemory? {
    var memory = dvae_pjrt_program_memory()
    memory.executable = executable
    guard (try? plugin.call(DVAE_PJRT_EXECUTABLE_MEMORY, &memory)) != nil else { return nil }
    return ProgramMemory(
      arguments: Int(memory.arguments), results: Int(memory.results - memory.shared),
      temporary: Int(memory.temporary))
  }

  /// Returns the compiled program, for the same plugin and kind of device.
  func serialized() throws(PluginFailure) -> [UInt8] {
    let plugin = accelerator.plugin
    let executable = try plugin.related(DVAE_PJRT_LOADED_EXECUTABLE, to: loaded)
    defer { plugin.destroy(DVAE_PJRT_EXECUTABLE_DESTROY, executable) }
    return try Self.serialized(executable, plugin)
  }

  static func serialized(
    _ executable: UnsafeMutableRawPointer, _ plugin: Plugin
  ) throws(PluginFailure) -> [UInt8] {
    var arguments = dvae_pjrt_serialize()
    arguments.executable = UnsafeRawPointer(executable)
    try plugin.call(DVAE_PJRT_EXECUTABLE_SERIALIZE, &arguments)
    defer { arguments.release?(arguments.owner) }
    return Array(UnsafeRawBufferPointer(start: arguments.bytes, count: arguments.count))
  }

  /// Starts the program on all devices that it was compiled for, without waiting.
  ///
  /// An argument whose memory a result reuses must not be used again. Device errors may appear only
  /// when the run or one of its results is awaited.
  ///
  /// - Parameter arguments: the arguments on each device
  /// - Returns: the run with its results
  /// - Throws: `internal` if the arguments do not match, `inputOutput` if the device fails
  package func run(_ arguments: [[DeviceBuffer]]) throws(DVAEError) -> DeviceRun {
    precondition(
      arguments.count == replicas && arguments.allSatisfy { $0.count == arguments[0].count },
      "run: arguments for \(arguments.count) devices, compiled for \(replicas)")
    let plugin = accelerator.plugin
    let lists = arguments.map { list in Table(list.map { Optional($0.buffer) }) }
    let results = arguments.map { _ in
      Table([UnsafeMutableRawPointer?](repeating: nil, count: resultCount))
    }
    let argumentTable = Table(
      lists.map { Optional(UnsafePointer($0.start)) as UnsafePointer<UnsafeMutableRawPointer?>? })
    let resultTable = Table(
      results.map { Optional($0.start) as UnsafeMutablePointer<UnsafeMutableRawPointer?>? })
    let done = Table([UnsafeMutableRawPointer?](repeating: nil, count: replicas))
    let options = Table([dvae_pjrt_execute_options()])
    options.start.pointee.head.size = MemoryLayout<dvae_pjrt_execute_options>.size
    // The plugin reads all tables only during the call.
    defer { withExtendedLifetime((lists, results, argumentTable, resultTable, done, options)) {} }
    do throws(PluginFailure) {
      var execute = dvae_pjrt_execute()
      execute.executable = loaded
      execute.options = options.start
      execute.arguments = UnsafePointer(argumentTable.start)
      execute.device_count = replicas
      execute.argument_count = arguments[0].count
      execute.results = UnsafePointer(resultTable.start)
      execute.done = done.start
      try plugin.call(DVAE_PJRT_LOADED_EXECUTE, &execute)
    } catch {
      throw runError(error)
    }
    return DeviceRun(
      self, arguments,
      results.map { $0.values.compactMap { $0.map { DeviceBuffer(accelerator, $0) } } },
      done.values)
  }

  fileprivate func wait(for event: UnsafeMutableRawPointer?) throws(DVAEError) {
    do throws(PluginFailure) {
      try accelerator.plugin.wait(for: event)
    } catch {
      throw runError(error)
    }
  }

  private func runError(_ failure: PluginFailure) -> DVAEError {
    accelerator.plugin.error(failure, .running) {
      let needed = memory.map { "the program needs \(sizeText($0.total))" } ?? ""
      let used = accelerator.memorySummary()
      return needed + (needed.isEmpty || used.isEmpty ? "" : ", ") + used
    }
  }
}

/// A run of a program, possibly still in progress.
package final class DeviceRun: @unchecked Sendable {
  /// The results on each device; they can be passed to other runs before this one ends.
  package let results: [[DeviceBuffer]]
  private let program: DeviceProgram
  /// Keeps the arguments alive until the run has ended.
  private var arguments: [[DeviceBuffer]]
  private var events: [UnsafeMutableRawPointer?]

  init(
    _ program: DeviceProgram, _ arguments: [[DeviceBuffer]], _ results: [[DeviceBuffer]],
    _ events: [UnsafeMutableRawPointer?]
  ) {
    self.program = program
    self.arguments = arguments
    self.results = results
    self.events = events
  }

  deinit { try? wait() }

  /// Waits until all devices are done; not to be called from two threads at once.
  ///
  /// - Throws: `inputOutput` if a device failed or is out of memory
  package func wait() throws(DVAEError) {
    let waiting = events
    events = []
    defer { arguments = [] }
    var failure: DVAEError?
    // All events must be freed, even after an error.
    for event in waiting {
      do throws(DVAEError) { try program.wait(for: event) } catch { failure = failure ?? error }
    }
    if let failure { throw failure }
  }
}

/// An array at a stable address, for arguments of C functions.
private final class Table<Element> {
  let start: UnsafeMutablePointer<Element>
  private let count: Int

  init(_ values: [Element]) {
    count = values.count
    start = .allocate(capacity: max(1, count))
    start.initialize(from: values, count: count)
  }

  deinit {
    start.deinitialize(count: count)
    start.deallocate()
  }

  var values: [Element] { Array(UnsafeBufferPointer(start: start, count: count)) }
}
