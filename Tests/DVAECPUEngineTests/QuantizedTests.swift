import DVAETestSupport
import DVAECPUEngine
import DVAETensors
import Testing

/// int8 inference: the same bits on every engine, and close to float32.
@Suite("Whole numbers")
struct QuantizedTests {
  static let engines: [CPUEngine] = InstructionSet.supported.flatMap { set in
    [1, 3].map { threads in
      guard let engine = try? CPUEngine(threads: threads, instructionSet: set) else {
        fatalError("no engine with \(set)")
      }
      return engine
    }
  }
  let reference = ReferenceEngine()

  /// Returns random numbers that do not depend on other tests.
  private func floats(_ shape: Shape, _ seed: UInt64, scale: Float = 1) -> Tensor {
    var generator = SeededGenerator(seed: seed, stream: 0)
    return Tensor(shape, (0..<shape.count).map { _ in scale * generator.normal() })
  }

  private func bytes(_ shape: Shape, _ seed: UInt64) -> ByteTensor {
    var generator = SeededGenerator(seed: seed, stream: 1)
    let tensor = ByteTensor(shape)
    for i in 0..<shape.count {
      tensor.pointer[i] = UInt8(min(255, max(0, 128 * generator.normal() + 64)))
    }
    return tensor
  }

  private func weights(
    _ shape: ConvolutionShape, _ form: QuantizedWeights.Form, seed: UInt64, inputRange: Float = 4
  ) -> QuantizedWeights {
    QuantizedWeights(
      shape, weights: exact(shape, seed).all,
      bias: floats(Shape(1, 1, 1, shape.outputChannels), seed + 1).all, form: form,
      inputRange: inputRange)
  }

  private func exact(_ shape: ConvolutionShape, _ seed: UInt64) -> Tensor {
    floats(
      Shape(1, 1, 1, shape.weightCount), seed, scale: 1 / Float(shape.fanIn).squareRoot())
  }

  // The last one has so many weights that tasks share the tiles and divide the weights.
  static let winogradCases: [(Shape, Int)] = [
    (Shape(1, 1, 1, 1), 1), (Shape(2, 5, 7, 3), 5), (Shape(1, 9, 6, 40), 70),
    (Shape(1, 5, 4, 300), 12),
    (Shape(3, 8, 4, 32), 16), (Shape(1, 33, 36, 16), 20), (Shape(2, 3, 4, 700), 256),
  ]

  @Test("3×3 of bytes gives the reference's bits", arguments: winogradCases)
  func winograd(shape: Shape, outputs: Int) {
    let x = QuantizedValue(bytes: bytes(shape, 1))
    let weights = weights(
      ConvolutionShape(kernel: 3, inputChannels: shape.channels, outputChannels: outputs),
      .winograd, seed: 2)
    let expected = reference.convolution(
      x, weights, skip: nil, gain: 1, outputScale: 0.02
    ).requiredBytes.array
    #expect(Set(expected).count > min(40, expected.count / 8))
    for engine in Self.engines {
      let y = engine.convolution(
        x, engine.makeFilter(weights), skip: nil, gain: 1, outputScale: 0.02)
      let isSame = y.requiredBytes.array == expected && y.floats == nil
      #expect(isSame, "\(engine.name)")
    }
  }

  struct Product: Sendable {
    var x: Shape
    var kernel = 1
    var outputs: Int
    var form: QuantizedWeights.Form
    var skip = true
    var outputScale: Float? = 0.02
  }

  // Wide products are split into bands of outputs, tall ones into blocks of rows.
  static let productCases = [
    Product(x: Shape(2, 3, 5, 3), outputs: 7, form: .bytes),
    Product(x: Shape(1, 20, 10, 64), outputs: 96, form: .bytes),
    Product(x: Shape(1, 17, 9, 1000), outputs: 700, form: .bytes, skip: false),
    Product(x: Shape(2, 9, 11, 3), kernel: 7, outputs: 40, form: .pairs, skip: false),
    Product(x: Shape(2, 3, 5, 33), outputs: 48, form: .pairs, outputScale: nil),
    Product(x: Shape(2, 9, 7, 520), outputs: 600, form: .pairs),
  ]

  @Test("Products give the reference's bits", arguments: productCases)
  func products(product: Product) {
    let shape = ConvolutionShape(
      kernel: product.kernel, inputChannels: product.x.channels, outputChannels: product.outputs)
    let weights = weights(shape, product.form, seed: 3)
    let x =
      product.form == .bytes
      ? QuantizedValue(bytes: bytes(product.x, 4)) : QuantizedValue(floats: floats(product.x, 4))
    let skip = product.skip ? floats(product.x.with(channels: product.outputs), 5) : nil
    let expected = reference.convolution(
      x, weights, skip: skip, gain: 0.3, outputScale: product.outputScale)
    for engine in Self.engines {
      let found = engine.convolution(
        x, engine.makeFilter(weights), skip: skip.map { Tensor($0.shape, $0.array) }, gain: 0.3,
        outputScale: product.outputScale)
      let isSame = bits(found.requiredFloats) == bits(expected.requiredFloats)
      #expect(isSame, "\(engine.name)")
      let hasSameBytes = found.bytes?.array == expected.bytes?.array
      #expect(hasSameBytes, "\(engine.name)")
    }
    #expect((expected.bytes == nil) == (product.outputScale == nil))
  }

  @Test("The tokens are the reference's, the first of equals", arguments: [(1, 300), (2, 1500)])
  func tokens(batch: Int, vocabulary: Int) {
    let shape = Shape(batch, 5, 9, 70)
    let y = floats(shape, 6)
    let convolution = ConvolutionShape(
      kernel: 1, inputChannels: shape.channels, outputChannels: vocabulary)
    // Every second output repeats the one before it.
    let exact = exact(convolution, 7)
    let bias = floats(Shape(1, 1, 1, vocabulary), 8, scale: 0.1)
    for o in stride(from: 1, to: vocabulary, by: 2) {
      for i in 0..<70 { exact.pointer[o * 70 + i] = exact.pointer[(o - 1) * 70 + i] }
      bias.pointer[o] = bias.pointer[o - 1]
    }
    let forms = [QuantizedWeights.Form.bytes, .pairs].map {
      QuantizedWeights(
        convolution, weights: exact.all, bias: bias.all, form: $0, inputRange: 4)
    }
    // A convolution that changes nothing gives the bytes.
    let identity = QuantizedWeights(
      ConvolutionShape(kernel: 1, inputChannels: 70, outputChannels: 70),
      weights: Tensor(Shape(1, 1, 1, 70 * 70), repeating: 0).all,
      bias: Tensor(Shape(1, 1, 1, 70), repeating: 0).all, form: .pairs, inputRange: 4)
    let x = reference.convolution(
      QuantizedValue(floats: y), identity, skip: y, gain: 0, outputScale: 4 / 255)
    let expected = reference.argmaxConvolution(x, coarse: forms[0], fine: forms[1])
    #expect(expected.count == shape.positions)
    #expect(expected.allSatisfy { $0 % 2 == 0 })
    #expect(Set(expected).count > 20)
    for engine in Self.engines {
      let found = engine.argmaxConvolution(x, coarse: engine.makeFilter(forms[0]), fine: forms[1])
      let isSame = found == expected
      #expect(isSame, "\(engine.name)")
    }
    // Nearly all equal float32's.
    let float = reference.argmaxConvolution(
      y, reference.makeFilter(convolution, weights: exact.all, bias: bias.all, uses: .forward),
      reluInput: true)
    #expect(zip(float, expected).count { $0 != $1 } <= 1)
  }

  // Narrow layers of bytes are pooled in the cache, others afterwards.
  static let pooledCases = [
    Product(x: Shape(2, 5, 7, 3), outputs: 7, form: .bytes),
    Product(x: Shape(1, 4, 150, 64), outputs: 96, form: .bytes),
    Product(x: Shape(1, 6, 5, 1000), outputs: 700, form: .bytes, skip: false),
    Product(x: Shape(2, 3, 5, 33), outputs: 48, form: .pairs),
  ]

  @Test("Pooled products give the reference's bits", arguments: pooledCases)
  func pooled(product: Product) {
    let shape = ConvolutionShape(
      kernel: 1, inputChannels: product.x.channels, outputChannels: product.outputs)
    let weights = weights(shape, product.form, seed: 9)
    let x =
      product.form == .bytes
      ? QuantizedValue(bytes: bytes(product.x, 4)) : QuantizedValue(floats: floats(product.x, 4))
    let skip = product.skip ? floats(product.x.with(channels: product.outputs), 5) : nil
    func result<E: QuantizedEngine>(_ engine: E) -> QuantizedValue {
      engine.pooledConvolution(
        x, engine.makeFilter(weights), skip: skip.map { Tensor($0.shape, $0.array) }, gain: 0.3,
        outputScale: 0.01)
    }
    let expected = result(reference)
    #expect(expected.shape == product.x.with(channels: product.outputs).halved)
    for engine in Self.engines {
      let found = result(engine)
      let isSame = bits(found.requiredFloats) == bits(expected.requiredFloats)
      #expect(isSame, "\(engine.name)")
      let hasSameBytes = found.bytes?.array == expected.bytes?.array
      #expect(hasSameBytes, "\(engine.name)")
    }
  }

  @Test("No sum leaves 32 bits, whatever the weights and the input")
  func extremes() {
    // The reference traps on overflow.
    for (kernel, form) in [(3, QuantizedWeights.Form.winograd), (1, .pairs), (1, .bytes)] {
      let shape = ConvolutionShape(kernel: kernel, inputChannels: 512, outputChannels: 3)
      let exact = Tensor(Shape(1, 1, 1, shape.weightCount), repeating: 1e-3)
      for i in shape.fanIn..<2 * shape.fanIn { exact.pointer[i] = i % 2 == 0 ? -5 : 5 }
      for i in 2 * shape.fanIn..<3 * shape.fanIn { exact.pointer[i] = 0 }
      let weights = QuantizedWeights(
        shape, weights: exact.all, bias: Tensor(Shape(1, 1, 1, 3), repeating: 0).all, form: form,
        inputRange: 255)
      let size = Shape(1, 4, 4, 512)
      let full = ByteTensor(size)
      for i in 0..<size.count {
        full.pointer[i] = kernel == 1 || (i / 512 + i / 2048) % 2 == 0 ? 255 : 0
      }
      for engine in Self.engines {
        guard form == .winograd else {
          let floats = Tensor(size, repeating: .infinity)
          let x =
            form == .bytes ? QuantizedValue(bytes: full) : QuantizedValue(floats: floats)
          let expected = reference.convolution(x, weights, skip: nil, gain: 1, outputScale: nil)
          let found = engine.convolution(
            x, engine.makeFilter(weights), skip: nil, gain: 1, outputScale: nil)
          let isSame = bits(found.requiredFloats) == bits(expected.requiredFloats)
          #expect(isSame, "\(engine.name)")
          continue
        }
        let x = QuantizedValue(bytes: full)
        let expected = reference.convolution(x, weights, skip: nil, gain: 1, outputScale: 2)
        let found = engine.convolution(
          x, engine.makeFilter(weights), skip: nil, gain: 1, outputScale: 2)
        #expect(
          found.requiredBytes.array == expected.requiredBytes.array, "\(engine.name)")
      }
    }
  }

  @Test("Weights that are not numbers, or all zero, leave the bias")
  func degenerate() {
    let shape = ConvolutionShape(kernel: 3, inputChannels: 4, outputChannels: 2)
    let exact = Tensor(Shape(1, 1, 1, shape.weightCount), repeating: 0)
    exact.pointer[0] = .infinity
    let weights = QuantizedWeights(
      shape, weights: exact.all, bias: Tensor(Shape(1, 1, 1, 2), [0.5, 1]).all, form: .winograd,
      inputRange: 0)
    let y = reference.convolution(
      QuantizedValue(bytes: bytes(Shape(1, 2, 2, 4), 1)), weights, skip: nil, gain: 1,
      outputScale: 0.01)
    #expect(y.requiredBytes.array == [50, 100, 50, 100, 50, 100, 50, 100])
  }

  @Test("Rounding the weights costs little", arguments: [(3, 16), (3, 256), (1, 64), (1, 1024)])
  func accuracy(kernel: Int, channels: Int) throws {
    let shape = ConvolutionShape(kernel: kernel, inputChannels: channels, outputChannels: 8)
    let exact = exact(shape, 10)
    let bias = Tensor(Shape(1, 1, 1, 8), repeating: 0)
    let size = Shape(1, 8, 8, channels)
    let x = bytes(size, 11)
    let float = reference.convolution(
      Tensor(size, x.array.map { Float($0) / 100 }),
      reference.makeFilter(shape, weights: exact.all, bias: bias.all, uses: .forward),
      reluInput: false, epilogue: .relu
    ).array
    let rounded = QuantizedWeights(
      shape, weights: exact.all, bias: bias.all, form: kernel == 3 ? .winograd : .bytes,
      inputRange: 2.55)
    let step = (float.max() ?? 0) / 255
    let y = reference.convolution(
      QuantizedValue(bytes: x), rounded, skip: nil, gain: 1, outputScale: kernel == 3 ? step : nil)
    let found =
      y.floats?.array.map { max($0, 0) } ?? y.requiredBytes.array.map { Float($0) * step }
    let error = zip(float, found).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    let power = float.reduce(0) { $0 + $1 * $1 }
    #expect((error / power).squareRoot() < 0.01)
  }

  private func bits(_ tensor: Tensor) -> [UInt32] { tensor.array.map(\.bitPattern) }
}
