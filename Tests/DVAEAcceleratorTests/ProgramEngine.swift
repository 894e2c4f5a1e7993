import DVAEFiles
import DVAEFiles
import DVAEFiles
import DVAEFiles
import DVAEAccelerator
import DVAEProgram
import DVAETensors
import Synchronization

/// An engine that records every operation as a separate program and runs it on a device.
///
/// It is far too slow for use; it checks the programs against the table of operations.
struct ProgramEngine: HostEngine {
  struct Filter: Sendable {
    let shape: ConvolutionShape
    let weights: TensorSlice
    let bias: TensorSlice
  }

  let accelerator: Accelerator
  var name: String { accelerator.name }

  func makeTensor(_ shape: Shape) -> Tensor { Tensor(shape) }

  func makeFilter(
    _ shape: ConvolutionShape, weights: TensorSlice, bias: TensorSlice, uses: FilterUses
  ) -> Filter {
    Filter(shape: shape, weights: weights, bias: bias)
  }

  func convolution(
    _ x: Tensor, _ filter: Filter, reluInput: Bool, epilogue: Epilogue<Tensor>
  ) -> Tensor {
    run { call in
      call.engine.convolution(
        call.value(x), call.filter(filter), reluInput: reluInput, epilogue: call.epilogue(epilogue))
    }
  }

  func convolutionBackwardInput(
    _ dy: Tensor, _ filter: Filter, epilogue: Epilogue<Tensor>
  ) -> Tensor {
    run { call in
      call.engine.convolutionBackwardInput(
        call.value(dy), call.filter(filter), epilogue: call.epilogue(epilogue))
    }
  }

  func convolutionBackwardWeights(
    _ x: Tensor, _ dy: Tensor, _ shape: ConvolutionShape, reluInput: Bool, scale: Float,
    dWeights: TensorSlice, dBias: TensorSlice
  ) {
    let call = ProgramCall()
    let weights = call.variable(dWeights, shape.weightExtents)
    let bias = call.variable(dBias, [shape.outputChannels])
    call.engine.convolutionBackwardWeights(
      call.value(x), call.value(dy), shape, reluInput: reluInput, scale: scale, dWeights: weights,
      dBias: bias)
    call.write(weights, to: dWeights)
    call.write(bias, to: dBias)
    call.run(on: accelerator)
  }

  func argmaxConvolution(_ x: Tensor, _ filter: Filter, reluInput: Bool) -> [Int32] {
    runTokens { call in
      call.engine.argmaxConvolution(call.value(x), call.filter(filter), reluInput: reluInput)
    }
  }

  func argmaxChannels(_ logits: Tensor) -> [Int32] {
    runTokens { $0.engine.argmaxChannels($0.value(logits)) }
  }

  func gatherColumns(_ tokens: [Int32], _ filter: Filter, shape: Shape) -> Tensor {
    run { call in
      call.engine.gatherColumns(call.tokens(tokens, shape), call.filter(filter), shape: shape)
    }
  }

  func maxPool2x2(_ x: Tensor) -> Tensor { run { $0.engine.maxPool2x2($0.value(x)) } }
  func maxPool2x2Backward(_ dy: Tensor, _ x: Tensor) -> Tensor {
    run { $0.engine.maxPool2x2Backward($0.value(dy), $0.value(x)) }
  }
  func upsampleNearest2x(_ x: Tensor) -> Tensor {
    run { $0.engine.upsampleNearest2x($0.value(x)) }
  }
  func upsampleNearest2xBackward(_ dy: Tensor) -> Tensor {
    run { $0.engine.upsampleNearest2xBackward($0.value(dy)) }
  }
  func relu(_ x: Tensor) -> Tensor { run { $0.engine.relu($0.value(x)) } }
  func reluBackward(_ dy: Tensor, _ x: Tensor) -> Tensor {
    run { $0.engine.reluBackward($0.value(dy), $0.value(x)) }
  }
  func addScaled(_ x: Tensor, _ r: Tensor, gain: Float) -> Tensor {
    run { $0.engine.addScaled($0.value(x), $0.value(r), gain: gain) }
  }
  func sigmoid(_ x: Tensor) -> Tensor { run { $0.engine.sigmoid($0.value(x)) } }
  func softmaxChannels(_ logits: Tensor) -> Tensor {
    run { $0.engine.softmaxChannels($0.value(logits)) }
  }

  func gumbelSoftmax(
    _ logits: Tensor, noise: GumbelNoise<Tensor>, temperature: Double
  ) -> Tensor {
    let uniform: Tensor
    switch noise {
    case .uniform(let given): uniform = given
    case .seeded(let seed, let stream, let first):
      uniform = Tensor(
        logits.shape,
        (0..<logits.count).map { index in
          let element = first + UInt64(index)
          let block = SeededGenerator.block(seed: seed, stream: stream, counter: element / 4)
          return SeededGenerator.uniform([block.0, block.1, block.2, block.3][Int(element % 4)])
        })
    }
    return run { call in
      call.engine.gumbelSoftmax(
        call.value(logits), noise: .uniform(call.value(uniform)),
        temperature: call.scalars([temperature])[0])
    }
  }

  func klToUniform(_ logits: Tensor) -> Double {
    runScalar { $0.engine.klToUniform($0.value(logits)) }
  }

  func gumbelSoftmaxBackward(
    _ dy: Tensor, y: Tensor, logits: Tensor, temperature: Double, klScale: Double
  ) -> Tensor {
    let result = run { call in
      let numbers = call.scalars([temperature, klScale])
      return call.engine.gumbelSoftmaxBackward(
        call.value(dy), y: call.value(y), logits: call.value(logits), temperature: numbers[0],
        klScale: numbers[1])
    }
    _ = dy.elements.update(fromContentsOf: result.elements)
    return dy
  }

  func logitLaplaceLoss(_ statistics: Tensor, target: Tensor) -> Double {
    runScalar { $0.engine.logitLaplaceLoss($0.value(statistics), target: $0.value(target)) }
  }
  func logitLaplaceLossBackward(_ statistics: Tensor, target: Tensor, scale: Double) -> Tensor {
    run { call in
      call.engine.logitLaplaceLossBackward(
        call.value(statistics), target: call.value(target), scale: call.scalars([scale])[0])
    }
  }

  func adamWStep(
    parameters: TensorSlice, gradients: TensorSlice, firstMoment: TensorSlice,
    secondMoment: TensorSlice, average: TensorSlice, _ step: AdamWStep<Double>
  ) {
    let call = ProgramCall()
    let slices = [parameters, gradients, firstMoment, secondMoment, average]
    let places = slices.map { call.variable($0, [$0.count]) }
    let numbers = call.scalars([
      step.learningRate, step.gradientScale, step.correction1, step.correction2,
    ])
    call.engine.adamWStep(
      parameters: places[0], gradients: places[1], firstMoment: places[2], secondMoment: places[3],
      average: places[4],
      AdamWStep(
        learningRate: numbers[0], beta1: step.beta1, beta2: step.beta2, epsilon: step.epsilon,
        weightDecay: step.weightDecay, averageDecay: step.averageDecay, gradientScale: numbers[1],
        correction1: numbers[2], correction2: numbers[3]))
    for at in [0, 2, 3, 4] { call.write(places[at], to: slices[at]) }
    call.run(on: accelerator)
  }

  func sumOfSquares(_ x: TensorSlice) -> Double {
    runScalar { $0.engine.sumOfSquares($0.variable(x, [x.count])) }
  }

  // MARK: Running

  private func run(_ record: (ProgramCall) -> RecordedValue) -> Tensor {
    let call = ProgramCall()
    let value = record(call)
    let result = Tensor(value.shape)
    call.write(value, to: result)
    call.run(on: accelerator)
    return result
  }

  private func runScalar(_ record: (ProgramCall) -> RecordedScalar) -> Double {
    let call = ProgramCall()
    let result = Tensor(Shape(1, 1, 1, 1))
    call.write(record(call), to: result)
    call.run(on: accelerator)
    return Double(result.pointer[0])
  }

  private func runTokens(_ record: (ProgramCall) -> RecordedTokens) -> [Int32] {
    let call = ProgramCall()
    let tokens = record(call)
    call.recording.output("y", tokens)
    let count = tokens.extents.reduce(1, *)
    let outputs = call.run(on: accelerator)
    return (try? outputs["y"]?.array(of: Int32.self, count: count)) ?? []
  }
}

/// One operation as a program, with its input tensors and those that it changes.
final class ProgramCall: Sendable {
  private struct State {
    var inputs: [String: @Sendable (Accelerator) throws -> DeviceBuffer] = [:]
    var results: [(name: String, memory: TensorSlice)] = []
  }

  let recording = Recording()
  var engine: RecordingEngine { RecordingEngine(recording) }
  private let state = Mutex(State())

  private func input(_ make: @escaping @Sendable (Accelerator) throws -> DeviceBuffer) -> String {
    state.withLock { state in
      let name = "x\(state.inputs.count)"
      state.inputs[name] = make
      return name
    }
  }

  func value(_ tensor: Tensor) -> RecordedValue {
    let (values, shape) = (tensor.array, tensor.shape)
    let name = input { accelerator in
      try accelerator.upload(
        values, [shape.batch, shape.height, shape.width, shape.channels], .float32)
    }
    return recording.value(name, shape)
  }

  func variable(_ slice: TensorSlice, _ extents: [Int]) -> RecordedVariable {
    let values = Array(slice.elements)
    let name = input { try $0.upload(values, extents, .float32) }
    return recording.variable(name, extents)
  }

  func scalars(_ numbers: [Double]) -> [RecordedScalar] {
    let values = numbers.map(Float.init)
    let name = input { try $0.upload(values, [values.count], .float32) }
    return recording.scalars(name, count: values.count)
  }

  func tokens(_ tokens: [Int32], _ shape: Shape) -> RecordedTokens {
    let name = input { try $0.upload(tokens, [shape.batch, shape.height, shape.width], .int32) }
    return recording.tokens(
      name, batch: shape.batch, height: shape.height, width: shape.width)
  }

  func filter(_ filter: ProgramEngine.Filter) -> RecordingEngine.Filter {
    engine.makeFilter(
      filter.shape, weights: variable(filter.weights, filter.shape.weightExtents),
      bias: variable(filter.bias, [filter.shape.outputChannels]), uses: [])
  }

  func epilogue(_ epilogue: Epilogue<Tensor>) -> Epilogue<RecordedValue> {
    Epilogue(
      relu: epilogue.relu, mask: epilogue.mask.map(value), skip: epilogue.skip.map(value),
      gain: epilogue.gain)
  }

  func write(_ value: RecordedValue, to tensor: Tensor) {
    recording.output(result(tensor.all), value)
  }
  func write(_ scalar: RecordedScalar, to tensor: Tensor) {
    recording.output(result(tensor.all), [scalar])
  }
  func write(_ variable: RecordedVariable, to slice: TensorSlice) {
    recording.output(result(slice), variable)
  }

  private func result(_ memory: TensorSlice) -> String {
    state.withLock { state in
      let name = "y\(state.results.count)"
      state.results.append((name, memory))
      return name
    }
  }

  @discardableResult
  func run(on accelerator: Accelerator) -> [String: DeviceBuffer] {
    do {
      let state = state.withLock { $0 }
      let outputs = try RecordedProgram(recording, on: accelerator, cache: nil)(
        state.inputs.mapValues { try $0(accelerator) })
      for (name, memory) in state.results {
        try outputs[name]?.copy(to: UnsafeMutableRawBufferPointer(memory.elements))
      }
      return outputs
    } catch {
      fatalError("\(error)")
    }
  }
}

extension ConvolutionShape {
  /// [O, I, rows, columns].
  var weightExtents: [Int] { [outputChannels, inputChannels, kernel, kernel] }
}
