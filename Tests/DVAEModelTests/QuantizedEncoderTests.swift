import DVAEFiles
import DVAECPUEngine
import DVAEModel
import DVAETestSupport
import DVAETensors
import Testing

@Suite("The encoder in whole numbers")
struct QuantizedEncoderTests {
  private func model(_ calibration: Calibration? = nil) throws -> (
    Architecture, ParameterSet, Calibration
  ) {
    let weights = try ModelWeights(Fixture.weights("tiny/encoder.pkl"))
    let parameters = try #require(weights.encoder)
    let float = ImageEncoder(
      weights.architecture, parameters: parameters, engine: try CPUEngine(threads: 2))
    var measured = Calibration()
    for image in ["kodim04", "kodim23"] {
      measured.formUnion(try float.calibration(try Fixture.activation("tiny/\(image).input.npy")))
    }
    return (weights.architecture, parameters, measured)
  }

  @Test("Nine in ten tokens of photos are float32's", arguments: NetworkTests.images)
  func agreement(image: String) throws {
    let (architecture, parameters, calibration) = try model()
    let encoder = QuantizedEncoder(
      architecture, parameters: parameters, calibration: calibration,
      engine: try CPUEngine(threads: 2))
    let x = try Fixture.activation("tiny/\(image).input.npy")
    let reference = try Fixture.integers("tiny/\(image).tokens.npy")
    let tokens = try encoder.tokens(x)
    let equal = zip(tokens, reference).count { Int64($0) == $1 }
    #expect(tokens.count == 1024 && equal >= 922, "\(equal) of \(tokens.count)")
  }

  @Test("All engines give the same tokens, whatever else is in the batch")
  func sameBits() throws {
    let (architecture, parameters, calibration) = try model()
    let photo = try Fixture.activation("tiny/kodim23.input.npy")
    // Two parts of the photo, 48×40.
    let parts = [(10, 30), (150, 90)].map { top, left in
      Tensor(
        Shape(1, 48, 40, 3),
        (0..<48).flatMap { h in
          (0..<40 * 3).map { photo.pointer[((top + h) * 256 + left) * 3 + $0] }
        })
    }
    let both = Tensor(Shape(2, 48, 40, 3), parts[0].array + parts[1].array)
    let reference = QuantizedEncoder(
      architecture, parameters: parameters, calibration: calibration, engine: ReferenceEngine())
    let expected = try parts.flatMap { try reference.tokens($0) }
    #expect(Set(expected).count > 5)
    for set in InstructionSet.supported {
      for threads in [1, 3] {
        let encoder = QuantizedEncoder(
          architecture, parameters: parameters, calibration: calibration,
          engine: try CPUEngine(threads: threads, instructionSet: set))
        #expect(try encoder.tokens(both) == expected, "\(encoder.engine.name)")
      }
    }
  }

  @Test("Ranges are those of every layer's input, and join to the larger")
  func ranges() throws {
    let (architecture, parameters, calibration) = try model()
    #expect(calibration.cover(architecture))
    #expect(Set(calibration.largest.keys) == Set(architecture.encoder.layers.map(\.name)))
    #expect(!Calibration().cover(architecture))
    // The first layer reads mapped pixels, the last one the network's features.
    let first = try #require(calibration.largest["encoder.blocks.input"])
    #expect(first > 0.88 && first < 0.92)
    let layer = try #require(architecture.encoder.layers.last)
    let half = Calibration(largest: [layer.name: 0.5, "encoder.blocks.input": 2])
    var joined = calibration
    joined.formUnion(half)
    #expect(joined.largest["encoder.blocks.input"] == 2)
    #expect(joined[layer] == calibration[layer])
    // A range that is too small for the photos clamps values, and tokens change.
    let x = try Fixture.activation("tiny/kodim04.input.npy")
    let engine = try CPUEngine(threads: 2)
    let right = QuantizedEncoder(
      architecture, parameters: parameters, calibration: calibration, engine: engine)
    var tight = calibration.largest
    for name in tight.keys { tight[name] = 0.05 }
    let wrong = QuantizedEncoder(
      architecture, parameters: parameters, calibration: Calibration(largest: tight), engine: engine
    )
    #expect(try right.tokens(x) != wrong.tokens(x))
  }

  @Test("Images of other shapes are refused")
  func shapes() throws {
    let (architecture, parameters, calibration) = try model()
    let encoder = QuantizedEncoder(
      architecture, parameters: parameters, calibration: calibration,
      engine: try CPUEngine(threads: 1))
    #expect(throws: DVAEError.self) {
      try encoder.tokens(Tensor(Shape(1, 8, 12, 3), repeating: 0.5))
    }
  }
}
