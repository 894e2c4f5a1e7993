import ArgumentParser
import DVAEKit

/// `dvae weights convert`.
struct WeightsConvert: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Put weights into one safetensors file.",
    discussion: """
      Reads .pkl, .pt and .safetensors with OpenAI's names or those of Hugging Face's FLAVA, \
      executing nothing. Writes the official names behind 'encoder.' and 'decoder.'.

      Example:
        dvae weights convert encoder.pkl decoder.pkl --output dvae.safetensors
      """)

  @Argument(help: "A weights file or folder, or an encoder's file and a decoder's.")
  var inputs: [String]

  @Option(name: .shortAndLong, help: "The .safetensors file to write.")
  var output: String

  @Flag(help: "Write half precision: half the size, a few tokens will differ.")
  var float16 = false

  func validate() throws {
    guard (1...2).contains(inputs.count) else {
      throw ValidationError("expected one or two weights files, not \(inputs.count)")
    }
    guard output.lowercased().hasSuffix(".safetensors") else {
      throw ValidationError("--output must end in .safetensors: \(output)")
    }
  }

  func run() async throws {
    let weights = try inputs.count == 1 ? WeightsFiles(inputs[0]) : WeightsFiles(files: inputs)
    try FileSystem.makeFolder(FileSystem.folder(of: output))
    try weights.convert(to: output, float16: float16)
    Console.current.print(output)
  }
}
