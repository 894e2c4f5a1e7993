import DVAEModel
package import DVAETensors

/// Inputs of the encoder's last layer at many positions of the images: examples for the codes.
package struct CodeExamples {
  /// [count, channels], row-major.
  private(set) var values: [Float] = []
  private let channels: Int

  package init(_ configuration: TrainingConfiguration) {
    channels = configuration.architecture.encoder.layers.last?.shape.inputChannels ?? 1
  }

  package var count: Int { values.count / channels }

  /// Adds the examples of a batch.
  ///
  /// - Parameters:
  ///   - images: mapped pixels, [N, H, W, 3]
  ///   - state: the state whose encoder computes them
  ///   - engine: the engine to compute with
  /// - Throws: `DVAEError` for images of another shape
  package mutating func add<E: HostEngine>(
    _ images: Tensor, _ state: TrainingState, engine: E
  ) throws {
    let encoder = ImageEncoder(
      state.configuration.architecture, parameters: state.parameters, engine: engine)
    values += try encoder.features(images).array
  }

  func row(_ index: Int) -> ArraySlice<Float> {
    values[index * channels..<(index + 1) * channels]
  }

  /// The mean over the examples.
  var mean: [Float] {
    var sums = [Double](repeating: 0, count: channels)
    for index in 0..<count {
      for (c, value) in row(index).enumerated() { sums[c] += Double(value) }
    }
    return sums.map { Float($0 / Double(max(1, count))) }
  }
}

extension TrainingState {
  /// Initialises the codebook from examples, so that every code is usable from the first update on.
  ///
  /// Each code gets an example f̄ₖ: the untrained encoder's last-layer input at a random position
  /// of the images, minus the mean. The last layer's logits become s·(f̄ₖ·f̄ − |f̄ₖ|²/2), which are
  /// largest for the nearest example. To the random weights of the decoder's first layer a random
  /// projection of the examples is added, so that similar codes look similar to it. Frozen
  /// parameters stay as they are.
  ///
  /// With random weights, the logits are nearly equal for all images: a handful of codes win
  /// everywhere, and the decoder barely distinguishes them. A short run ends before it uses the
  /// others; the paper's run was long enough to do without.
  ///
  /// - Parameters:
  ///   - examples: at least as many as codes
  ///   - strength: determines s: the KL term starts at strength²/2 nats, or at nine tenths of its
  ///     maximum ln vocabulary if that is less
  ///   - engine: the engine to compute with
  package func initialiseCodebook<E: HostEngine>(
    from examples: CodeExamples, strength: Double, engine: E
  ) {
    let codes = configuration.architecture.vocabulary
    precondition(
      examples.count >= codes, "initialiseCodebook: \(examples.count) for \(codes) codes")
    var generator = SeededGenerator(seed: configuration.seed(for: .codes))
    var places = Array(0..<examples.count)
    for i in 0..<codes {
      places.swapAt(i, i + Int(generator.next() % UInt64(places.count - i)))
    }
    let mean = examples.mean
    func centred(_ place: Int) -> [Float] { zip(examples.row(place), mean).map { $0 - $1 } }
    let chosen = places[..<codes].map(centred)
    let halfSquares = chosen.map { dot($0, $0) / 2 }

    // Measure the KL term at other positions than the codes' examples, as far as there are any.
    let measured = places.suffix(64).map(centred)
    let logits = Tensor(Shape(1, 1, measured.count, codes))
    for (at, place) in measured.enumerated() {
      for code in 0..<codes {
        logits.elements[at * codes + code] = dot(chosen[code], place) - halfSquares[code]
      }
    }
    // No finite factor reaches a KL of ln codes.
    let kl = min(strength * strength / 2, 0.9 * naturalLogarithm(Double(codes)))
    let scale = Self.scale(of: logits, toKL: kl, engine)
    change("encoder.blocks.output.conv.w") { at, _ in
      scale * chosen[at / mean.count][at % mean.count]
    }
    change("encoder.blocks.output.conv.b") { code, _ in
      -scale * (halfSquares[code] + dot(chosen[code], mean))
    }

    let size = configuration.architecture.initial
    let projection = (0..<size).map { _ in mean.map { _ in generator.normal() } }
    let projected = projection.map { row in chosen.map { dot(row, $0) } }
    let norm = projected.reduce(0) { $0 + dot($1, $1) } / Float(size * codes)
    // Random weights have variance 1/codes; times √codes, the weights of one code have variance 1.
    let examplesPart = (0.5 / max(norm, 1e-30)).squareRoot()
    let drawnPart = Float(codes / 2).squareRoot()
    change("decoder.blocks.input.w") { at, drawn in
      examplesPart * projected[at / codes][at % codes] + drawnPart * drawn
    }
  }

  /// Returns the factor for which softmax(factor · logits) has this mean KL from uniform, in nats.
  private static func scale<E: HostEngine>(
    of logits: Tensor, toKL target: Double, _ engine: E
  ) -> Float {
    var (low, high) = (-30.0, 30.0)  // of the factor's logarithm
    for _ in 0..<40 {
      let middle = (low + high) / 2
      let factor = Float(exponential(middle))
      let scaled = Tensor(logits.shape, logits.array.map { $0 * factor })
      let kl = engine.klToUniform(scaled) / Double(logits.shape.positions)
      if kl < target { low = middle } else { high = middle }
    }
    return Float(exponential(low))
  }

  /// Changes each element of a parameter, and of its average, unless it is frozen.
  private func change(_ name: String, _ body: (_ index: Int, _ value: Float) -> Float) {
    guard !configuration.isFrozen(name), let values = parameters[name]?.values.elements,
      let averages = average[name]?.values.elements
    else { return }
    for i in values.indices {
      values[i] = body(i, values[i])
      averages[i] = values[i]
    }
  }
}

private func dot(_ x: [Float], _ y: [Float]) -> Float {
  var sum: Float = 0
  for i in 0..<x.count { sum += x[i] * y[i] }
  return sum
}
