import CDVAEFailingPlugin
import CDVAEPJRT
import DVAEAccelerator
import DVAECPUEngine
import DVAEFiles
import DVAEProgram
import DVAETestSupport
import DVAETraining
import Testing

/// Serialised, because one function of the plugin fails at a time.
@Suite(
  "Devices that fail", .serialized, .enabled(if: TestDevice.isInstalled, TestDevice.advice))
final class DeviceFailureTests {
  private let plugin: Plugin
  private let double = Array(
    """
    module @double {
      func.func public @main(%a: tensor<3xf32>) -> tensor<3xf32> {
        %0 = stablehlo.add %a, %a : tensor<3xf32>
        return %0 : tensor<3xf32>
      }
    }
    """.utf8)

  init() throws {
    TestDevice.prepare()
    plugin = try Plugin(Plugin.load("cpu-xla")) { dvae_failing_table($0) }
  }

  deinit {
    Self.fail(-1, 0, "")
    dvae_limit_devices(-1)
    dvae_report_memory(0, 0)
  }

  private static func fail(_ function: Int, _ code: Int, _ message: StaticString) {
    message.withUTF8Buffer { text in
      text.withMemoryRebound(to: CChar.self) {
        guard let start = $0.baseAddress else { return }
        dvae_fail(Int32(function), Int32(code), start)
      }
    }
  }

  private func failure(
    of function: Int, _ code: Int, _ message: StaticString, _ body: () throws -> Void
  ) throws -> DVAEError {
    Self.fail(function, code, message)
    defer { Self.fail(-1, 0, "") }
    let error = try #require(throws: DVAEError.self) { try body() }
    #expect(!error.description.contains("\n"))
    return error
  }

  @Test("An interface that is too old or of another generation is refused with both versions")
  func versions() throws {
    let loaded = try Plugin.load("cpu-xla")
    let table = UnsafeMutablePointer<dvae_pjrt_api>.allocate(capacity: 1)
    defer { table.deallocate() }
    func refusal(_ major: Int32, _ minor: Int32, size: Int) throws -> DVAEError? {
      do throws(DVAEError) {
        _ = try Plugin(loaded) {
          table.initialize(to: dvae_failing_table($0).pointee)
          (table.pointee.version.major, table.pointee.version.minor) = (major, minor)
          table.pointee.head.size = size
          return UnsafePointer(table)
        }
        return nil
      } catch { return error }
    }
    let size = MemoryLayout<dvae_pjrt_api>.size
    let old = try #require(try refusal(0, 56, size: size))
    #expect(old.kind == .badData)
    #expect(
      old.description == loaded.path + ": expected version 0.57 or later of the PJRT interface, "
        + "found 0.56; install a newer plugin")
    #expect(try refusal(1, 80, size: size)?.description.hasSuffix("an older plugin") == true)
    let short = try #require(try refusal(0, 80, size: size - 8))
    #expect(short.kind == .badData)
    #expect(
      short.description == loaded.path + ": expected a table of PJRT functions of at least \(size) "
        + "bytes, found \(size - 8) bytes in version 0.80; install a newer plugin")
    #expect(try refusal(0, 57, size: size) == nil)
  }

  @Test("A plugin that cannot start names its file and the reason") func start() throws {
    let error = try failure(
      of: DVAE_PJRT_PLUGIN_INITIALIZE, DVAE_PJRT_INTERNAL, "no libcuda.so\nat line 7"
    ) { _ = try Plugin(plugin) { $0 } }
    #expect(error.kind == .missing)
    #expect(error.description == plugin.path + ": the plugin cannot start: no libcuda.so")
  }

  @Test("A function that a plugin's table lacks is an error that names it") func lacking() throws {
    func refusal(without function: Int, _ body: () throws -> Void) throws -> DVAEError {
      let complete = try Plugin.load("cpu-xla")
      dvae_lack(Int32(function))
      defer { _ = try? Plugin(complete) { dvae_failing_table($0) } }
      return try #require(throws: DVAEError.self) { try body() }
    }
    let start = try refusal(without: DVAE_PJRT_PLUGIN_INITIALIZE) { _ = try Plugin(plugin) { $0 } }
    #expect(start.kind == .missing)
    #expect(start.description.hasSuffix("cannot start: the plugin lacks PJRT_Plugin_Initialize"))
    let open = try refusal(without: DVAE_PJRT_CLIENT_CREATE) { _ = try Accelerator(plugin) }
    #expect(open.description == "cpu-xla: no usable device: the plugin lacks PJRT_Client_Create")
    let accelerator = try Accelerator(plugin, devices: 1)
    let compiling = try refusal(without: DVAE_PJRT_CLIENT_COMPILE) {
      _ = try accelerator.compile(double, cache: nil)
    }
    #expect(compiling.kind == .internal)
    #expect(compiling.description.contains("lacks PJRT_Client_Compile"))
    // An error that cannot be read or freed is still an error.
    for function in [DVAE_PJRT_ERROR_MESSAGE, DVAE_PJRT_ERROR_CODE, DVAE_PJRT_ERROR_DESTROY] {
      let error = try refusal(without: function) {
        _ = try accelerator.compile(Array("no program".utf8), cache: nil)
      }
      #expect(error.kind == .internal)
    }
    // Nothing is freed without the function for it.
    dvae_lack(Int32(DVAE_PJRT_BUFFER_DESTROY))
    _ = try accelerator.upload([1, 2, 3] as [Float], [3], .float32)
  }

  @Test("No device, and fewer than wanted, are errors, and the client is closed")
  func numbers() throws {
    dvae_limit_devices(0)
    let none = try #require(throws: DVAEError.self) { try Accelerator(plugin) }
    #expect(none.kind == .missing)
    #expect(none.description == "cpu-xla: no device")
    dvae_limit_devices(2)
    let few = try #require(throws: DVAEError.self) { try Accelerator(plugin, devices: 3) }
    #expect(few.kind == .usage)
    #expect(few.description == "cpu-xla: expected 3 devices, found 2")
    #expect(dvae_open_clients() == 0)
    #expect(try Accelerator(plugin, devices: 2).deviceCount == 2)
  }

  @Test(
    "A client that cannot be used is closed",
    arguments: [
      DVAE_PJRT_CLIENT_ADDRESSABLE_DEVICES, DVAE_PJRT_CLIENT_PLATFORM_NAME,
      DVAE_PJRT_CLIENT_PLATFORM_VERSION,
    ]) func closing(_ function: Int) throws
  {
    let error = try failure(of: function, DVAE_PJRT_INTERNAL, "no driver\nat line 7") {
      _ = try Accelerator(plugin, devices: 1)
    }
    #expect(error.kind == .missing)
    #expect(error.description.contains("no usable device: no driver"))
    #expect(dvae_open_clients() == 0)
    let accelerator = try Accelerator(plugin, devices: 1)
    withExtendedLifetime(accelerator) { #expect(dvae_open_clients() == 1) }
  }

  @Test("An error about memory says how much was wanted and how much there is") func memory() throws
  {
    let accelerator = try Accelerator(plugin, devices: 1)
    let values = [Float](repeating: 1, count: 600_000)
    let message: StaticString = "Out of memory while trying to allocate\nframes"
    let moving = try failure(
      of: DVAE_PJRT_CLIENT_BUFFER_FROM_HOST, DVAE_PJRT_RESOURCE_EXHAUSTED, message
    ) { _ = try accelerator.upload(values, [600_000], .float32) }
    #expect(moving.kind == .inputOutput)
    #expect(moving.description.contains("the device is out of memory (2.40 MB for a tensor)"))
    #expect(moving.description.contains("use smaller batches"))
    dvae_report_memory(78_000_000_000, 80_000_000_000)
    let known = try failure(
      of: DVAE_PJRT_CLIENT_BUFFER_FROM_HOST, DVAE_PJRT_RESOURCE_EXHAUSTED, message
    ) { _ = try accelerator.upload(values, [600_000], .float32) }
    #expect(known.description.contains("(2.40 MB for a tensor, 78.0 GB of 80.0 GB are in use)"))
    let compiling = try failure(
      of: DVAE_PJRT_CLIENT_COMPILE, DVAE_PJRT_RESOURCE_EXHAUSTED, message
    ) { _ = try accelerator.compile(double, cache: nil) }
    #expect(compiling.kind == .inputOutput)
    #expect(compiling.description.contains("(78.0 GB of 80.0 GB are in use)"))
    let program = try accelerator.compile(double, cache: nil)
    let x = try accelerator.upload([1, 2, 3] as [Float], [3], .float32)
    let running = try failure(
      of: DVAE_PJRT_LOADED_EXECUTE, DVAE_PJRT_RESOURCE_EXHAUSTED, message
    ) { _ = try program([x]) }
    #expect(running.kind == .inputOutput)
    #expect(
      running.description.contains(
        "out of memory (the program needs 24 bytes, 78.0 GB of 80.0 GB are"))
    // The device is usable afterwards.
    #expect(try program([x])[0].array(of: Float.self, count: 3) == [2, 4, 6])
  }

  @Test("A compiler's failure is an internal error") func compiler() throws {
    let accelerator = try Accelerator(plugin, devices: 1)
    let error = try failure(
      of: DVAE_PJRT_CLIENT_COMPILE, DVAE_PJRT_INTERNAL, "ptxas was killed\nlog"
    ) { _ = try accelerator.compile(double, cache: nil) }
    #expect(error.kind == .internal)
    #expect(error.description.hasSuffix("the program cannot be compiled: ptxas was killed"))
  }

  @Test("Waiting for a run that failed throws") func waiting() throws {
    let accelerator = try Accelerator(plugin, devices: 1)
    let program = try accelerator.compile(double, cache: nil)
    let x = try accelerator.upload([1, 2, 3] as [Float], [3], .float32)
    let run = try program.run([[x]])
    let error = try failure(
      of: DVAE_PJRT_EVENT_AWAIT, DVAE_PJRT_INTERNAL, "the device fell off the bus"
    ) { try run.wait() }
    #expect(error.kind == .inputOutput)
    #expect(error.description == "cpu-xla: the device failed: the device fell off the bus")
    #expect(try run.results[0][0].array(of: Float.self, count: 3) == [2, 4, 6])
  }

  /// Loses the device after an update.
  private final class Watcher: TrainingObserver {
    private let function: Int
    private let last: Int
    var updates: [Int] = []
    let shouldStop = false

    init(losingBy function: Int, after last: Int = 3) {
      (self.function, self.last) = (function, last)
    }

    func didUpdate(_ record: UpdateRecord) {
      updates.append(record.update)
      if updates.count == last { fail(function, DVAE_PJRT_INTERNAL, "the device fell off the bus") }
    }
    func didValidate(_ record: ValidationRecord, _ pictures: ValidationPictures) {}
    func didSave(_ path: String, update: Int) {}
    func didNotice(_ warning: String) {}
  }

  /// After the third update the device fails in the next one; after the fourth, in the validation, whose
  /// error leaves the state readable, or in the checkpoint that follows it.
  @Test(
    "A device that is lost ends the run, whose last checkpoint is named and goes on on the CPU",
    arguments: [
      (DVAE_PJRT_CLIENT_BUFFER_FROM_HOST, 3, false), (DVAE_PJRT_LOADED_EXECUTE, 3, false),
      (DVAE_PJRT_EVENT_AWAIT, 3, false), (DVAE_PJRT_BUFFER_TO_HOST, 3, false),
      (DVAE_PJRT_BUFFER_TO_HOST, 4, false), (DVAE_PJRT_LOADED_EXECUTE, 4, true),
    ] as [(Int, Int, Bool)]) func loss(of function: Int, after update: Int, validates: Bool) throws
  {
    let configuration = try TrainingConfiguration.testing(updates: 6)
    let folder = TemporaryFolder()
    let run = try RunFolder(folder.path + "/run")
    let updater = try ProgramUpdate(
      configuration, on: Accelerator(plugin, devices: 1), .float32)
    var trainer = Trainer(
      try TrainingState(configuration), engine: try CPUEngine(threads: 1),
      data: SyntheticImages(configuration),
      validation: validates ? try ValidationSet([SyntheticImages.one(configuration)]) : nil,
      folder: run, processes: SingleProcess(), updater: updater)
    var watcher = Watcher(losingBy: function, after: update)
    let error = try #require(throws: DVAEError.self) { _ = try trainer.run(&watcher) }
    Self.fail(-1, 0, "")
    #expect(error.kind == .inputOutput)
    #expect(error.description.contains("the device fell off the bus"))
    #expect(!error.description.contains("\n"))
    let checkpoint = try #require(run.checkpoints().first)
    #expect(error.description.contains("the last checkpoint is \(run.checkpoint(checkpoint))"))
    #expect(watcher.updates == Array(1...update))

    let state = try #require(try run.latest { _ in })
    // A validation that the device cannot compute is preceded by a checkpoint.
    let last = validates ? 4 : 2
    #expect(state.update == last)
    var rest = Trainer(
      state, engine: try CPUEngine(threads: 1),
      data: SyntheticImages(configuration, position: state.position), validation: nil, folder: run)
    var second = Watcher(losingBy: -1)
    #expect(try rest.run(&second) == .finished)
    #expect(second.updates == Array(last + 1...6))
  }
}
