package import DVAETensors

/// An engine that computes nothing and records its operations.
package struct RecordingEngine: Engine {
  /// A convolution's parameters.
  package struct Filter: Sendable {
    let shape: ConvolutionShape
    let weights: RecordedVariable
    let bias: RecordedVariable
  }

  /// The recording.
  package let recording: Recording

  package init(_ recording: Recording) { self.recording = recording }

  /// `recording`.
  package var name: String { "recording" }

  package func makeFilter(
    _ shape: ConvolutionShape, weights: RecordedVariable, bias: RecordedVariable, uses: FilterUses
  ) -> Filter {
    Filter(shape: shape, weights: weights, bias: bias)
  }

  package func convolution(
    _ x: RecordedValue, _ filter: Filter, reluInput: Bool, epilogue: Epilogue<RecordedValue>
  ) -> RecordedValue {
    recording.value(
      .convolution(
        x: x.item, weights: recording.current(filter.weights),
        bias: recording.current(filter.bias), filter.shape, reluInput: reluInput,
        epilogue),
      x.shape.with(channels: filter.shape.outputChannels))
  }

  package func convolutionBackwardInput(
    _ dy: RecordedValue, _ filter: Filter, epilogue: Epilogue<RecordedValue>
  ) -> RecordedValue {
    recording.value(
      .convolutionBackwardInput(
        dy: dy.item, weights: recording.current(filter.weights), filter.shape, epilogue),
      dy.shape.with(channels: filter.shape.inputChannels))
  }

  package func convolutionBackwardWeights(
    _ x: RecordedValue, _ dy: RecordedValue, _ shape: ConvolutionShape, reluInput: Bool,
    scale: Float, dWeights: RecordedVariable, dBias: RecordedVariable
  ) {
    let results = recording.record(
      .convolutionBackwardWeights(
        x: x.item, dy: dy.item, shape, reluInput: reluInput, scale: scale,
        dWeights: dWeights.item, dBias: dBias.item),
      [
        Recording.Item(extents: dWeights.extents, element: .float32),
        Recording.Item(extents: dBias.extents, element: .float32),
      ])
    (dWeights.item, dBias.item) = (results[0], results[1])
  }

  /// See `Engine`; the logits are an item of their own, so that they are computed only once.
  package func argmaxConvolution(
    _ x: RecordedValue, _ filter: Filter, reluInput: Bool
  ) -> RecordedTokens {
    argmaxChannels(convolution(x, filter, reluInput: reluInput, epilogue: .bias))
  }

  package func argmaxChannels(_ logits: RecordedValue) -> RecordedTokens {
    let extents = Array(logits.shape.extents.dropLast())
    return RecordedTokens(
      extents: extents, item: recording.record(.argmax(logits.item), extents, .token))
  }

  package func gatherColumns(
    _ tokens: RecordedTokens, _ filter: Filter, shape: Shape
  ) -> RecordedValue {
    recording.value(
      .gatherColumns(
        tokens: tokens.item, weights: recording.current(filter.weights),
        bias: recording.current(filter.bias), filter.shape), shape)
  }

  package func maxPool2x2(_ x: RecordedValue) -> RecordedValue {
    recording.value(.maxPool(x.item), x.shape.halved)
  }

  package func maxPool2x2Backward(_ dy: RecordedValue, _ x: RecordedValue) -> RecordedValue {
    recording.value(.maxPoolBackward(dy: dy.item, x: x.item), x.shape)
  }

  package func upsampleNearest2x(_ x: RecordedValue) -> RecordedValue {
    recording.value(.upsample(x.item), x.shape.doubled)
  }

  package func upsampleNearest2xBackward(_ dy: RecordedValue) -> RecordedValue {
    recording.value(.upsampleBackward(dy.item), dy.shape.halved)
  }

  package func relu(_ x: RecordedValue) -> RecordedValue {
    recording.value(.relu(x.item), x.shape)
  }

  package func reluBackward(_ dy: RecordedValue, _ x: RecordedValue) -> RecordedValue {
    recording.value(.reluBackward(dy: dy.item, x: x.item), x.shape)
  }

  package func addScaled(
    _ x: RecordedValue, _ r: RecordedValue, gain: Float
  ) -> RecordedValue {
    recording.value(.addScaled(x.item, r.item, gain: gain), x.shape)
  }

  package func sigmoid(_ x: RecordedValue) -> RecordedValue {
    recording.value(.sigmoid(x.item), x.shape)
  }

  package func softmaxChannels(_ logits: RecordedValue) -> RecordedValue {
    recording.value(.softmax(logits.item), logits.shape)
  }

  /// See `Engine`; the noise is `.uniform`, from an input or `Recording.uniform`, because a seed
  /// would become part of the program.
  package func gumbelSoftmax(
    _ logits: RecordedValue, noise: GumbelNoise<RecordedValue>, temperature: RecordedScalar
  ) -> RecordedValue {
    guard case .uniform(let u) = noise else {
      preconditionFailure("RecordingEngine: seeded noise; use Recording.uniform")
    }
    precondition(u.shape == logits.shape, "gumbelSoftmax: \(u.shape) for \(logits.shape)")
    return recording.value(
      .gumbelSoftmax(logits.item, uniform: u.item, temperature: temperature.operand),
      logits.shape)
  }

  package func klToUniform(_ logits: RecordedValue) -> RecordedScalar {
    recording.scalar(.klToUniform(logits.item, ofEach: false))
  }

  package func gumbelSoftmaxBackward(
    _ dy: RecordedValue, y: RecordedValue, logits: RecordedValue, temperature: RecordedScalar,
    klScale: RecordedScalar
  ) -> RecordedValue {
    recording.value(
      .gumbelSoftmaxBackward(
        dy: dy.item, y: y.item, logits: logits.item, temperature: temperature.operand,
        klScale: klScale.operand),
      logits.shape)
  }

  package func logitLaplaceLoss(
    _ statistics: RecordedValue, target: RecordedValue
  ) -> RecordedScalar {
    recording.scalar(.logitLaplace(statistics.item, target: target.item, ofEach: false))
  }

  package func logitLaplaceLossBackward(
    _ statistics: RecordedValue, target: RecordedValue, scale: RecordedScalar
  ) -> RecordedValue {
    recording.value(
      .logitLaplaceBackward(statistics.item, target: target.item, scale: scale.operand),
      statistics.shape)
  }

  package func adamWStep(
    parameters: RecordedVariable, gradients: RecordedVariable, firstMoment: RecordedVariable,
    secondMoment: RecordedVariable, average: RecordedVariable, _ step: AdamWStep<RecordedScalar>
  ) {
    let results = recording.record(
      .adamW(
        parameters: recording.current(parameters), gradients: recording.current(gradients),
        firstMoment: recording.current(firstMoment),
        secondMoment: recording.current(secondMoment), average: recording.current(average),
        RecordedAdamW(step)),
      Array(
        repeating: Recording.Item(extents: parameters.extents, element: .float32), count: 4))
    (parameters.item, firstMoment.item) = (results[0], results[1])
    (secondMoment.item, average.item) = (results[2], results[3])
  }

  package func sumOfSquares(_ x: RecordedVariable) -> RecordedScalar {
    recording.scalar(.sumOfSquares(recording.current(x)))
  }
}
