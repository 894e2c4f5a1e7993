import DVAEFiles
import DVAEAccelerator
import DVAEProgram
import DVAETensors
import DVAETestSupport
import Testing

@Suite("Operations on XLA's CPU plugin", .enabled(if: TestDevice.isInstalled, TestDevice.advice))
struct OperationTests {
  @Test("Every operation agrees with the reference engine") func parity() throws {
    let engine = ProgramEngine(accelerator: try TestDevice.open())
    checkParity(of: engine, except: ["sumOfSquares"])
  }

  @Test("A sum of squares is of float32, where engines of the host add in float64")
  func sumOfSquares() throws {
    let x = Tensor(Shape(1, 1, 1, 70_001))
    var generator = SeededGenerator(seed: 4)
    for i in 0..<x.count { x.pointer[i] = generator.normal() }
    let expected = ReferenceEngine().sumOfSquares(x.all)
    let found = ProgramEngine(accelerator: try TestDevice.open()).sumOfSquares(x.all)
    #expect(abs(found - expected) <= Double(x.count) * 0x1p-24 * expected)
  }

  @Test(
    "The noise is that of the engines, to the bit, goes on from replica to replica, and may begin anywhere",
    arguments: [(Shape(1, 2, 3, 32), 0), (Shape(1, 3, 3, 10), 0), (Shape(1, 3, 3, 7), 3)])
  func noise(shape: Shape, offset: Int) throws {
    let accelerator = try TestDevice.open(2)
    let recording = Recording(replicas: 2)
    recording.output("u", recording.uniform("noise", shape))
    let program = try RecordedProgram(recording, on: accelerator, cache: nil)
    let (seed, stream, first): (UInt64, UInt64, UInt64) = (
      0x1234_5678_9abc_def0, 0xfedc_ba98_7654_3210, (1 << 42) + UInt64(offset)
    )
    let words = [seed, stream, first].flatMap {
      [UInt32(truncatingIfNeeded: $0), UInt32(truncatingIfNeeded: $0 >> 32)]
    }
    let outputs = try program.start(
      (0..<2).map { ["noise": try accelerator.upload(words, [6], .uint32, to: $0)] }
    ).outputs
    for (replica, output) in outputs.enumerated() {
      let found = try #require(output["u"]).array(of: Float.self, count: shape.count)
      let expected = (0..<shape.count).map { i in
        let element = first + UInt64(replica * shape.count + i)
        let words = SeededGenerator.block(seed: seed, stream: stream, counter: element / 4)
        return SeededGenerator.uniform([words.0, words.1, words.2, words.3][Int(element % 4)])
      }
      #expect(found == expected)
    }
  }
}
