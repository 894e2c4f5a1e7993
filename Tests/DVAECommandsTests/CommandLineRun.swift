import DVAECommands
import DVAEFiles
import DVAEImages
import DVAEKit
import DVAEModel
import DVAETestSupport
import DVAEWeights
import Foundation
import Synchronization
import Testing

/// Runs a command line in this process.
///
/// - Returns: the exit status and the output on both streams.
func dvae(_ arguments: String...) async -> (status: Int32, output: String, errors: String) {
  await dvae(arguments)
}

/// Runs a command line in this process.
func dvae(_ arguments: [String]) async -> (status: Int32, output: String, errors: String) {
  let printed = Mutex(("", ""))
  let console = Console(
    // A slow machine would show progress among the errors.
    isTerminal: false, pause: .seconds(1_000_000),
    output: { text in
      printed.withLock { $0.0 += text }
      return true
    },
    errors: { text in
      printed.withLock { $0.1 += text }
      return true
    })
  let status = await Console.$current.withValue(console) { await DVAECommand.execute(arguments) }
  return printed.withLock { (status, $0.0, $0.1) }
}

/// Writes the tiny weights as a conversion of OpenAI's, and returns the path.
func weightsOfOpenAI(_ path: String) throws -> String {
  let files = try WeightsFiles(WeightsLocation(Fixture.tiny))
  try files.convert(to: path)
  var metadata = try WeightsFile.open(path).metadata.byText
  metadata["licence"] = WeightsFiles.licenceNote
  let tensors = ModelHalf.allCases.flatMap { files.parameters($0)?.parameters ?? [] }
  try writeSafetensors(
    path,
    tensors: tensors.map { .init($0.name, .float32, shape: $0.shape, .slice($0.values)) },
    metadata: metadata)
  return path
}

/// Compares a file with a fixture's reconstruction; a colour may differ by 1, because the reference may
/// round differently before truncation to bytes.
func expectPicture(_ path: String, _ name: String) throws {
  let made = try PixelImage(contentsOf: path)
  let reference = try PixelImage(contentsOf: Fixture.tiny + "/\(name).recon.png")
  #expect(made.width == reference.width && made.height == reference.height)
  let difference = zip(made.pixels, reference.pixels).map { abs(Int($0) - Int($1)) }.max()
  #expect(difference ?? 255 <= 1)
}
