import DVAETestSupport
import DVAEKit
import DVAEModel
import Foundation
import Testing

/// The example that learns from exported tokens, as a program on tokens with a law.
@Suite struct NextTokenTests {
  let folder = TemporaryFolder()

  private func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: Program.product("DVAENextToken"))
    process.arguments = arguments
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    let text = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: text, as: UTF8.self))
  }

  /// Forty grids: each token is one more than its left neighbour, or one of 16 by chance.
  private func write(lawful: Bool) throws -> String {
    let path = folder("\(lawful).bin")
    var provenance = testProvenance(count: 40)
    provenance.architecture = try Architecture(vocabulary: 16)
    let writer = try TokenWriter(path, format: .flat, provenance: provenance)
    var state: UInt64 = 1
    func random(_ count: UInt64) -> UInt16 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt16((state >> 33) % count)
    }
    for image in 0..<40 {
      var tokens: [UInt16] = []
      for _ in 0..<256 {
        let follows = lawful && tokens.count % 16 > 0 && random(4) > 0
        tokens.append(follows ? (tokens[tokens.count - 1] + 1) % 16 : random(16))
      }
      let grid = TokenGrid(height: 16, width: 16, tokens: tokens)
      try writer.append(TokenRecord(key: "\(image)", .tokens(grid)))
    }
    try writer.finish()
    return path
  }

  private func number(after text: String, in output: String) throws -> Double {
    let rest = try #require(output.range(of: text, options: .backwards)).upperBound
    return try #require(Double(output[rest...].prefix { $0 == "." || $0.isNumber }))
  }

  @Test func neighboursAreLearned() throws {
    let path = try write(lawful: true)
    // Two numbers for 16 codes: only learned ones tell them apart.
    let run = try run([
      path, "--batch-size", "64", "--passes", "20", "--width", "2", "--learning-rate", "0.01",
    ])
    #expect(run.status == 0, "\(run.output)")
    let entropy = try number(after: "held-out tokens: ", in: run.output)
    let loss = try number(after: "held-out loss ", in: run.output)
    // ln 16 is 2.77; the law leaves 1.28.
    #expect(entropy > 2.7 && entropy < 2.78)
    #expect(loss > 1.2 && loss < 1.5, "\(run.output)")
  }

  @Test func nothingIsLearnedWhereThereIsNothing() throws {
    let run = try run([try write(lawful: false), "--batch-size", "64", "--passes", "1"])
    #expect(run.status == 1, "\(run.output)")
  }
}
