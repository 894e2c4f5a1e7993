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
    plugin = Plugin(try Plugin.load("cpu-xla")) { dvae_failing_table($0) }
  }

  deinit { Self.fail(-1, 0, "") }

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
    #expect(moving.description.contains("the device is out of memory (3 MB for a tensor)"))
    #expect(moving.description.contains("use smaller batches"))
    let compiling = try failure(
      of: DVAE_PJRT_CLIENT_COMPILE, DVAE_PJRT_RESOURCE_EXHAUSTED, message
    ) { _ = try accelerator.compile(double, cache: nil) }
    #expect(compiling.kind == .inputOutput)
    let program = try accelerator.compile(double, cache: nil)
    let x = try accelerator.upload([1, 2, 3] as [Float], [3], .float32)
    let running = try failure(
      of: DVAE_PJRT_LOADED_EXECUTE, DVAE_PJRT_RESOURCE_EXHAUSTED, message
    ) { _ = try program([x]) }
    #expect(running.kind == .inputOutput)
    #expect(running.description.contains("out of memory (the program needs 1 MB"))
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

  /// Loses the device after three updates.
  private final class Watcher: TrainingObserver {
    private let function: Int
    var updates: [Int] = []
    let shouldStop = false

    init(losingBy function: Int) { self.function = function }

    func didUpdate(_ record: UpdateRecord) {
      updates.append(record.update)
      if updates.count == 3 { fail(function, DVAE_PJRT_INTERNAL, "the device fell off the bus") }
    }
    func didValidate(_ record: ValidationRecord, _ pictures: ValidationPictures) {}
    func didSave(_ path: String, update: Int) {}
    func didNotice(_ warning: String) {}
  }

  @Test(
    "A device that is lost ends the run, whose last checkpoint is named and goes on on the CPU",
    arguments: [
      DVAE_PJRT_CLIENT_BUFFER_FROM_HOST, DVAE_PJRT_LOADED_EXECUTE, DVAE_PJRT_EVENT_AWAIT,
      DVAE_PJRT_BUFFER_TO_HOST,
    ]) func loss(of function: Int) throws
  {
    let configuration = try TrainingConfiguration.testing(updates: 6)
    let folder = TemporaryFolder()
    let run = try RunFolder(folder.path + "/run")
    let updater = try ProgramUpdate(
      configuration, on: Accelerator(plugin, devices: 1), .float32)
    var trainer = Trainer(
      try TrainingState(configuration), engine: try CPUEngine(threads: 1),
      data: SyntheticImages(configuration), validation: nil, folder: run,
      processes: SingleProcess(), updater: updater)
    var watcher = Watcher(losingBy: function)
    let error = try #require(throws: DVAEError.self) { _ = try trainer.run(&watcher) }
    Self.fail(-1, 0, "")
    #expect(error.kind == .inputOutput)
    #expect(error.description.contains("the device fell off the bus"))
    let checkpoint = try #require(run.checkpoints().first)
    #expect(error.description.contains(run.checkpoint(checkpoint)))
    #expect(watcher.updates == [1, 2, 3])

    let state = try #require(try run.latest { _ in })
    #expect(state.update == 2)
    var rest = Trainer(
      state, engine: try CPUEngine(threads: 1),
      data: SyntheticImages(configuration, position: state.position), validation: nil, folder: run)
    var second = Watcher(losingBy: -1)
    #expect(try rest.run(&second) == .finished)
    #expect(second.updates == [3, 4, 5, 6])
  }
}
