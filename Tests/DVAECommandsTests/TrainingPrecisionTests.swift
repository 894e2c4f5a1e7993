import DVAECPUEngine
import DVAETestSupport
import Foundation
import Testing

/// `--precision` of `dvae train` and of `dvae benchmark --what train` on the CPU.
@Suite struct TrainingPrecisionTests {
  private static let hasProducts = (try? InstructionSet.preferred())?.multipliesBfloat16 == true
  private let folder = TemporaryFolder()

  private func train(_ arguments: String...) async -> (
    status: Int32, output: String, errors: String
  ) {
    await dvae(
      ["train", "--data", Fixture.images, "--output", folder("run"), "--updates", "1", "--quiet"]
        + TrainCommandTests.small + arguments)
  }

  @Test(
    "A processor without bfloat16 products is refused in one line, and no folder is left",
    .disabled(if: hasProducts, "this processor has them"))
  func refusal() async {
    for run in [
      await train("--precision", "bfloat16"),
      await dvae("benchmark", "--what", "train", "--precision", "bfloat16"),
    ] {
      #expect(run.status == 64)
      #expect(run.errors.contains("AVX512_BF16"), "\(run.errors)")
      #expect(run.errors.filter { $0 == "\n" }.count == 1, "\(run.errors)")
    }
    #expect(!FileManager.default.fileExists(atPath: folder("run")))
  }

  @Test(
    "A run names its precision in the model card",
    .enabled(if: hasProducts, "this processor has no bfloat16 products"))
  func card() async throws {
    let run = await train("--precision", "bfloat16")
    #expect(run.status == 0, "\(run.errors)")
    let card = try String(contentsOfFile: folder("run/model-card.md"), encoding: .utf8)
    #expect(card.contains(" bfloat16 |"), "\(card)")
  }

  @Test("Other precisions than float32 and bfloat16 need a device")
  func others() async {
    for precision in ["tf32", "float16"] {
      let run = await train("--precision", precision)
      #expect(run.status == 64)
      #expect(
        run.errors.contains("--precision \(precision) needs another --device than cpu"),
        "\(run.errors)")
    }
    for arguments in [["--what", "encode"], ["--what", "train", "--accuracy"]] {
      let run = await dvae(["benchmark", "--precision", "bfloat16"] + arguments)
      #expect(run.status == 64 && run.errors.contains("is for --what train"), "\(run.errors)")
    }
  }

  /// As on a device, the precision is no setting of the run: checkpoints are float32 in any.
  @Test("The settings of a run do not depend on the precision")
  func settings() async {
    let (plain, mixed) = (
      await train("--print-config"), await train("--print-config", "--precision", "bfloat16")
    )
    #expect(plain.status == 0 && plain.output.contains("\"updates\""), "\(plain.errors)")
    #expect(mixed.status == 0 && mixed.output == plain.output, "\(mixed.errors)")
  }
}
