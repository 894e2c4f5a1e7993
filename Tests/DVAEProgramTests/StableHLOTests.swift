import DVAEFiles
import DVAEProgram
import DVAETensors
import Testing

@Suite("StableHLO") struct StableHLOTests {
  /// Returns a program with every operation of `Engine`, on tensors with odd sides where they may
  /// be odd.
  private func recordEverything(replicas: Int = 1) -> Recording {
    let recording = Recording(replicas: replicas)
    let engine = RecordingEngine(recording)
    let numbers = recording.scalars("numbers", count: 5)
    let bytes = recording.value("pixels", Shape(1, 5, 6, 4), .uint8)
    let x = recording.mappedPixels(bytes, scale: 0.8, offset: 0.1)
    func parameters(_ kernel: Int, _ name: String) -> (
      shape: ConvolutionShape, w: RecordedVariable, b: RecordedVariable
    ) {
      (
        ConvolutionShape(kernel: kernel, inputChannels: 4, outputChannels: 4),
        recording.variable(name + ".w", [4, 4, kernel, kernel]),
        recording.variable(name + ".b", [4])
      )
    }
    var outputs: [RecordedValue] = []
    var losses: [RecordedScalar] = []
    for kernel in [1, 3] {
      let (shape, w, b) = parameters(kernel, "layer\(kernel)")
      let filter = engine.makeFilter(shape, weights: w, bias: b, uses: [.forward, .backwardInput])
      let y = engine.convolution(
        x, filter, reluInput: true, epilogue: Epilogue(relu: true, skip: x, gain: 0.25))
      outputs += [
        y, engine.convolutionBackwardInput(y, filter, epilogue: Epilogue(mask: x, gain: 0.5)),
      ]
      engine.convolutionBackwardWeights(
        x, y, shape, reluInput: true, scale: 0.5, dWeights: w, dBias: b)
      let roles = ["g", "m", "v", "a"].map { recording.variable("\($0)\(kernel)", b.extents) }
      recording.allReduce(roles[0])
      losses.append(engine.sumOfSquares(roles[0]))
      engine.adamWStep(
        parameters: b, gradients: roles[0], firstMoment: roles[1], secondMoment: roles[2],
        average: roles[3],
        AdamWStep(
          learningRate: numbers[0], gradientScale: numbers[1], correction1: numbers[2],
          correction2: numbers[3]))
      recording.output("w\(kernel)", w, inPlaceOf: "layer\(kernel).w")
      recording.output("b\(kernel)", b, inPlaceOf: "layer\(kernel).b")
    }
    let pooled = engine.maxPool2x2(x)
    let wide = engine.upsampleNearest2x(pooled)
    outputs += [
      engine.maxPool2x2Backward(pooled, x), engine.upsampleNearest2xBackward(wide),
      engine.reluBackward(engine.relu(x), x), engine.addScaled(x, x, gain: 0.5), engine.sigmoid(x),
      engine.softmaxChannels(x),
    ]
    let relaxed = engine.gumbelSoftmax(
      x, noise: .uniform(recording.uniform("noise", x.shape)), temperature: numbers[4])
    outputs += [
      relaxed,
      engine.gumbelSoftmaxBackward(
        x, y: relaxed, logits: x, temperature: numbers[4], klScale: numbers[1]),
    ]
    let target = recording.value("target", x.shape.with(channels: 2))
    outputs.append(engine.logitLaplaceLossBackward(x, target: target, scale: numbers[1]))
    losses += [engine.klToUniform(x), engine.logitLaplaceLoss(x, target: target)]
    let (shape, w, b) = parameters(1, "table")
    outputs.append(
      engine.gatherColumns(
        engine.argmaxChannels(x),
        engine.makeFilter(shape, weights: w, bias: b, uses: .gather), shape: x.shape))
    let ranked = recording.ranked(x, count: 2)
    recording.output("ranked", ranked.tokens)
    outputs += [ranked.distances, ranked.logProbabilities]
    recording.output("picture", recording.pictures(of: x, scale: 0.8, offset: 0.1))
    for (index, output) in outputs.enumerated() { recording.output("y\(index)", output) }
    recording.output("losses", losses.map(recording.allReduced))
    return recording
  }

  @Test("Every value is defined once, before its use", arguments: ProgramPrecision.allCases)
  func singleAssignment(_ precision: ProgramPrecision) throws {
    let text = StableHLOWriter.text(recordEverything(replicas: 2), precision: precision)
    var defined: Set<Substring> = []
    for line in text.split(separator: "\n") {
      let names = line.split { !($0 == "%" || $0 == "_" || $0.isLetter || $0.isNumber) }
        .filter { $0.hasPrefix("%") }
      // Arguments of functions and regions, and names before the equals sign.
      let isHead = line.contains("func.func") || line.hasPrefix("    ^bb0")
      let isDefinition = line.contains(" = ") && line.drop { $0 == " " }.hasPrefix("%")
      if isHead { defined.formUnion(names) }
      for (at, name) in names.enumerated() where !isHead {
        if at == 0 && isDefinition {
          #expect(defined.insert(name).inserted, "\(name) is defined again: \(line)")
        } else {
          #expect(defined.contains(name), "\(name) is not defined: \(line)")
        }
      }
    }
    #expect(defined.count > 200)
  }

  @Test("The text stays what it is") func golden() {
    // The text is the cache key of a compiled program. After an intended change, update the
    // checksums.
    let sums = ProgramPrecision.allCases.map {
      FileHash.of(Array(StableHLOWriter.text(recordEverything(), precision: $0).utf8)).prefix(16)
    }
    #expect(
      sums == ["e70a462b088fd14e", "50cf97d0be8d6dbe", "0e181d0414eb7c14", "63cce77b13006964"])
  }

  @Test("Precision: exact products in float32, narrow ones in bfloat16") func precision() {
    let recording = recordEverything()
    func lines(_ precision: ProgramPrecision) -> [Substring] {
      StableHLOWriter.text(recording, precision: precision).split(separator: "\n").filter {
        $0.contains("stablehlo.convolution") || $0.contains("stablehlo.dot_general")
      }
    }
    #expect(lines(.float32).count == 6)
    #expect(lines(.float32).allSatisfy { $0.contains("HIGHEST") && !$0.contains("bf16") })
    #expect(lines(.tf32).allSatisfy { !$0.contains("HIGH") && !$0.contains("bf16") })
    // The relaxation reads x, so the layers that read it stay wide; the others are narrow.
    #expect(lines(.bfloat16).contains { $0.contains("bf16") })
    #expect(lines(.bfloat16).contains { !$0.contains("bf16") })
    #expect(lines(.bfloat16).allSatisfy { $0.contains("bf16") != $0.contains("HIGH") })
    // Inputs and outputs are the same in every precision.
    func heads(_ precision: ProgramPrecision) -> Substring? {
      StableHLOWriter.text(recording, precision: precision).split(separator: "\n")[1]
    }
    #expect(heads(.float32) == heads(.bfloat16))
    #expect(heads(.float32)?.contains("{tf.aliasing_output = 0 : i32}") == true)
  }

  @Test(
    "The likelihood's target is not rounded to the precision of activations",
    arguments: [
      ProgramPrecision.bfloat16, .float16,
    ]) func target(_ precision: ProgramPrecision)
  {
    let recording = Recording()
    let engine = RecordingEngine(recording)
    let pixels = recording.value("pixels", Shape(2, 8, 8, 3), .uint8)
    let x = recording.mappedPixels(pixels, scale: 0.8, offset: 0.1)
    let statistics = recording.value("statistics", Shape(2, 8, 8, 6))
    recording.output("loss", [engine.logitLaplaceLoss(statistics, target: x)])
    let narrow = precision == .bfloat16 ? "bf16" : "f16"
    #expect(!StableHLOWriter.text(recording, precision: precision).contains("x\(narrow)>"))
  }

  @Test("Replicas add their gradients and losses, and have noise of their own") func replicas() {
    let one = StableHLOWriter.text(recordEverything())
    let two = StableHLOWriter.text(recordEverything(replicas: 2))
    #expect(!one.contains("all_reduce") && !one.contains("replica_id"))
    #expect(two.split(separator: "\n").count { $0.contains("all_reduce") } == 6)
    #expect(two.contains("replica_id"))
    #expect(two.contains("mhlo.num_replicas = 2 : i32"))
  }
}
