import DVAECPUEngine
import DVAETensors
import DVAETestSupport
import Testing

/// Screening finds the same tokens as all logits in float32, for any numbers.
@Suite("Screening")
struct ScreeningTests {
  /// Weights [outputs, inputs], biases and features, each difficult in one way.
  enum Numbers: String, CaseIterable {
    case random, fewDirections, ties, equalWeights, zeroFeatures, zeroWeights, nearTies, outliers,
      largestSums
    case extremes, underflow, bigBias, infiniteFeature, nanFeature, nanWeight, infiniteBias,
      overflow
  }

  struct Problem {
    let x, weights, bias: Tensor
    let shape: ConvolutionShape

    init(_ numbers: Numbers, x input: Shape, outputs: Int) {
      let inputs = input.channels
      shape = ConvolutionShape(kernel: 1, inputChannels: inputs, outputChannels: outputs)
      let x = Tensor.random(input, seed: 1)
      let weights = Tensor.random(Shape(1, 1, outputs, inputs), seed: 2)
      let bias = Tensor.random(Shape(1, 1, 1, outputs), seed: 3)
      func row(_ o: Int) -> UnsafeMutablePointer<Float> { weights.pointer + o * inputs }
      func scale(_ tensor: Tensor, _ factor: Float) {
        for i in 0..<tensor.count { tensor.pointer[i] *= factor }
      }
      switch numbers {
      case .random: break
      case .fewDirections:
        // Three channels differ a hundred times as much as all others, and count a hundredth.
        for channel in 0..<3 {
          for p in 0..<input.positions { x.pointer[p * inputs + channel] *= 100 }
          for o in 0..<outputs { row(o)[channel] *= 0.01 }
        }
      case .ties:
        // Codes far apart are equal.
        for o in outputs / 2..<outputs {
          row(o).update(from: row(outputs - 1 - o), count: inputs)
          bias.pointer[o] = bias.pointer[outputs - 1 - o]
        }
      case .equalWeights:
        for o in 0..<outputs { row(o).update(from: row(0), count: inputs) }
        bias.elements.update(repeating: 0.25)
      case .zeroFeatures: x.elements.update(repeating: 0)
      case .zeroWeights:
        weights.elements.update(repeating: 0)
        bias.elements.update(repeating: 0)
      case .nearTies:
        // They differ by a unit in the last place of one weight.
        for o in 1..<outputs {
          row(o).update(from: row(0), count: inputs)
          row(o)[o % inputs] = o % 3 == 0 ? row(o)[o % inputs].nextUp : row(o)[o % inputs].nextDown
          bias.pointer[o] = bias.pointer[0]
        }
      case .outliers:
        for o in 0..<outputs { row(o)[o % inputs] *= 1e4 }
        for p in 0..<input.positions { x.pointer[p * inputs + p % inputs] *= 1e3 }
      case .largestSums:
        // Every product has the largest possible magnitude and the same sign.
        for i in 0..<weights.count { weights.pointer[i] = i / inputs % 2 == 0 ? 1 : -1 }
        for p in 0..<input.positions {
          (x.pointer + p * inputs).update(repeating: p % 2 == 0 ? 1 : -1, count: inputs)
        }
      case .extremes:
        scale(weights, 1e-12)
        scale(bias, 1e-3)
        scale(x, 1e12)
      case .underflow:
        scale(weights, 1e-22)
        scale(bias, 1e-38)
        scale(x, 1e-20)
      case .bigBias: scale(bias, 1e6)
      case .infiniteFeature: x.pointer[x.count / 2] = .infinity
      case .nanFeature: x.pointer[x.count / 2] = .nan
      case .nanWeight: weights.pointer[weights.count / 2] = .nan
      case .infiniteBias: bias.pointer[outputs / 2] = -.infinity
      case .overflow:
        scale(weights, 1e20)
        scale(x, 1e20)
      }
      (self.x, self.weights, self.bias) = (x, weights, bias)
    }

    func filter(_ engine: CPUEngine) -> CPUFilter {
      engine.makeFilter(shape, weights: weights.all, bias: bias.all, uses: .forward)
    }
  }

  @Test(
    "The tokens are those of all logits", arguments: InstructionSet.supported, Numbers.allCases)
  func tokens(instructionSet: InstructionSet, numbers: Numbers) throws {
    // Incomplete panels, chunks and bands; several steps of a sum; several blocks of positions.
    let sizes = [
      (Shape(2, 5, 7, 70), 150), (Shape(1, 3, 5, 1100), 601), (Shape(1, 33, 40, 33), 50),
    ]
    for (input, outputs) in sizes {
      let problem = Problem(numbers, x: input, outputs: outputs)
      let plain = try CPUEngine(threads: 2, instructionSet: instructionSet, screening: false)
      for reluInput in [false, true] {
        let expected = plain.argmaxConvolution(
          problem.x, problem.filter(plain), reluInput: reluInput)
        for threads in [1, 3] {
          let engine = try CPUEngine(
            threads: threads, instructionSet: instructionSet, screening: true)
          let found = engine.argmaxConvolution(
            problem.x, problem.filter(engine), reluInput: reluInput)
          let isSame = found == expected
          #expect(isSame, "\(numbers) \(input) \(outputs) relu \(reluInput)")
          #expect(engine.screeningCounts.positions == input.positions)
          if numbers == .random, outputs > 100 {
            #expect(engine.screeningCounts.fallbacks == 0)
          }
        }
      }
      #expect(plain.screeningCounts.positions == 0)
      if numbers == .ties || numbers == .zeroWeights {
        let tokens = plain.argmaxConvolution(problem.x, problem.filter(plain), reluInput: false)
        #expect(tokens.allSatisfy { $0 < (outputs + 1) / 2 })
      }
    }
  }

  @Test("Ties that exact sums have go to the first, as in the reference engine")
  func exactTies() throws {
    // Small integers: no sum is rounded, and many are equal.
    let shape = ConvolutionShape(kernel: 1, inputChannels: 40, outputChannels: 300)
    let x = Tensor(Shape(1, 9, 9, 40), (0..<81 * 40).map { Float($0 * 7919 % 13 % 3) })
    let weights = Tensor(
      Shape(1, 1, 1, shape.weightCount),
      (0..<shape.weightCount).map { Float($0 * 104_729 % 17 % 2) })
    let bias = Tensor(Shape(1, 1, 1, 300), repeating: 0)
    let reference = ReferenceEngine()
    let expected = reference.argmaxConvolution(
      x, reference.makeFilter(shape, weights: weights.all, bias: bias.all, uses: .forward),
      reluInput: false)
    for instructionSet in InstructionSet.supported {
      let engine = try CPUEngine(threads: 2, instructionSet: instructionSet, screening: true)
      let filter = engine.makeFilter(shape, weights: weights.all, bias: bias.all, uses: .forward)
      let isSame = engine.argmaxConvolution(x, filter, reluInput: false) == expected
      #expect(isSame)
    }
  }

  @Test("Screening leaves few logits, and gives up where it leaves many")
  func counts() throws {
    func counts(_ numbers: Numbers) throws -> ScreeningCounts {
      let engine = try CPUEngine(threads: 2)
      let problem = Problem(numbers, x: Shape(2, 12, 12, 256), outputs: 1024)
      let filter = problem.filter(engine)
      let plain = try CPUEngine(threads: 2, screening: false)
      for _ in 0..<2 {
        #expect(
          engine.argmaxConvolution(problem.x, filter, reluInput: true)
            == plain.argmaxConvolution(problem.x, problem.filter(plain), reluInput: true))
      }
      return engine.screeningCounts
    }
    let random = try counts(.random)
    // Instruction sets that do not profit from screening do not use it.
    guard random.positions > 0 else { return }
    #expect(random.positions == 2 * 288)
    #expect(random.codes == 2 * 288 * 1024)
    #expect(random.fallbacks == 0)
    #expect(random.codesLeft > 0 && random.codesLeft < random.codes / 4)
    let few = try counts(.fewDirections)
    #expect(few.fallbacks == 0)
    #expect(few.codesLeft < few.codes / 16)
    let equal = try counts(.equalWeights)
    #expect(equal.positions == 288)
    #expect(equal.fallbacks == 288)
    #expect(equal.codesLeft == equal.codes)
  }
}
