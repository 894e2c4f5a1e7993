import DVAECPUEngine
import DVAEFiles
import DVAETensors
import DVAETestSupport
import Testing

/// Products of bfloat16 factors, emulated where the processor has no instructions for them.
@Suite("bfloat16 products")
struct Bfloat16Tests {
  static let cases = [
    ConvolutionCase(Shape(2, 5, 7, 33), kernel: 1, to: 70),
    // Several steps of positions, the last of them odd.
    ConvolutionCase(Shape(1, 13, 21, 16), kernel: 1, to: 48),
    // Several steps of channels.
    ConvolutionCase(Shape(1, 2, 3, 2100), kernel: 1, to: 5),
    // Several bands of outputs.
    ConvolutionCase(Shape(2, 2, 2, 20), kernel: 1, to: 600),
    ConvolutionCase(Shape(1, 9, 8, 3), kernel: 7, to: 20),
    // Winograd's in float32; several steps of channels and blocks of inputs, a part of a pixel at their
    // ends; an image narrower than the patches.
    ConvolutionCase(Shape(2, 5, 6, 70), kernel: 3, to: 130),
    ConvolutionCase(Shape(1, 4, 3, 260), kernel: 3, to: 10),
    ConvolutionCase(Shape(1, 3, 1, 8), kernel: 3, to: 8),
    // More slabs than slots; slabs of more words than are transposed at once.
    ConvolutionCase(Shape(1, 34, 516, 8), kernel: 3, to: 8),
    ConvolutionCase(Shape(1, 2, 1100, 8), kernel: 3, to: 8),
  ]

  /// The inputs of the operations.
  struct Inputs {
    var x, dy, weights, bias: Tensor
    let shape: ConvolutionShape

    init(_ row: ConvolutionCase) {
      shape = ConvolutionShape(
        kernel: row.kernel, inputChannels: row.input.channels, outputChannels: row.outputChannels)
      x = .random(row.input, seed: 1)
      dy = .random(row.input.with(channels: row.outputChannels), seed: 2)
      weights = .random(Shape(1, 1, 1, shape.weightCount), seed: 3)
      bias = .random(Shape(1, 1, 1, row.outputChannels), seed: 4)
    }

    /// Returns the inputs with a function of every factor; biases are no factors.
    func mapped(_ function: (Float) -> Float) -> Inputs {
      var result = self
      for factor in [\Inputs.x, \.dy, \.weights] {
        result[keyPath: factor] = Tensor(
          self[keyPath: factor].shape, self[keyPath: factor].array.map(function))
      }
      return result
    }

    /// Returns y, dx and dw.
    func results(of engine: some HostEngine) -> [Tensor] {
      let filter = engine.makeFilter(
        shape, weights: weights.all, bias: bias.all, uses: [.forward, .backwardInput])
      let y = engine.convolution(x, filter, reluInput: true, epilogue: .bias)
      let dx = engine.convolutionBackwardInput(dy, filter, epilogue: .bias)
      return [y, dx, gradients(of: engine).dw]
    }

    func gradients(of engine: some HostEngine) -> (dw: Tensor, db: Tensor) {
      let dw = Tensor(weights.shape, repeating: 0)
      let db = Tensor(bias.shape, repeating: 0)
      engine.convolutionBackwardWeights(
        x, dy, shape, reluInput: true, scale: 0.5, dWeights: dw.all, dBias: db.all)
      return (dw, db)
    }
  }

  /// Rounds to the nearest multiple of the spacing of bfloat16 numbers at x, ties to even.
  static func rounded(_ x: Float) -> Float {
    guard x.isFinite else { return x }
    let spacing = Double(x.ulp) * 65_536
    return Float((Double(x) / spacing).rounded(.toNearestOrEven) * spacing)
  }

  private func engine(
    _ set: InstructionSet, threads: Int = 2, caches: CacheSizes = .current
  ) throws -> CPUEngine {
    try CPUEngine(
      threads: threads, instructionSet: set, caches: caches, factors: .bfloat16Anywhere)
  }

  /// Compares results with the reference engine's of `inputs`; `bound` is relative to the sum of the terms'
  /// magnitudes, for a number of terms.
  private func expect(
    _ results: [Tensor], of inputs: Inputs, _ row: ConvolutionCase, _ engine: CPUEngine,
    bound: (Int) -> Double
  ) {
    let expected = inputs.results(of: ReferenceEngine())
    // The ReLU of the input takes no part in magnitudes.
    var magnitudes = inputs.mapped(abs)
    magnitudes.bias = Tensor(inputs.bias.shape, inputs.bias.array.map(abs))
    let sums = magnitudes.results(of: ReferenceEngine()).map(\.doubles)
    let terms = [
      inputs.shape.fanIn, row.outputChannels * row.kernel * row.kernel, row.input.positions,
    ]
    for (index, actual) in results.enumerated() {
      let relative = bound(terms[index])
      expectClose(
        actual.doubles, expected[index].doubles, bound: { relative * sums[index][$0] },
        "\(engine.name): \(row.testDescription): result \(index)")
    }
  }

  @Test(
    "Products are the reference engine's of rounded factors, within the rounding of float32 sums",
    arguments: InstructionSet.supported)
  func products(instructionSet: InstructionSet) throws {
    let engine = try engine(instructionSet)
    for row in Self.cases {
      let inputs = Inputs(row)
      expect(inputs.results(of: engine), of: inputs.mapped(Self.rounded), row, engine) {
        Double($0 + 4) * 0x1p-24
      }
      // The gradient of the bias sums dy itself.
      let (db, sum) = (inputs.gradients(of: engine).db, inputs.gradients(of: ReferenceEngine()).db)
      expectClose(db, sum, bound: Double(row.input.positions) * 0x1p-17, row.testDescription)
    }
  }

  @Test(
    "Products of pairs differ from exact ones by 2⁻¹⁵ of each term, and by the rounding of float32 sums",
    arguments: InstructionSet.supported)
  func pairs(instructionSet: InstructionSet) throws {
    let engine = try engine(instructionSet).fine
    let more = [
      ConvolutionCase(Shape(1, 2, 3, 1500), kernel: 1, to: 5),
      // Too narrow for Winograd's algorithm.
      ConvolutionCase(Shape(1, 5, 6, 3), kernel: 3, to: 20),
      ConvolutionCase(Shape(2, 5, 7, 1), kernel: 1, to: 1),
    ]
    for row in Self.cases.filter({ $0.kernel != 3 }) + more {
      // Numbers of 24 digits.
      let inputs = Inputs(row).mapped { $0 * 1.2345678 }
      expect(inputs.results(of: engine), of: inputs, row, engine) {
        0x1p-15 + Double(3 * $0 + 4) * 0x1p-24
      }
    }
    let winograd = Inputs(ConvolutionCase(Shape(1, 9, 8, 16), kernel: 3, to: 20))
    let isFloat =
      winograd.results(of: engine).map(\.array) == winograd.results(of: engine.exact).map(\.array)
    #expect(isFloat)
  }

  @Test(
    "Pairs hold every number of 16 binary digits, on either side",
    arguments: InstructionSet.supported)
  func digitsOfPairs(instructionSet: InstructionSet) throws {
    let engine = try engine(instructionSet).fine
    let one = Tensor(Shape(1, 1, 1, 1), [1])
    func product(_ x: Tensor, _ weights: Tensor) -> [Float] {
      let outputs = weights.count
      let filter = engine.makeFilter(
        ConvolutionShape(kernel: 1, inputChannels: 1, outputChannels: outputs),
        weights: weights.all, bias: Tensor(Shape(1, 1, 1, outputs), repeating: 0).all,
        uses: .forward)
      return engine.convolution(x, filter, reluInput: false, epilogue: .bias).array
    }
    let numbers = (0..<1 << 15).map { 1 + Float($0) * 0x1p-15 }
    let isExactOnTheLeft = product(Tensor(Shape(1, 1, numbers.count, 1), numbers), one) == numbers
    let isExactOnTheRight = product(one, Tensor(Shape(1, 1, 1, numbers.count), numbers)) == numbers
    #expect(isExactOnTheLeft && isExactOnTheRight)
    // Both second numbers are largest, 2⁻⁸, and their product is left out.
    let x = Tensor(Shape(1, 1, 1, 1), [1 + 0x1p-8])
    #expect(product(x, x) == [1 + 0x1p-7])
  }

  @Test(
    "Beside the relaxation factors are pairs where these are faster, else float32",
    arguments: InstructionSet.supported.filter(\.multipliesBfloat16))
  func fine(instructionSet: InstructionSet) throws {
    let inputs = Inputs(Self.cases[0])
    let mixed = try CPUEngine(instructionSet: instructionSet, factors: .bfloat16)
    func bits(_ engine: CPUEngine) -> [[Float]] { inputs.results(of: engine).map(\.array) }
    let isFloat = bits(mixed.fine) == bits(mixed.exact)
    #expect(isFloat == (instructionSet.name == "avx512bf16"))
    let isPairs = bits(mixed.fine) == bits(try engine(instructionSet).fine)
    #expect(isPairs == (instructionSet.name != "avx512bf16"))
    #expect(mixed.exact.fine.name == mixed.exact.name)
  }

  /// Bits of float32 numbers, and of the bfloat16 numbers that they become.
  static let roundings: [(UInt32, UInt32)] = [
    (0x0000_0000, 0x0000_0000), (0x3f80_0000, 0x3f80_0000),
    // Ties go to the even neighbour, others to the nearest.
    (0x3f80_8000, 0x3f80_0000), (0x3f81_8000, 0x3f82_0000), (0xbf80_8000, 0xbf80_0000),
    (0x3f80_8001, 0x3f81_0000), (0x3f80_7fff, 0x3f80_0000), (0xbf81_7fff, 0xbf81_0000),
    // The exponent grows.
    (0x3fff_ffff, 0x4000_0000),
    // The largest, what becomes infinite, infinities.
    (0x7f7f_0000, 0x7f7f_0000), (0x7f7f_7fff, 0x7f7f_0000), (0x7f7f_8000, 0x7f80_0000),
    (0x7f7f_ffff, 0x7f80_0000), (0x7f80_0000, 0x7f80_0000), (0xff80_0000, 0xff80_0000),
    // NaN, also where only the lower half says so, or where rounding would pass the sign.
    (0x7fc0_0000, 0x7fc0_0000), (0x7f80_0001, 0x7fc0_0000), (0xffff_ffff, 0xffff_0000),
    // Subnormal numbers, which instructions for bfloat16 numbers take for zero before they round.
    (0x0000_0001, 0x0000_0000), (0x0000_8000, 0x0000_0000), (0x0000_8001, 0x0001_0000),
    (0x0001_8000, 0x0002_0000), (0x8001_0000, 0x8001_0000), (0x007f_ffff, 0x0080_0000),
  ]

  @Test("Factors are rounded to the nearest, ties to even", arguments: InstructionSet.supported)
  func rounding(instructionSet: InstructionSet) throws {
    let engine = try engine(instructionSet)
    let values = Self.roundings.map { Float(bitPattern: $0.0) }
    let expected = Self.roundings.map { bits -> Float in
      let value = Float(bitPattern: bits.1)
      let isZero = value.isSubnormal || bits.0 < 0x0080_0000 && instructionSet.multipliesBfloat16
      return isZero ? 0 : value
    }
    let (one, count) = (Tensor(Shape(1, 1, 1, 1), [1]), values.count)
    func expect(_ actual: Tensor, _ what: String) {
      for (index, (a, e)) in zip(actual.array, expected).enumerated() {
        #expect(a == e || a.isNaN && e.isNaN, "\(what) \(index): \(a), expected \(e)")
      }
    }
    func product(_ x: Tensor, _ weights: Tensor, outputs: Int) -> Tensor {
      let filter = engine.makeFilter(
        ConvolutionShape(kernel: 1, inputChannels: 1, outputChannels: outputs),
        weights: weights.all, bias: Tensor(Shape(1, 1, 1, outputs), repeating: 0).all,
        uses: .forward)
      return engine.convolution(x, filter, reluInput: false, epilogue: .bias)
    }
    expect(product(Tensor(Shape(1, 1, count, 1), values), one, outputs: 1), "input")
    expect(product(one, Tensor(Shape(1, 1, 1, count), values), outputs: count), "weight")
    let dw = Tensor(Shape(1, 1, 1, count), repeating: 0)
    let db = Tensor(Shape(1, 1, 1, count), repeating: 0)
    engine.convolutionBackwardWeights(
      one, Tensor(Shape(1, 1, 1, count), values),
      ConvolutionShape(kernel: 1, inputChannels: 1, outputChannels: count), reluInput: false,
      scale: 1, dWeights: dw.all, dBias: db.all)
    expect(dw, "output gradient")
  }

  @Test(
    "The bits depend neither on threads nor on caches", arguments: InstructionSet.supported)
  func threads(instructionSet: InstructionSet) throws {
    let engines = try [
      engine(instructionSet, threads: 1), engine(instructionSet, threads: 2),
      engine(instructionSet, threads: 3),
      engine(instructionSet, threads: 3, caches: CacheSizes(thread: 0, shared: 0)),
      engine(instructionSet, threads: 3, caches: CacheSizes(thread: 8 << 20, shared: 1 << 30)),
    ]
    for (row, isFine) in Self.cases.flatMap({ [($0, false), ($0, true)] }) {
      let inputs = Inputs(row)
      let results = engines.map { inputs.results(of: isFine ? $0.fine : $0).map(\.array) }
      for other in results.dropFirst() {
        let isSame = other == results[0]
        #expect(isSame, "\(row.testDescription)")
      }
    }
  }

  @Test("All products have rounded factors, those of the exact engine none")
  func others() throws {
    let engine = try CPUEngine(threads: 2, factors: .bfloat16Anywhere)
    let plain = try CPUEngine(threads: 2)
    func results(_ row: ConvolutionCase, _ engine: CPUEngine) -> [[Float]] {
      Inputs(row).results(of: engine).map(\.array)
    }
    for row in [Self.cases[0], ConvolutionCase(Shape(1, 9, 8, 16), kernel: 3, to: 20)] {
      let isExact = results(row, engine.exact) == results(row, plain)
      #expect(isExact)
      for (a, b) in zip(results(row, engine), results(row, plain)) {
        let differs = a != b
        #expect(differs)
      }
    }
    #expect(engine.name == plain.name + " bfloat16" && engine.exact.name == plain.name)
  }

  @Test(
    "3×3 convolutions are float32 where Winograd's algorithm is faster",
    arguments: InstructionSet.supported.filter(\.multipliesBfloat16))
  func winograd(instructionSet: InstructionSet) throws {
    let row = ConvolutionCase(Shape(1, 9, 8, 16), kernel: 3, to: 20)
    let mixed = try CPUEngine(instructionSet: instructionSet, factors: .bfloat16)
    let plain = try CPUEngine(instructionSet: instructionSet)
    for (a, b) in zip(Inputs(row).results(of: mixed), Inputs(row).results(of: plain)) {
      let isSame = a.array == b.array
      #expect(isSame == (instructionSet.name == "avx512bf16"))
    }
  }

  @Test("A token is the argmax of the rounded product, without screening")
  func argmax() throws {
    let row = ConvolutionCase(Shape(1, 12, 12, 256), kernel: 1, to: 1024)
    let inputs = Inputs(row)
    let engine = try CPUEngine(threads: 2, screening: true, factors: .bfloat16Anywhere)
    let filter = engine.makeFilter(
      inputs.shape, weights: inputs.weights.all, bias: inputs.bias.all, uses: .forward)
    let logits = engine.convolution(inputs.x, filter, reluInput: false, epilogue: .bias)
    let tokens = engine.argmaxConvolution(inputs.x, filter, reluInput: false)
    #expect(tokens == engine.argmaxChannels(logits))
    #expect(engine.screeningCounts.positions == 0)
  }

  @Test("A processor without the products is refused in one line that names them")
  func refusal() throws {
    let portable = try InstructionSet.named("portable")
    let error = try #require(throws: DVAEError.self) {
      try CPUEngine(instructionSet: portable, factors: .bfloat16)
    }
    #expect(error.kind == .usage)
    let line = error.description
    for part in ["expected", "AVX512_BF16", "found", "portable", "float32"] {
      #expect(line.contains(part), "\(line)")
    }
    #expect(!line.contains("\n"))
  }
}
