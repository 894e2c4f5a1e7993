import DVAEFiles
import DVAECPUEngine
import DVAETestSupport
import DVAETensors
import Testing

@Suite("The CPU engine")
struct CPUEngineTests {
  @Test("Every operation agrees with the reference engine", arguments: InstructionSet.supported)
  func parity(instructionSet: InstructionSet) throws {
    checkParity(of: try CPUEngine(threads: 2, instructionSet: instructionSet))
  }

  @Test("The bits do not depend on the number of threads", arguments: InstructionSet.supported)
  func threads(instructionSet: InstructionSet) throws {
    let one = try CPUEngine(threads: 1, instructionSet: instructionSet)
    let several = try CPUEngine(threads: 5, instructionSet: instructionSet)
    for operation in OperationTable.all {
      for (a, b) in zip(operation.results(of: one), operation.results(of: several)) {
        #expect(
          a.values.elementsEqual(b.values) { $0.bitPattern == $1.bitPattern },
          "\(operation.testDescription): \(a.name)")
      }
    }
  }

  /// Such numbers, most of the relaxed tokens near the end of training, would take most of its time.
  @Test("Subnormal numbers count as zero, but only within an operation", arguments: [1, 3])
  func subnormalNumbers(threads: Int) throws {
    let least = Float.leastNormalMagnitude
    for set in InstructionSet.supported {
      let engine = try CPUEngine(threads: threads, instructionSet: set)
      let x = Tensor(Shape(1, 4, 4, 8), repeating: least / 2)
      let filter = engine.makeFilter(
        ConvolutionShape(kernel: 1, inputChannels: 8, outputChannels: 3),
        weights: Tensor(Shape(1, 1, 3, 8), repeating: 1).all,
        bias: Tensor(Shape(1, 1, 1, 3), repeating: 0).all, uses: .forward)
      let y = engine.convolution(x, filter, reluInput: false, epilogue: .bias)
      #expect(y.array == [Float](repeating: 0, count: y.count), "\(set)")
      let bits = x.array.map { ($0 / 2).bitPattern }
      #expect(bits.allSatisfy { $0 == (least / 4).bitPattern }, "\(set)")
    }
  }

  /// Bounds grow with the number of positions; integers reveal a lost step for any number.
  @Test(
    "Weight gradients over many positions: whole numbers come out whole",
    arguments: [
      ConvolutionCase(Shape(1, 40, 40, 20), kernel: 1, to: 1000),
      ConvolutionCase(Shape(1, 212, 211, 8), kernel: 3, to: 8),
      ConvolutionCase(Shape(1, 77, 76, 8), kernel: 3, to: 136),
    ], [1, 3])
  func manyPositions(row: ConvolutionCase, threads: Int) throws {
    let shape = ConvolutionShape(
      kernel: row.kernel, inputChannels: row.input.channels, outputChannels: row.outputChannels)
    let output = row.input.with(channels: row.outputChannels)
    let x = Tensor(row.input, (0..<row.input.count).map { Float($0 * 7919 % 17 % 3) })
    let dy = Tensor(output, (0..<output.count).map { Float($0 * 104_729 % 19 % 4) - 1 })
    func gradients(by engine: some HostEngine) -> [Float] {
      let dw = Tensor(Shape(1, 1, 1, shape.weightCount), repeating: 0)
      let db = Tensor(Shape(1, 1, 1, shape.outputChannels), repeating: 0)
      engine.convolutionBackwardWeights(
        x, dy, shape, reluInput: false, scale: 1, dWeights: dw.all, dBias: db.all)
      return dw.array + db.array
    }
    let found = gradients(by: try CPUEngine(threads: threads)).map { $0.rounded() }
    #expect(found == gradients(by: ReferenceEngine()))
  }

  /// Rows in one run and in several, odd sides, channels that fill no vector, products in several steps,
  /// and layers that are pooled afterwards.
  @Test(
    "A pooled convolution has the bits of a convolution and a pooling",
    arguments: InstructionSet.supported)
  func pooledConvolution(instructionSet: InstructionSet) throws {
    for (x, kernel, outputs) in [
      (Shape(2, 5, 7, 9), 1, 36), (Shape(1, 12, 70, 64), 1, 256), (Shape(1, 6, 4, 1100), 1, 40),
      (Shape(1, 4, 6, 20), 1, 600), (Shape(1, 9, 8, 12), 3, 16),
    ] {
      let shape = ConvolutionShape(
        kernel: kernel, inputChannels: x.channels, outputChannels: outputs)
      let weights = Tensor.random(Shape(1, 1, 1, shape.weightCount), seed: 2)
      let bias = Tensor.random(Shape(1, 1, 1, outputs), seed: 3)
      let skip = Tensor.random(x.with(channels: outputs), seed: 4)
      let x = Tensor.random(x, seed: 1)
      for caches in [CacheSizes(thread: 1 << 16, shared: 0), .current] {
        let engine = try CPUEngine(threads: 2, instructionSet: instructionSet, caches: caches)
        let filter = engine.makeFilter(shape, weights: weights.all, bias: bias.all, uses: .forward)
        for epilogue in [Epilogue<Tensor>.relu, Epilogue(skip: skip, gain: 0.3)] {
          let y = engine.convolution(x, filter, reluInput: true, epilogue: epilogue)
          let found = engine.pooledConvolution(x, filter, reluInput: true, epilogue: epilogue)
          let isSame = found.array.map(\.bitPattern) == engine.maxPool2x2(y).array.map(\.bitPattern)
          #expect(isSame, "\(shape) on \(x.shape)")
        }
      }
    }
  }

  /// Other block sizes, and for 3×3 the other schedule.
  @Test("The bits do not depend on the caches", arguments: InstructionSet.supported)
  func caches(instructionSet: InstructionSet) throws {
    let engines = try [
      CacheSizes(thread: 0, shared: 0), CacheSizes(thread: 8 << 20, shared: 1 << 30),
    ]
    .map { try CPUEngine(threads: 2, instructionSet: instructionSet, caches: $0) }
    for (kernel, inputs, outputs) in [(1, 1100, 600), (3, 150, 70), (7, 3, 40)] {
      let shape = ConvolutionShape(
        kernel: kernel, inputChannels: inputs, outputChannels: outputs)
      let x = Tensor.random(Shape(2, 21, 18, inputs), seed: 1)
      let results = engines.map { engine in
        let filter = engine.makeFilter(
          shape, weights: Tensor.random(Shape(1, 1, 1, shape.weightCount), seed: 2).all,
          bias: Tensor.random(Shape(1, 1, 1, outputs), seed: 3).all,
          uses: [.forward, .backwardInput])
        let y = engine.convolution(x, filter, reluInput: true, epilogue: .bias)
        let dx = engine.convolutionBackwardInput(y, filter, epilogue: .bias)
        return y.array + dx.array
      }
      let isSame = results[0] == results[1]
      #expect(isSame, "\(shape)")
      let ways = engines.map { $0.algorithm(shape) }
      #expect(ways == (kernel == 3 ? [.winogradByPanels, .winogradByTiles] : [.direct, .direct]))
    }
  }

  /// Products of one step and of several, Winograd by tiles and by panels.
  @Test("A result over its skip has the bits of one beside it", arguments: InstructionSet.supported)
  func overSkip(instructionSet: InstructionSet) throws {
    let engine = try CPUEngine(
      threads: 2, instructionSet: instructionSet, caches: CacheSizes(thread: 1 << 20, shared: 0))
    for (kernel, inputs, outputs) in [(1, 64, 33), (1, 1500, 20), (3, 20, 40), (3, 272, 272)] {
      let shape = ConvolutionShape(
        kernel: kernel, inputChannels: inputs, outputChannels: outputs)
      let x = Tensor.random(Shape(1, 9, 7, inputs), seed: 1)
      let filter = engine.makeFilter(
        shape, weights: Tensor.random(Shape(1, 1, 1, shape.weightCount), seed: 2).all,
        bias: Tensor.random(Shape(1, 1, 1, outputs), seed: 3).all, uses: .forward)
      func result(overwriting: Bool) -> [Float] {
        let skip = Tensor.random(Shape(1, 9, 7, outputs), seed: 4)
        return engine.convolution(
          x, filter, reluInput: false,
          epilogue: Epilogue(skip: skip, overwritesSkip: overwriting, gain: 0.5)
        ).array
      }
      let isSame = result(overwriting: true) == result(overwriting: false)
      #expect(isSame, "\(shape)")
    }
  }

  @Test("An unknown instruction set is refused by name with the choices")
  func unknownInstructionSet() throws {
    let error = try #require(throws: DVAEError.self) {
      try InstructionSet.named("mmx")
    }
    #expect(error.kind == .usage)
    #expect(error.problem.contains("'mmx'"))
    #expect(error.problem.hasSuffix("portable"))
  }
}
