import ArgumentParser
import DVAEAccelerator
import DVAECPUEngine
import DVAEFiles
import DVAEProgram
import DVAETraining

/// The devices that compute updates.
struct TrainingDeviceOptions: ParsableArguments {
  @OptionGroup var option: DeviceOption

  @Option(
    help: ArgumentHelp(
      "Devices of this machine that share each batch; each computes whole micro-batches.",
      valueName: "N"))
  var devices = 1

  @Option(
    help: ArgumentHelp(
      "float32; tf32, with shorter factors; bfloat16 or float16, with parameters, moments and sums "
        + "in float32, and float16 with dynamic loss scaling. A CPU has float32 and, with "
        + "AVX512_BF16, bfloat16.",
      valueName: "float32|tf32|bfloat16|float16"))
  var precision = ProgramPrecision.float32

  var isCPU: Bool { option.isCPU }

  /// The device and the precision as checkpoints name them: `cpu`, `cuda bfloat16`.
  var name: String {
    Path(option.device).name + (precision == .float32 ? "" : " \(precision.rawValue)")
  }

  func validate() throws {
    try check("devices", devices, atMost: 1024)
    if isCPU, devices > 1 {
      throw ValidationError("--devices needs another --device than cpu")
    }
    if isCPU, precision != .float32, precision != .bfloat16 {
      throw ValidationError("--precision \(precision.rawValue) needs another --device than cpu")
    }
  }

  /// Opens the CPU, which computes the updates unless there is an `updater`.
  func engine(threads: Int?) throws -> CPUEngine {
    try CPUEngine(
      threads: threads, factors: isCPU && precision == .bfloat16 ? .bfloat16 : .float32)
  }

  /// Opens the devices and compiles the programs of a run; nil for the CPU.
  func updater(
    _ configuration: TrainingConfiguration, _ processes: any ProcessGroup
  ) throws -> (any Updater)? {
    guard !isCPU else { return nil }
    let accelerator = try Accelerator(Plugin.load(option.device), devices: devices)
    return try ProgramUpdate(configuration, on: accelerator, precision, processes: processes)
  }
}
